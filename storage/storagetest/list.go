package storagetest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// trickyOrder is in byte order, which a walk through folders easily gets wrong:
// "-", "." and " " sort before the slash, "0" after it.
var trickyOrder = []string{
	"A", "a b/x", "a-b", "a-b-c/x", "a.txt", "a/b", "a/b-c/d", "a/b.c", "a/bb", "a/c/d", "a0", "aa/b", "b/a", "b0", "é", "日",
}

func testListOrder(t *testing.T, s suite) {
	require.Empty(t, s.list(t, "", ""), "a new store is empty")
	require.Empty(t, s.list(t, "some/prefix-", ""), "a new store is empty")
	require.True(t, slices.IsSorted(trickyOrder))
	before := time.Now()
	for i, key := range slices.Backward(trickyOrder) {
		s.create(t, key, content(i, uint64(i)))
	}
	all := s.list(t, "", "")
	require.Equal(t, trickyOrder, keysOf(all))
	for i, info := range all {
		require.EqualValues(t, i, info.Size, info.Key)
		// Servers have clocks of their own, and some keep whole seconds.
		require.LessOrEqual(t, math.Abs(info.ModTime.Sub(before).Hours()), 24.0, info.Key)
	}
	for _, after := range slices.Concat(trickyOrder, []string{"!", "a", "a/", "a/b-c/", "a/b/", "a/zz", "b/", "c", "\U0010ffff"}) {
		for _, prefix := range []string{"", "a", "a/", "a/b", "a/b-", "a-", "b", "aa/b", "aa/b/c", "zzz", "a/c/d"} {
			require.Equal(t, expect(trickyOrder, prefix, after), keysOf(s.list(t, prefix, after)), "prefix %q after %q", prefix, after)
		}
	}
	for _, prefix := range []string{"/", "a//", "../", "./", "a/../", "a/./b"} {
		require.Empty(t, s.list(t, prefix, ""), "no key begins with %q", prefix)
	}
}

// expect is what List must yield of sorted keys.
func expect(keys []string, prefix, after string) []string {
	want := []string{}
	for _, key := range keys {
		if strings.HasPrefix(key, prefix) && key > after {
			want = append(want, key)
		}
	}
	return want
}

// createMany creates n objects with a few goroutines and returns their sorted keys.
func (s suite) createMany(t *testing.T, n int) []string {
	t.Helper()
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("many/version-%06d/bundle", i))
	}
	var wg sync.WaitGroup
	work := make(chan string)
	for range 8 {
		wg.Go(func() {
			for key := range work {
				if err := s.store.Create(t.Context(), key, strings.NewReader("x"), 1); err != nil {
					t.Errorf("create %q: %v", key, err)
				}
			}
		})
	}
	for _, key := range keys {
		work <- key
	}
	close(work)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return keys
}

func testListMany(t *testing.T, s suite) {
	keys := s.createMany(t, s.opts.ListKeys)
	require.Equal(t, keys, keysOf(s.list(t, "", "")))
	require.Equal(t, keys, keysOf(s.list(t, "many/version-", "")))
	last := len(keys) - 1
	require.Equal(t, keys[last:], keysOf(s.list(t, "many/", keys[last-1])))
	require.Empty(t, s.list(t, "", keys[last]))
	require.Equal(t, keys[last/2+1:], keysOf(s.list(t, "", keys[last/2])))
}

func testListPrefixAfter(t *testing.T, s suite) {
	keys := []string{"backups/head.json", "backups/version-000001/base", "backups/version-000001/bundle", "backups/version-000002/bundle", "backups2/x", "sluice.json"}
	for _, key := range keys {
		s.create(t, key, []byte("x"))
	}
	for name, c := range map[string]struct {
		prefix, after string
		want          []string
	}{
		"folder":                  {"backups/", "", keys[:4]},
		"half a name":             {"backups/version-00000", "", keys[1:4]},
		"a whole key":             {"sluice.json", "", keys[5:]},
		"after is exclusive":      {"backups/", keys[1], keys[2:4]},
		"after need not exist":    {"backups/", "backups/version-000001/bb", keys[2:4]},
		"after a folder":          {"backups/", "backups/version-000001/\U0010ffff", keys[3:4]},
		"after before the prefix": {"backups2", "a", keys[4:5]},
		"after beyond the prefix": {"backups/", "backups2", []string{}},
		"nothing":                 {"other/", "", []string{}},
	} {
		require.Equal(t, c.want, keysOf(s.list(t, c.prefix, c.after)), name)
	}
}

func testListBreak(t *testing.T, s suite) {
	for _, key := range []string{"a", "b/c", "d"} {
		s.create(t, key, []byte("x"))
	}
	seq := s.store.List(t.Context(), "", "")
	for n := range 3 {
		var got []string
		for info, err := range seq {
			require.NoError(t, err)
			got = append(got, info.Key)
			if len(got) > n {
				break
			}
		}
		require.Equal(t, []string{"a", "b/c", "d"}[:n+1], got, "a broken listing can be ranged over again")
	}
}

func testListCtx(t *testing.T, s suite) {
	s.create(t, "k", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for info, err := range s.store.List(ctx, "", "") {
		n++
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, storage.Info{}, info)
	}
	require.Equal(t, 1, n, "one error, and then the end")
}
