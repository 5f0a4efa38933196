package validate

import "errors"

// MaxIssues is the maximum number of issues of an [Error].
const MaxIssues = 100

// Issue describes one fault of a value.
type Issue struct {
	Message string
	Path    []any // never nil
}

// Error is the error of a value that a validator has refused. It has at most [MaxIssues].
type Error struct {
	Issues []Issue
	causes []error
}

func (r *Error) add(message string, path []any) {
	if len(r.Issues) < MaxIssues {
		r.Issues = append(r.Issues, Issue{message, path})
	}
}

// Error returns the messages of the validator's errors.
func (r *Error) Error() string { return errors.Join(r.causes...).Error() }

// Unwrap returns the validator's errors.
func (r *Error) Unwrap() []error { return r.causes }

// Join returns a new path, never nil.
func Join(path []any, segments ...any) []any {
	return append(append(make([]any, 0, len(path)+len(segments)), path...), segments...)
}
