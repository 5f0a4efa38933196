package rpc

import (
	"errors"

	"github.com/go-orpc/durable-iterator/internal/serializer"
)

// Issue is one thing that is wrong with an input.
type Issue struct {
	// Message is for people.
	Message string `json:"message"`
	// Path leads from the root of the input to what is wrong: names of members
	// as they are on the wire, and indexes. It is not nil; empty is the root.
	Path []any `json:"path"`
}

// ValidationIssues is the data of the [CodeBadRequest] error that answers an
// input which fails validation. Clients read it with [ErrorData]. A server that
// is not written in Go may send other kinds of path segments, and further
// members, which are ignored.
type ValidationIssues struct {
	Issues []Issue `json:"issues"`
}

// maxIssues bounds the answer to an input that is wrong in very many places.
const maxIssues = 100

// refusal is the error of a value that a validator has refused.
type refusal struct {
	issues []Issue
	causes []error
}

func (r *refusal) add(message string, path []any) {
	if len(r.issues) < maxIssues {
		r.issues = append(r.issues, Issue{message, path})
	}
}

func (r *refusal) Error() string   { return errors.Join(r.causes...).Error() }
func (r *refusal) Unwrap() []error { return r.causes }

// issuesOf tells whether err is about the input, and what is wrong with it.
func issuesOf(err error) ([]Issue, bool) {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.issues, true
	}
	t, ok := errors.AsType[*serializer.TypeError](err)
	if !ok {
		return nil, false
	}
	issues := make([]Issue, 0, min(len(t.Issues), maxIssues))
	for _, issue := range t.Issues[:min(len(t.Issues), maxIssues)] {
		issues = append(issues, Issue{issue.Message, join(issue.Path)})
	}
	return issues, true
}

// join gives a new path, never nil.
func join(path []any, segments ...any) []any {
	return append(append(make([]any, 0, len(path)+len(segments)), path...), segments...)
}
