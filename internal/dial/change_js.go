package dial

import "syscall/js"

// watcher turns the events of a page into changes. Its fields belong to the goroutine of
// the browser's events.
type watcher struct {
	changes chan Change // the last one, until it is received
	away    bool
	remove  []func() // the listeners
}

// Watch returns the changes of the page that the program runs in, the last one if several
// have not been received, until stop is called. A page that is put away does not go on
// before the goroutines that a change has woken are idle. In a worker there are Offline and
// Back, under Node none.
func Watch() (changes <-chan Change, stop func()) {
	w := &watcher{changes: make(chan Change, 1)}
	window, document := js.Global(), js.Global().Get("document")
	w.on(window, "online", Back)
	w.on(window, "offline", Offline)
	w.on(window, "pagehide", Away)
	w.on(window, "pageshow", Back)
	w.on(document, "freeze", Away)
	w.on(document, "resume", Back)
	w.listen(document, "visibilitychange", func() {
		if document.Get("visibilityState").String() == "visible" {
			w.report(Back)
		}
	})
	return w.changes, func() {
		for _, remove := range w.remove {
			remove()
		}
	}
}

func (w *watcher) on(target js.Value, event string, c Change) {
	w.listen(target, event, func() { w.report(c) })
}

// listen calls f for each event with a name, unless the target has no events.
func (w *watcher) listen(target js.Value, event string, f func()) {
	if target.Type() != js.TypeObject || target.Get("addEventListener").Type() != js.TypeFunction {
		return
	}
	listener := js.FuncOf(func(js.Value, []js.Value) any {
		f()
		return nil
	})
	target.Call("addEventListener", event, listener)
	w.remove = append(w.remove, func() {
		target.Call("removeEventListener", event, listener)
		listener.Release()
	})
}

// report replaces the change that has not been received, if there is one.
func (w *watcher) report(c Change) {
	if w.away && c == Offline {
		return // it stays away
	}
	w.away = c == Away
	select {
	case <-w.changes:
	default:
	}
	select {
	case w.changes <- c:
	default:
	}
}
