package storagetest

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

func testExists(t *testing.T, s suite) {
	first := content(1000, 1)
	s.create(t, "k", first)
	for name, b := range map[string][]byte{"other": content(1000, 2), "same": first, "empty": nil, "large": content(s.opts.LargeSize, 3)} {
		if _, skipped := s.opts.Skip["create/race large"]; skipped && name == "large" {
			continue // the server ignores the condition there, which the option says
		}
		for _, size := range []int64{int64(len(b)), -1} {
			err := s.store.Create(t.Context(), "k", plain{bytes.NewReader(b)}, size)
			require.ErrorIs(t, err, storage.ErrExists, "%s content, size %d", name, size)
			s.holds(t, "k", first)
		}
	}
}

func testWrongSize(t *testing.T, s suite) {
	large := s.opts.LargeSize
	for name, c := range map[string]struct{ have, say int }{
		"empty, one said":    {0, 1},
		"one, none said":     {1, 0},
		"one short":          {99, 100},
		"one too many":       {101, 100},
		"large, one short":   {large - 1, large},
		"large, one more":    {large + 1, large},
		"large, small said":  {large, 10},
		"small, large said":  {10, large},
		"large, none said":   {large, 0},
		"large, half missed": {large / 2, large},
	} {
		key := strings.ReplaceAll(name, ", ", "/")
		err := s.store.Create(t.Context(), key, plain{bytes.NewReader(content(c.have, 1))}, int64(c.say))
		require.Error(t, err, name)
		require.NotErrorIs(t, err, storage.ErrUnavailable, "%s: trying again is no use", name)
		s.gone(t, key)
		s.create(t, key, []byte("the key is still free"))
	}
}

func testFailingReader(t *testing.T, s suite) {
	for name, n := range map[string]int{"at once": 0, "small": 100, "large": s.opts.LargeSize - 1} {
		for sizeName, size := range map[string]int64{"unknown": -1, "known": int64(s.opts.LargeSize), "exact": int64(n)} {
			key := name + "/" + sizeName
			err := s.store.Create(t.Context(), key, failing(content(n, 1)), size)
			require.ErrorIs(t, err, errSource, key)
			s.gone(t, key)
		}
	}
	s.create(t, "taken", []byte("x"))
	require.Error(t, s.store.Create(t.Context(), "taken", failing(content(100, 1)), -1))
	s.holds(t, "taken", []byte("x"))
}

// testCreateCtx ends the context before, during and right at the end of reading.
func testCreateCtx(t *testing.T, s suite) {
	large := s.opts.LargeSize
	for name, c := range map[string]struct{ size, cut int }{
		"before":       {100, -1},
		"small":        {100, 50},
		"at the end":   {100, 100},
		"large":        {large, large / 2},
		"large at end": {large, large},
	} {
		for _, known := range []bool{true, false} {
			ctx, cancel := context.WithCancel(t.Context())
			if c.cut < 0 {
				cancel()
			}
			size := int64(-1)
			if known {
				size = int64(c.size)
			}
			b := content(c.size, 1)
			cut := max(c.cut, 0)
			r := io.MultiReader(bytes.NewReader(b[:cut]), callback(cancel), bytes.NewReader(b[cut:]))
			err := s.store.Create(ctx, name, r, size)
			require.ErrorIs(t, err, context.Canceled, "%s, size %d", name, size)
			require.NotErrorIs(t, err, storage.ErrUnavailable, name)
			s.gone(t, name)
		}
	}
}

// callback is a reader that yields nothing but calls f when it is reached.
func callback(f func()) io.Reader { return calling(f) }

type calling func()

func (c calling) Read([]byte) (int, error) {
	c()
	return 0, io.EOF
}

// testReaderLetGo watches that nobody reads on after Create has returned.
func testReaderLetGo(t *testing.T, s suite) {
	s.create(t, "taken", []byte("x"))
	for _, r := range []*watched{
		{key: "taken", src: content(s.opts.LargeSize, 1)},
		{key: "fails", src: content(s.opts.LargeSize, 1), fail: s.opts.LargeSize / 2},
	} {
		err := s.store.Create(t.Context(), r.key, r, -1)
		r.returned.Store(true)
		require.Error(t, err, r.key)
		// Time in which whoever still holds the reader can use it.
		for range 100 {
			s.holds(t, "taken", []byte("x"))
			runtime.Gosched()
		}
		require.False(t, r.misused.Load(), "%s: the reader is used after Create has returned", r.key)
	}
}

// watched is a reader that notices its use after Create has returned.
type watched struct {
	key               string
	src               []byte
	n, fail           int // fails after fail bytes, if positive
	returned, misused atomic.Bool
}

func (w *watched) Read(p []byte) (int, error) {
	defer w.check() // Create may have returned meanwhile
	w.check()
	if w.fail > 0 && w.n >= w.fail {
		return 0, errSource
	}
	n := copy(p[:min(len(p), 32<<10)], w.src[w.n:])
	w.n += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (w *watched) check() {
	if w.returned.Load() {
		w.misused.Store(true)
	}
}
