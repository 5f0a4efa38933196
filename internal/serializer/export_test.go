package serializer

import "github.com/go-orpc/durable-iterator/rpc/value"

// DecodeForm decodes a value with files, as Decode does. Its parameters are those of FormValue.
func (s *Serializer) DecodeForm(data []byte, files []*value.File, into any) error {
	env, err := parseForm(data, files)
	if err != nil {
		return err
	}
	return s.decode(env, nil, into)
}
