// Package eventlogtest checks that a store keeps the contract of [eventlog.Log].
//
// A store calls [Run] from a test of its own, or [RunStore] if it can also keep
// events for a limited time or on disk:
//
//	func TestConformance(t *testing.T) {
//		eventlogtest.RunStore(t, eventlogtest.Store{
//			Open:    func(t *testing.T) eventlog.Log { return mylog.Open(t.TempDir()) },
//			OpenDir: func(t *testing.T, dir string) eventlog.Log { return mylog.Open(dir) },
//		})
//	}
//
// A shared log is checked by [RunShared] too: what its handles see of each other, what
// followers receive, and what becomes of that in faults. What a shared log finds unavailable
// is tried again, since its server may be busy, until nothing has been available for 30 s.
// [SharedMemory] is such a log, for tests of what uses one.
//
// Cases run in parallel and each opens logs of its own, which the suite closes.
// Those about retention run in a [testing/synctest] bubble, so that hours pass at
// once: a store must read the time with package time, or set Store.RealTime. Run the
// suite with the race detector too, since some cases leave half of their work to it.
package eventlogtest
