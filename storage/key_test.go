package storage

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckKey(t *testing.T) {
	for name, key := range map[string]string{
		"plain": "a", "nested": "backups/version-000042/bundle.tar.zst", "partition": "part_id=a b%3A#?&x/y",
		"dots inside": "a..b/.c/d.", "unicode": "日本/é", "longest": strings.Repeat("k", MaxKey), "space": " ",
	} {
		require.NoError(t, CheckKey(key), name)
	}
	for name, key := range map[string]string{
		"empty": "", "slash": "/", "leading": "/a", "trailing": "a/", "double": "a//b", "dot": ".", "dots": "..",
		"inner dot": "a/./b", "inner dots": "a/../b", "last dots": "a/..", "ends in dots": "a../b", "nul": "a\x00",
		"tab": "a\tb", "C1 control": "a\u0085b", "backslash": `a\b`, "bad UTF-8": "\xc3\x28", "escape": "__0x41__",
		"too long": strings.Repeat("k", MaxKey+1),
	} {
		err := CheckKey(key)
		require.ErrorIs(t, err, ErrInvalidKey, name)
		require.Less(t, len(err.Error()), 500, "a long key is not repeated in full")
	}
}

func FuzzCheckKey(f *testing.F) {
	for _, seed := range []string{"a", "a/b", "../a", "a//b", "", "\xff"} {
		f.Add(seed)
	}
	dir, err := OpenDir(f.TempDir())
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, key string) {
		if CheckKey(key) != nil {
			return
		}
		// What is accepted stays itself, however a path library cleans it.
		require.Equal(t, key, strings.Trim(key, "/"))
		require.NotContains(t, "/"+key+"/", "/../")
		_, err := dir.Open(t.Context(), key, 0, -1)
		require.Error(t, err, "an empty folder holds nothing, and nothing outside is reached")
	})
}
