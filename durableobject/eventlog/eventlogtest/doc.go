// Package eventlogtest tests implementations of [eventlog.Log], [eventlog.Shared] and
// [eventlog.Bus].
//
// A test of a store calls [Run], or [RunStore] if the store can also limit the age of
// events or keep them on disk:
//
//	func TestConformance(t *testing.T) {
//		eventlogtest.RunStore(t, eventlogtest.Store{
//			Open:    func(t *testing.T) eventlog.Log { return mylog.Open(t.TempDir()) },
//			OpenDir: func(t *testing.T, dir string) eventlog.Log { return mylog.Open(dir) },
//		})
//	}
//
// A test of a shared log also calls [RunShared], which tests its handles, its followers,
// and their behaviour in faults. The suite repeats calls that return
// [eventlog.ErrUnavailable], since the server of a shared log may be busy, until no call
// has succeeded for 30 s. [SharedMemory] is a shared log in memory, and [SharedBus] a bus,
// for tests of code that uses one. A test of a bus calls [RunBus].
//
// Cases run in parallel, and each opens its own logs, which the suite closes. The cases
// about retention run in a [testing/synctest] bubble, in which hours pass at once: a store
// must read the time with package time, or set Store.RealTime. Run the suite also with the
// race detector, which some cases rely on.
package eventlogtest
