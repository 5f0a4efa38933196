package rpc

import "context"

// withValues gives a context that ends with life and has the values of both,
// those of values first.
func withValues(life, values context.Context) context.Context {
	return valuesContext{life, context.WithoutCancel(values)}
}

type valuesContext struct {
	context.Context
	values context.Context // never ends, so that it cannot be taken for what ends
}

func (c valuesContext) Value(key any) any {
	if v := c.values.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}
