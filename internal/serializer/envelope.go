package serializer

import (
	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// envelope has the members of a message, whose syntax has been checked.
type envelope struct {
	json  []byte // compact; nil: undefined
	meta  []byte // compact; nil: none
	depth int    // of json

	maps  []byte        // compact; nil: none
	files []*value.File // in the order of maps, which may be shorter
}

// parseEnvelope parses a message without files, whose maps is ignored. Empty data is an absent
// body, which is undefined.
func parseEnvelope(data []byte) (envelope, error) {
	data = jsontext.TrimByteOrderMark(data)
	if len(data) == 0 {
		return envelope{}, nil
	}
	env, err := parseMessage(data)
	env.maps = nil
	return env, err
}

// parseForm parses the part data of a form that has the given files.
func parseForm(data []byte, files []*value.File) (envelope, error) {
	env, err := parseMessage(jsontext.TrimByteOrderMark(data))
	env.files = files
	return env, err
}

// parseMessage checks the syntax of a message and slices it. As in the original, a message that
// is not an object is undefined, but null is malformed.
func parseMessage(data []byte) (envelope, error) {
	var env envelope
	s := jsontext.NewScanner(data, maxDepth)
	if s.Peek() != '{' {
		v, err := s.Value()
		if err == nil {
			err = s.End()
		}
		if err == nil && string(v.Text) == "null" {
			return env, malformed("the message is null")
		}
		return env, malformedText(err)
	}
	err := s.Take('{')
	if err == nil && s.Peek() != '}' {
		err = env.members(s)
	}
	if err == nil {
		err = s.Take('}')
	}
	if err == nil {
		err = s.End()
	}
	if err != nil {
		return envelope{}, malformedText(err)
	}
	return env, nil
}

func (env *envelope) members(s *jsontext.Scanner) error {
	for {
		if err := env.member(s); err != nil {
			return err
		}
		if s.Peek() != ',' {
			return nil
		}
		if err := s.Take(','); err != nil {
			return err
		}
	}
}

// member parses a member of the message. The last of equal names counts. Unknown names are
// ignored.
func (env *envelope) member(s *jsontext.Scanner) error {
	name, err := s.Key()
	if err != nil {
		return err
	}
	v, err := s.Value()
	if err != nil {
		return err
	}
	switch string(name) {
	case "json":
		env.json, env.depth = v.Compact(), v.Depth
	case "meta":
		env.meta = compactList(v)
	case "maps":
		env.maps = compactList(v)
	}
	return nil
}

// compactList returns the text of meta or maps, nil if it is null.
func compactList(v jsontext.Scanned) []byte {
	if string(v.Text) == "null" {
		return nil
	}
	return v.Compact()
}
