package value_test

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

func TestFileContent(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	opened := 0
	tests := map[string]struct {
		file *value.File
		size int64
		want string
		err  error
	}{
		"zero":         {new(value.File), 0, "", nil},
		"memory":       {value.NewFile("a", "b", []byte("abc")), 3, "abc", nil},
		"func":         {value.NewFileFunc("a", "b", 3, func() (io.ReadCloser, error) { opened++; return io.NopCloser(strings.NewReader("abc")), nil }), 3, "abc", nil},
		"unknown size": {value.NewFileFunc("a", "b", -5, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil }), -1, "", nil},
		"cannot open":  {value.NewFileFunc("a", "b", 3, func() (io.ReadCloser, error) { return nil, fs.ErrNotExist }), 3, "", fs.ErrNotExist},
		"cannot read":  {value.NewFileFunc("a", "b", 3, func() (io.ReadCloser, error) { return failingContent{read: gone}, nil }), 3, "", gone},
		"cannot close": {value.NewFileFunc("a", "b", 3, func() (io.ReadCloser, error) { return failingContent{read: io.EOF, closing: gone}, nil }), 3, "", gone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.size, test.file.Size())
			for range 2 {
				got, err := test.file.Bytes()
				require.ErrorIs(t, err, test.err)
				require.Equal(t, test.want, string(got))
			}
		})
	}
	require.Equal(t, 2, opened, "once for each reading")
}

// failingContent is content that cannot be read or closed.
type failingContent struct{ read, closing error }

func (f failingContent) Read([]byte) (int, error) { return 0, f.read }
func (f failingContent) Close() error             { return f.closing }
