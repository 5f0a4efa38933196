//go:build linux

package main

import "encoding/binary"

// Opcodes of frames.
const (
	opText  = 1
	opClose = 8
)

// parseFrame parses the first frame in b, which is unmasked, as a server sends it. A size
// of 0 means that b does not contain the whole frame.
func parseFrame(b []byte) (op byte, payload []byte, size int) {
	if len(b) < 2 {
		return 0, nil, 0
	}
	header, length := 2, uint64(b[1])
	switch {
	case length == 126 && len(b) >= 4:
		header, length = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case length == 127 && len(b) >= 10:
		header, length = 10, binary.BigEndian.Uint64(b[2:])
	case length >= 126:
		return 0, nil, 0
	}
	if length > uint64(len(b)-header) {
		return 0, nil, 0
	}
	size = header + int(length)
	return b[0], b[header:size], size
}

// textFrame returns a text frame as a client sends it. Its mask is zero, which is allowed and
// costs nothing.
func textFrame(message string) []byte {
	b := []byte{finalBit | opText, maskBit | 126}
	b = binary.BigEndian.AppendUint16(b, uint16(len(message)))
	b = append(b, 0, 0, 0, 0)
	return append(b, message...)
}

const (
	finalBit = 0x80
	maskBit  = 0x80
)
