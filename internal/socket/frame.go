package socket

import (
	"encoding/binary"
	"unicode/utf8"
)

const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA

	finalFrame   = 0x80
	reservedBits = 0x70
	maskedFrame  = 0x80

	maxControlPayload = 125
	maxReason         = maxControlPayload - 2 // bytes of the reason in a close frame
	maxReadHeader     = 2 + 8 + 4
)

// Close codes that this package sends by itself.
const (
	statusProtocolError = 1002
	statusInvalidText   = 1007
	statusPolicy        = 1008
	statusTooBig        = 1009
	statusTryAgainLater = 1013
)

// Close codes that are never sent, by which a missing code or close frame is reported.
const (
	StatusNone     = 1005 // the close frame had no code
	StatusAbnormal = 1006 // there was no close frame
)

// MaxHeader is the size of the longest frame header that is written.
const MaxHeader = 10

// AppendHeader appends the header of an unmasked, unfragmented frame with a payload of size
// bytes, which the caller must append next.
func AppendHeader(dst []byte, binaryData bool, size int) []byte {
	op := byte(opText)
	if binaryData {
		op = opBinary
	}
	return appendHeader(dst, op, size)
}

// Frame returns the unmasked, unfragmented frame of a message.
func Frame(message []byte, binaryData bool) []byte {
	frame := make([]byte, 0, MaxHeader+len(message))
	return append(AppendHeader(frame, binaryData, len(message)), message...)
}

func appendHeader(dst []byte, op byte, size int) []byte {
	dst = append(dst, finalFrame|op)
	switch {
	case size < 126:
		return append(dst, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(size))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(size))
	}
}

// appendClose appends a close frame. Invalid UTF-8 in the reason is replaced, and a
// reason that is too long is cut between two characters.
func appendClose(dst []byte, code int, reason string) []byte {
	if !utf8.ValidString(reason) {
		reason = string([]rune(reason[:min(len(reason), maxReason)]))
	}
	if len(reason) > maxReason {
		end := maxReason
		for !utf8.RuneStart(reason[end]) {
			end--
		}
		reason = reason[:end]
	}
	dst = appendHeader(dst, opClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// MaySend reports whether a close frame may have the code: 1000 to 1014, except 1004 to
// 1006, and 3000 to 4999.
func MaySend(code int) bool {
	switch code {
	case 1004, 1005, 1006:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// header is the header of a received frame.
type header struct {
	final  bool
	op     byte
	length uint64
	key    [4]byte
}

func (h *header) control() bool { return h.op >= opClose }

// headerSize returns the size in bytes of the header whose second byte is b1.
func headerSize(b1 byte) int {
	size := 2
	switch b1 &^ maskedFrame {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if b1&maskedFrame != 0 {
		size += 4
	}
	return size
}

// parseHeader parses b, which must be one whole header. If a client must not send it, fault
// is the reason, and otherwise empty.
func parseHeader(b []byte) (h header, fault string) {
	h.final, h.op = b[0]&finalFrame != 0, b[0]&0xF
	h.length = uint64(b[1] &^ maskedFrame)
	switch h.length {
	case 126:
		h.length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.length = binary.BigEndian.Uint64(b[2:])
	}
	switch {
	case b[0]&reservedBits != 0:
		return h, "reserved bits are set"
	case h.op > opBinary && h.op < opClose, h.op > opPong:
		return h, "unknown opcode"
	case b[1]&maskedFrame == 0:
		return h, "frame is not masked"
	case h.length>>63 != 0:
		return h, "bad length"
	case h.control() && !h.final:
		return h, "control frame is fragmented"
	case h.control() && h.length > maxControlPayload:
		return h, "control frame is too long"
	}
	copy(h.key[:], b[len(b)-4:])
	return h, ""
}

// unmask applies the mask to b, which begins at the given offset of the frame's payload.
func unmask(b []byte, key [4]byte, offset int) {
	var rotated [8]byte
	for i := range rotated {
		rotated[i] = key[(offset+i)%len(key)]
	}
	word := binary.NativeEndian.Uint64(rotated[:])
	for len(b) >= 32 {
		binary.NativeEndian.PutUint64(b, binary.NativeEndian.Uint64(b)^word)
		binary.NativeEndian.PutUint64(b[8:], binary.NativeEndian.Uint64(b[8:])^word)
		binary.NativeEndian.PutUint64(b[16:], binary.NativeEndian.Uint64(b[16:])^word)
		binary.NativeEndian.PutUint64(b[24:], binary.NativeEndian.Uint64(b[24:])^word)
		b = b[32:]
	}
	for i := range b {
		b[i] ^= rotated[i%len(rotated)]
	}
}

// parseClose parses the payload of a close frame. code is -1 if the payload has none.
// refusal is the code to close the connection with if the payload is invalid, and otherwise
// 0.
func parseClose(payload []byte) (code, refusal int) {
	switch {
	case len(payload) == 0:
		return -1, 0
	case len(payload) == 1:
		return -1, statusProtocolError
	}
	code = int(binary.BigEndian.Uint16(payload))
	switch {
	case !MaySend(code):
		return -1, statusProtocolError
	case !utf8.Valid(payload[2:]):
		return -1, statusInvalidText
	}
	return code, 0
}
