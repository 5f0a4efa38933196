package serializer_test

import (
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

type opener interface{ Open() (io.ReadCloser, error) }

type album struct {
	Title  string                 `json:"title"`
	Cover  *value.File            `json:"cover"`
	Photos []*value.File          `json:"photos,omitempty"`
	Named  map[string]*value.File `json:"named,omitempty"`
	Set    map[*value.File]struct{}
	ByID   map[int]**value.File
	Any    any
	Opener opener
	*value.File
}

// Files can be encoded from and decoded into all kinds of Go types.
func TestFileAnywhere(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	file := func(name string) *value.File { return value.NewFile(name, "image/png", []byte(name)) }
	inner := file("f")
	sent := album{
		Title: "A", Cover: file("a"), Photos: []*value.File{file("b"), nil, file("c")},
		Named: map[string]*value.File{"d": file("d")}, Set: map[*value.File]struct{}{file("e"): {}},
		ByID: map[int]**value.File{7: &inner}, Any: []any{file("g")}, Opener: file("h"), File: file("i"),
	}
	encoded, err := s.Encode(&sent)
	require.NoError(t, err)
	require.Equal(t, `{"json":{"title":"A","cover":{},"photos":[{},null,{}],"named":{"d":{}},"Set":[{}],"ByID":[[7,{}]],"Any":[{}],"Opener":{},"File":{}},`+
		`"meta":[[6,"Set"],[7,"ByID"]],`+
		`"maps":[["cover"],["photos",0],["photos",2],["named","d"],["Set",0],["ByID",0,1],["Any",0],["Opener"],["File"]]}`, string(encoded.JSON))
	require.Equal(t, "abcdefghi", names(encoded.Files))

	var got album
	require.NoError(t, s.DecodeForm(encoded.JSON, encoded.Files, &got))
	again, err := s.Encode(got)
	require.NoError(t, err)
	require.Equal(t, encoded.JSON, again.JSON)
	require.Equal(t, "abcdefghi", names(again.Files))
	require.Nil(t, got.Photos[1])
}

func names(files []*value.File) string {
	var b strings.Builder
	for _, f := range files {
		b.WriteString(f.Name)
	}
	return b.String()
}

func TestFileNothing(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	encoded, err := s.Encode(album{Title: "A"})
	require.NoError(t, err)
	require.Equal(t, `{"json":{"title":"A","cover":null,"Set":null,"ByID":null,"Any":null,"Opener":null,"File":null}}`, string(encoded.JSON))
	require.Empty(t, encoded.Files)

	wire, err := s.Append(nil, album{Title: "A"})
	require.NoError(t, err)
	require.Equal(t, encoded.JSON, wire, "without files both are the same")

	got := album{Cover: new(value.File)}
	require.NoError(t, s.Decode([]byte(`{"json":{"cover":null}}`), &got))
	require.Nil(t, got.Cover)
	got = album{Cover: new(value.File)}
	require.NoError(t, s.Decode([]byte(`{"json":{"cover":null},"meta":[[3,"cover"]]}`), &got))
	require.Nil(t, got.Cover)
}

// A file at two places is sent twice, as in the original.
func TestFileTwice(t *testing.T) {
	t.Parallel()
	f := value.NewFile("a", "", nil)
	encoded, err := new(serializer.Serializer).Encode([]*value.File{f, f})
	require.NoError(t, err)
	require.Equal(t, `{"json":[{},{}],"maps":[[0],[1]]}`, string(encoded.JSON))
	require.Equal(t, []*value.File{f, f}, encoded.Files)
}

// A file where only JSON can be sent is an error that names its place.
func TestW12FileInEvent(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	f := value.NewFile("a", "", nil)
	wire, err := s.Append([]byte("before"), map[string]any{"a": []any{1, f}})
	require.ErrorIs(t, err, serializer.ErrFile)
	require.EqualError(t, err, "serializer: encode: a[1]: "+serializer.ErrFile.Error())
	require.Equal(t, "before", string(wire))

	val, err := s.FormValue([]byte(`{"json":{},"maps":[[]]}`), []*value.File{f})
	require.NoError(t, err)
	_, err = s.Append(nil, []any{val})
	require.ErrorIs(t, err, serializer.ErrFile)
	wire, err = val.Append([]byte("before"))
	require.ErrorIs(t, err, serializer.ErrFile)
	require.Equal(t, "before", string(wire))

	// A failure has no effect on the next message.
	wire, err = s.Append(nil, "next")
	require.NoError(t, err)
	require.Equal(t, `{"json":"next"}`, string(wire))
}

func TestFileRefused(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	_, err := s.Encode(struct{ F value.File }{})
	require.EqualError(t, err, "serializer: encode: F: a file must be a *File, not a File")
	_, err = s.Encode([]any{value.NewFile("a", "text/plain\r\nX: y", nil)})
	require.ErrorContains(t, err, `[0]: the type "text/plain\r\nX: y" of a file is not printable ASCII`)

	err = s.DecodeForm([]byte(`{"json":{},"maps":[[]]}`), []*value.File{{}}, new(value.File))
	require.EqualError(t, err, "serializer: decode: a file must be a *File, not a File")
	var typeError *serializer.TypeError
	require.NotErrorAs(t, err, &typeError, "it is not the sender's fault")
}

// unmarshaled keeps the JSON that was passed to its method.
type unmarshaled struct{ text string }

func (u *unmarshaled) UnmarshalJSON(text []byte) error {
	u.text = string(text)
	return nil
}

// Files where the target expects something else, and the reverse, are issues.
func TestFileIssues(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	tests := map[string]struct {
		data   string
		target any
		want   string
	}{
		"string":                   {`{"json":{"a":{}},"maps":[["a"]]}`, new(map[string]string), "a: expected string, received file"},
		"struct":                   {`{"json":{},"maps":[[]]}`, new(album), "expected object, received file"},
		"map":                      {`{"json":{},"maps":[[]]}`, new(map[string]any), "expected object, received file"},
		"bytes":                    {`{"json":{},"maps":[[]]}`, new([]byte), "expected string, received file"},
		"pointer":                  {`{"json":{},"maps":[[]]}`, new(*int), "expected integer, received file"},
		"set":                      {`{"json":[{}],"maps":[[0]],"meta":[[6]]}`, new(map[string]struct{}), "[0]: expected string, received file"},
		"interface":                {`{"json":{},"maps":[[]]}`, new(error), "expected null, received file"},
		"unmarshaler":              {`{"json":{},"maps":[[]]}`, new(unmarshaled), "expected object, received file"},
		"in an unmarshaler":        {`{"json":{"a":{"b":{}}},"maps":[["a","b"]]}`, new(map[string]unmarshaled), "a: expected a value without files, received file"},
		"raw":                      {`{"json":[{}],"maps":[[0]]}`, new([]json.RawMessage), "[0]: expected a value without files, received file"},
		"in raw":                   {`{"json":[{}],"maps":[[0]]}`, new(json.RawMessage), "expected a value without files, received file"},
		"object":                   {`{"json":{}}`, new(*value.File), "expected file, received object"},
		"object in struct":         {`{"json":{"cover":{"name":"x"}}}`, new(album), "cover: expected file, received object"},
		"text":                     {`{"json":["x"]}`, new([]*value.File), "[0]: expected file, received string"},
		"date":                     {`{"json":["2024-01-01"],"meta":[[1,0]]}`, new([]*value.File), "[0]: expected file, received date"},
		"null date":                {`{"json":null,"meta":[[1]]}`, new(*value.File), "expected file, received invalid date"},
		"continues after an issue": {`{"json":{"title":{},"cover":7},"maps":[["title"]]}`, new(album), "title: expected string, received file; cover: expected file, received number"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := s.DecodeForm([]byte(test.data), []*value.File{{Name: "f"}}, test.target)
			var typeError *serializer.TypeError
			require.ErrorAs(t, err, &typeError)
			require.EqualError(t, err, "serializer: decode: "+test.want)
		})
	}
}

// An any that holds a file is set to the new file; the old one is not changed.
func TestFileReplaces(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	first := value.NewFile("first", "", nil)
	var v any = first
	require.NoError(t, s.DecodeForm([]byte(`{"json":{},"maps":[[]]}`), []*value.File{{Name: "second"}}, &v))
	require.Equal(t, "second", v.(*value.File).Name)
	require.Equal(t, "first", first.Name)
	require.NoError(t, s.Decode([]byte(`{"json":{"Name":"third"}}`), &v))
	require.Equal(t, map[string]any{"Name": "third"}, v)
}

// A captured part has its files with paths relative to the part. When it is sent, they are
// at the new place.
func TestValueKeepsFiles(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	data := `{"json":{"path":["a"],"input":{"x":{},"l":[{},"1"]}},"meta":[[0,"input","l",1]],"maps":[["path",0],["input","l",0],["input","x"]]}`
	files := []*value.File{{Name: "0"}, {Name: "1"}, {Name: "2"}}
	var got struct {
		Path  []*value.File `json:"path"`
		Input value.Value   `json:"input"`
	}
	require.NoError(t, s.DecodeForm([]byte(data), files, &got))
	require.Equal(t, "0", names(got.Path))

	alone, err := s.Encode(got.Input)
	require.NoError(t, err)
	require.Equal(t, `{"json":{"x":{},"l":[{},"1"]},"meta":[[0,"l",1]],"maps":[["l",0],["x"]]}`, string(alone.JSON))
	require.Equal(t, "12", names(alone.Files))

	whole, err := s.Encode(map[string]any{"a": value.Set{&value.File{Name: "z"}, got.Input}, "b": &got.Input})
	require.NoError(t, err)
	require.Equal(t, `{"json":{"a":[{},{"x":{},"l":[{},"1"]}],"b":{"x":{},"l":[{},"1"]}},`+
		`"meta":[[0,"a",1,"l",1],[6,"a"],[0,"b","l",1]],"maps":[["a",0],["a",1,"l",0],["a",1,"x"],["b","l",0],["b","x"]]}`, string(whole.JSON))
	require.Equal(t, "z1212", names(whole.Files))

	var input struct {
		X *value.File   `json:"x"`
		L []value.Value `json:"l"`
	}
	require.NoError(t, got.Input.Decode(&input))
	require.Equal(t, "2", input.X.Name)
	root, err := s.Encode(input.L)
	require.NoError(t, err)
	require.Equal(t, `{"json":[{},"1"],"meta":[[0,1]],"maps":[[0]]}`, string(root.JSON))
	require.Equal(t, "1", names(root.Files))
	require.False(t, input.L[0].IsUndefined())
}

// A file that is replaced by another one at the same place is not sent on.
func TestCoveredFile(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	val, err := s.FormValue([]byte(`{"json":[{"a":{}}],"maps":[[0,"a"],[0]]}`), []*value.File{{Name: "0"}, {Name: "1"}})
	require.NoError(t, err)
	encoded, err := s.Encode(val)
	require.NoError(t, err)
	require.Equal(t, `{"json":[{"a":{}}],"maps":[[0]]}`, string(encoded.JSON))
	require.Equal(t, "1", names(encoded.Files))
}

// A custom serializer may replace files, and may return files.
func TestFileAndCustom(t *testing.T) {
	t.Parallel()
	s, err := serializer.New(personSerializer, value.Serializer{
		Type: 21, GoType: reflect.TypeFor[*value.File](),
		Encode: func(v any) (any, error) { return v.(*value.File).Name, nil },
		Decode: func(v any) (any, error) { return value.NewFile(v.(string), "", nil), nil },
	})
	require.NoError(t, err)
	encoded, err := s.Encode([]any{&value.File{Name: "a"}})
	require.NoError(t, err)
	require.Equal(t, `{"json":["a"],"meta":[[21,0]]}`, string(encoded.JSON))
	var got []*value.File
	require.NoError(t, s.Decode(encoded.JSON, &got))
	require.Equal(t, "a", got[0].Name)

	s, err = serializer.New(personSerializer)
	require.NoError(t, err)
	encoded, err = s.Encode([]any{person{Name: "Ann", Born: &value.File{Name: "photo"}}})
	require.NoError(t, err)
	require.Equal(t, `{"json":[{"name":"Ann","born":{}}],"meta":[[20,0]],"maps":[[0,"born"]]}`, string(encoded.JSON))
	var people []person
	require.NoError(t, s.DecodeForm(encoded.JSON, encoded.Files, &people))
	require.Equal(t, "photo", people[0].Born.(*value.File).Name)
}
