package durableobject

import "errors"

// Errors that a caller may branch on.
var (
	// ErrClosed is returned by a namespace that is shutting down.
	ErrClosed = errors.New("durableobject: namespace closed")
	// ErrRecursive is returned by Namespace.Get inside a newHub, if the object that
	// it asks for waits for that newHub: it is the one that is made, or the newHub of
	// another object, by which this one was asked for or which asks for it now.
	ErrRecursive = errors.New("durableobject: newHub waits for itself")
	// ErrNotSubscribed is returned by Websocket.Send for a socket that has not
	// subscribed, or not any more.
	ErrNotSubscribed = errors.New("durableobject: not subscribed")
	// ErrForeignWebsocket is returned by PublishEvent if a target or an exclude is
	// a socket of another object.
	ErrForeignWebsocket = errors.New("durableobject: socket of another channel")
	// ErrNoSubject is returned by PublishEvent for targets or excludes given by id
	// alone where Options.Subject makes subject and id belong together.
	ErrNoSubject = errors.New("durableobject: ids without subject")
	// ErrPredicate is returned by PublishEvent for [WithTargetsFunc] and
	// [WithExcludeFunc] where the log is an eventlog.Shared: the sockets of other nodes
	// cannot be asked. Use tags or ids there.
	ErrPredicate = errors.New("durableobject: predicates do not reach the sockets of other nodes")
)
