package peer

import "context"

// ValuesContext ends with a life, its Context, and has the values of both, those of
// Values first.
type ValuesContext struct {
	context.Context
	Values context.Context // never ends, so that it cannot be taken for what ends
}

// WithValues makes the context that ends with life and has the values of both.
func WithValues(life, values context.Context) ValuesContext {
	return ValuesContext{life, context.WithoutCancel(values)}
}

// Value implements [context.Context].
func (c ValuesContext) Value(key any) any {
	if v := c.Values.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}
