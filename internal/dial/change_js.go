package dial

import "syscall/js"

// watcher turns the events of a page into changes. Its fields are used only by the
// goroutine that runs the browser's events.
type watcher struct {
	changes chan Change // holds the last change until it is received
	away    bool
	remove  []func() // the listeners
}

// Watch returns the changes of the page that the program runs in, until stop is called. If
// several have not been received, only the last one is kept. A page that is put away stays
// awake until the goroutines that a change has woken are idle. In a worker there are only
// Offline and Back, and under Node none.
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

// listen calls f for each event with the given name. It does nothing if the target has no
// events.
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

// report sends a change, in place of one that has not been received.
func (w *watcher) report(c Change) {
	if w.away && c == Offline {
		return // the page stays away
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
