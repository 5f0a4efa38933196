package token

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// opaque is embedded by types that hold keys, so that their keys are not printed.
// It does not suffice: package fmt does not call the methods of an unexported
// field, and other printers call no methods at all. Such types therefore keep their
// keys in closures, which no printer looks into.
type opaque struct{}

func (opaque) String() string               { return redacted }
func (opaque) GoString() string             { return redacted }
func (opaque) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redacted) }
func (opaque) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (opaque) LogValue() slog.Value         { return slog.StringValue(redacted) }
