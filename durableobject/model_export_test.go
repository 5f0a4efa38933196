package durableobject

import "github.com/go-orpc/durable-iterator/durableobject/eventlog"

// LogOf gives the log of a namespace, also one of its own: the model test reads
// the order of events there. It is nil where nothing is kept.
func LogOf[H any](ns *Namespace[H]) eventlog.Log { return ns.core.log }
