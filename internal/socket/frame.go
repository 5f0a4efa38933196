package socket

import "encoding/binary"

const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA

	finalFrame = 0x80
	maxReason  = 123 // bytes that a close frame has for its reason
)

// MaxHeader is the size of the longest frame header.
const MaxHeader = 10

// AppendHeader appends the header of an unmasked, unfragmented frame of size
// bytes that the caller appends next.
func AppendHeader(dst []byte, binaryData bool, size int) []byte {
	op := byte(opText)
	if binaryData {
		op = opBinary
	}
	return appendHeader(dst, op, size)
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

func appendClose(dst []byte, code int, reason string) []byte {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	dst = appendHeader(dst, opClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}
