package socket

// tryWriter writes without waiting. n < len(p) with a nil error says that the
// connection takes no more now. A net.Conn that implements it, as one in memory
// may do in a test, is used as it is.
type tryWriter interface {
	TryWrite(p []byte) (n int, err error)
}
