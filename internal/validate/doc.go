// Package validate checks decoded values with a validator of go-playground or of the
// application, on the outermost structs in them, and describes what is wrong with a value in
// the names that are on the wire.
package validate
