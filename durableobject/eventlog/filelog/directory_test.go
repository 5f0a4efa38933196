package filelog_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// Open refuses paths that cannot be meant for a log.
func TestBadPaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "taken", "LOCK"), 0o700))
	before, err := os.ReadDir(dir)
	require.NoError(t, err)
	for name, path := range map[string]string{
		"empty": "", "a file": file, "below a file": filepath.Join(file, "log"), "no name of a file": "a\x00b",
		"a link to nowhere": "dangling",
	} {
		_, err := filelog.Open(path, nil)
		require.ErrorContains(t, err, "filelog: open: ", name)
		_, err = filelog.Check(path)
		require.ErrorContains(t, err, "filelog: check: ", name)
	}
	_, err = filelog.Open("taken", nil)
	require.ErrorContains(t, err, "filelog: open: ", "a directory in place of the lock")
	_, err = filelog.Open("", nil)
	require.ErrorIs(t, err, fs.ErrInvalid)
	require.ErrorContains(t, err, "empty path")
	_, err = filelog.Check("")
	require.ErrorIs(t, err, fs.ErrInvalid)
	after, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, after, len(before), "something was made")
}

// A log with a relative path stays in its directory when the process changes to another
// one.
func TestRelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	l := openLog(t, "log", &filelog.Options{SegmentBytes: 500})
	t.Chdir(t.TempDir())
	fill(t, l, 20, "a")
	require.NoError(t, l.Close())
	l = openLog(t, filepath.Join(dir, "log"), nil)
	require.Equal(t, 20, replayAll(t, l, "a"))
	require.NoError(t, l.Close())
}

// Records that would not be found after a restart are not acknowledged.
func TestDirectoryIsGone(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		take func(t *testing.T, dir string)
		back func(t *testing.T, dir string) // nil if it cannot come back
	}{
		"removed": {take: func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) }},
		"removed and created again": {take: func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.Mkdir(dir, 0o700))
		}},
		"its files removed": {take: func(t *testing.T, dir string) {
			files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
			require.NoError(t, err)
			for _, file := range files {
				require.NoError(t, os.Remove(file))
			}
		}},
		"renamed": {
			take: func(t *testing.T, dir string) { require.NoError(t, os.Rename(dir, dir+".old")) },
			back: func(t *testing.T, dir string) { require.NoError(t, os.Rename(dir+".old", dir)) },
		},
		"its parent renamed": {
			take: func(t *testing.T, dir string) {
				require.NoError(t, os.Rename(filepath.Dir(dir), filepath.Dir(dir)+".old"))
			},
			back: func(t *testing.T, dir string) {
				require.NoError(t, os.Rename(filepath.Dir(dir)+".old", filepath.Dir(dir)))
			},
		},
		"replaced by a copy": {
			take: func(t *testing.T, dir string) {
				require.NoError(t, os.Rename(dir, dir+".old"))
				require.NoError(t, os.CopyFS(dir, os.DirFS(dir+".old")))
			},
			back: func(t *testing.T, dir string) {
				require.NoError(t, os.RemoveAll(dir))
				require.NoError(t, os.Rename(dir+".old", dir))
			},
		},
		"replaced by a file": {
			take: func(t *testing.T, dir string) {
				require.NoError(t, os.Rename(dir, dir+".old"))
				require.NoError(t, os.WriteFile(dir, nil, 0o600))
			},
			back: func(t *testing.T, dir string) {
				require.NoError(t, os.Remove(dir))
				require.NoError(t, os.Rename(dir+".old", dir))
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "parent", "log")
			l := openLog(t, dir, nil)
			fill(t, l, 3, "a")
			keep := func(key string) error { return l.Bus().Keep(t.Context(), key, []byte("v"), time.Hour) }
			require.NoError(t, keep("before"))
			c.take(t, dir)
			if name != "its files removed" {
				require.ErrorIs(t, keep("meanwhile"), filelog.ErrGone)
			}
			for range 2 {
				err := l.Append(t.Context(), "a", newRecord(), nil)
				require.ErrorIs(t, err, filelog.ErrGone)
				require.ErrorIs(t, err, filelog.ErrNotStored)
			}
			require.ErrorIs(t, l.Trim(t.Context(), time.Now().Add(time.Hour)), filelog.ErrGone)
			if name != "its files removed" && name != "replaced by a copy" {
				replay, err := l.After(t.Context(), "a", eventlog.Position{})
				require.NoError(t, err)
				for _, failed := range replay.Records {
					err = failed
				}
				require.Error(t, err)
				require.NotErrorIs(t, err, filelog.ErrDamaged, "the directory may be restored")
			}
			if c.back == nil {
				require.ErrorIs(t, l.Close(), filelog.ErrGone)
				return
			}
			c.back(t, dir)
			require.Equal(t, 3, replayAll(t, l, "a"))
			fill(t, l, 3, "a")
			require.NoError(t, keep("after"))
			require.NoError(t, l.Close())
			l = openLog(t, dir, nil)
			require.NoError(t, l.Report().Err())
			require.Equal(t, 6, replayAll(t, l, "a"))
			kept, err := l.Bus().Kept(t.Context(), "")
			require.NoError(t, err)
			require.Equal(t, map[string][]byte{"before": []byte("v"), "after": []byte("v")}, kept)
			require.NoError(t, l.Close())
		})
	}
}
