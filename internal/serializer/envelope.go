package serializer

import "bytes"

// envelope is a message whose syntax has been checked.
type envelope struct {
	json  []byte // compact; nil: undefined
	meta  []byte // compact; nil: none
	depth int    // how deep json is nested

	maps  []byte  // compact; nil: none
	files []*File // in the order of maps, which may be shorter
}

// byteOrderMark may stand before any text and means nothing there.
var byteOrderMark = []byte("\uFEFF")

// parseEnvelope reads a message without files, where maps means nothing. No data at all
// stands for an absent body, which is undefined.
func parseEnvelope(data []byte) (envelope, error) {
	data = bytes.TrimPrefix(data, byteOrderMark)
	if len(data) == 0 {
		return envelope{}, nil
	}
	env, err := parseMessage(data)
	env.maps = nil
	return env, err
}

// parseForm reads the text of a form with its files.
func parseForm(data []byte, files []*File) (envelope, error) {
	env, err := parseMessage(bytes.TrimPrefix(data, byteOrderMark))
	env.files = files
	return env, err
}

// parseMessage checks the syntax of a whole message and slices it. As in the
// original, a message that is no object is undefined, but null is malformed.
func parseMessage(data []byte) (envelope, error) {
	var env envelope
	sc := scanner{data: validUTF8(data), limit: maxDepth}
	sc.space()
	if sc.peek() != '{' {
		text, _, err := compact(sc.data)
		if err == nil && string(text) == "null" {
			err = malformed("the message is null")
		}
		return env, err
	}
	sc.pos++
	sc.space()
	if sc.peek() == '}' {
		sc.pos++
	} else if err := env.members(&sc); err != nil {
		return envelope{}, err
	}
	sc.space()
	if sc.pos < len(sc.data) {
		return envelope{}, sc.unexpected()
	}
	if string(env.meta) == "null" {
		env.meta = nil
	}
	if string(env.maps) == "null" {
		env.maps = nil
	}
	return env, nil
}

// members reads the members of the message up to the closing brace. The last of
// equal names wins; unknown ones are ignored.
func (env *envelope) members(sc *scanner) error {
	for {
		start := sc.pos
		if err := sc.key(); err != nil {
			return err
		}
		name := (&cursor{data: sc.data, pos: start}).str()
		start, sc.spaced, sc.deepest = sc.pos, false, 0
		if err := sc.value(); err != nil {
			return err
		}
		text := sc.data[start:sc.pos:sc.pos]
		switch string(name) {
		case "json":
			env.json, env.depth = compacted(text, sc.spaced), sc.deepest
		case "meta":
			env.meta = compacted(text, sc.spaced)
		case "maps":
			env.maps = compacted(text, sc.spaced)
		}
		sc.space()
		if sc.peek() == '}' {
			sc.pos++
			return nil
		}
		if err := sc.take(','); err != nil {
			return err
		}
		sc.space()
	}
}
