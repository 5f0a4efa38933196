package form_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/form"
)

// FuzzRead checks that no text makes reading panic; that every error is ErrMalformed or
// ErrTooLarge; and that a form that was read is the same after it is written and read
// again.
func FuzzRead(f *testing.F) {
	v := readVectors(f)
	for _, vector := range append(v.FormData, v.FormDataErrors...) {
		text, contentType := recorded(f, vector)
		f.Add(text, contentType, int64(1))
	}
	f.Add([]byte(dataPart+part(`Content-Disposition: form-data; name="1"; filename="%22%0d"`)+part("Content-Disposition: form-data; name=\"z\"\nA: b\n c")+end), typeX, int64(100))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, contentType string, memory int64) {
		o := form.Options{MaxBytes: 64 << 10, MaxData: 32 << 10, MaxParts: 20, MaxMemory: memory, TempDir: dir}
		got, err := form.Read(bytes.NewReader(text), contentType, o)
		if err != nil {
			require.NotEqual(t, errors.Is(err, form.ErrMalformed), errors.Is(err, form.ErrTooLarge), "%v", err)
			require.Nil(t, got)
			requireEmpty(t, dir)
			return
		}
		require.LessOrEqual(t, len(got.Files), o.MaxParts)
		size := int64(len(got.Data))
		for _, file := range got.Files {
			size += file.Size()
		}
		require.LessOrEqual(t, size, int64(len(text)))

		var again bytes.Buffer
		boundary := form.Boundary()
		require.NoError(t, form.Write(&again, boundary, got.Data, got.Files))
		same, err := form.Read(&again, form.ContentType(boundary), form.Options{MaxMemory: 1 << 20})
		require.NoError(t, err)
		require.Equal(t, got.Data, same.Data)
		require.Len(t, same.Files, len(got.Files))
		for i, file := range got.Files {
			content, err := file.Bytes()
			require.NoError(t, err)
			want := recordedFile{Name: file.Name, Type: file.Type, Base64: content}
			if want.Name == "" {
				want.Name = "blob"
			}
			if want.Type == "" {
				want.Type = "application/octet-stream"
			}
			requireFile(t, want, same.Files[i])
		}
		require.NoError(t, got.Close())
		require.NoError(t, same.Close())
		requireEmpty(t, dir)
	})
}
