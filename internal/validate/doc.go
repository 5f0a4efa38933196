// Package validate checks decoded values with a validator of go-playground or of the
// application, which it calls for the outermost structs in them. It describes faults with
// the names that are on the wire.
package validate
