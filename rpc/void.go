package rpc

// Void is the type of the input or output of a procedure that has none. It is sent as undefined. A
// received value is ignored.
type Void struct{}

func isVoid(v any) bool {
	switch v.(type) {
	case Void, *Void:
		return true
	}
	return false
}
