package durableobject_test

import "encoding/json"

// frame is a decoded frame of a server.
type frame struct {
	I json.RawMessage
	T int
	P struct {
		S int
		H map[string]string
		B json.RawMessage
		E string
		D *struct{ JSON message }
		M *struct {
			ID       string
			Retry    int64
			Comments []string
		}
	}
}

func (v *visit) receive(text []byte) {
	w := v.place.world
	w.notef("    v%d gets %.200s", v.n, text)
	var f frame
	if err := json.Unmarshal(text, &f); err != nil {
		w.failf("v%d got %s: %v", v.n, text, err)
	}
	id := string(f.I)
	for _, r := range v.readings {
		if r.id == id {
			r.receive(&f)
			return
		}
	}
	c := v.calls[id]
	if c == nil || f.T != 0 {
		w.failf("v%d got a message for nobody: %s", v.n, text)
	}
	delete(v.calls, id)
	v.answered(c, text)
}
