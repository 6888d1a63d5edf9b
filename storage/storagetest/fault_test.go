package storagetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

const (
	oldText = "what was there before"
	newText = "what the operation brings"
)

var errInjected = errors.New("injected")

// operations on a store that holds oldText under "old" and "older". Each
// returns what it read.
var operations = map[string]func(ctx context.Context, s memory) (string, error){
	"create": func(ctx context.Context, s memory) (string, error) {
		return "", s.Create(ctx, "new", strings.NewReader(newText), int64(len(newText)))
	},
	"open": func(ctx context.Context, s memory) (string, error) {
		r, err := s.Open(ctx, "old", 0, -1)
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(r)
		return string(b), errors.Join(err, r.Close())
	},
	"list": func(ctx context.Context, s memory) (found string, err error) {
		for info, err := range s.List(ctx, "", "") {
			if err != nil {
				return found, err
			}
			found += info.Key + " "
		}
		return found, nil
	},
	"get": func(ctx context.Context, s memory) (string, error) {
		b, _, err := s.Get(ctx, "old")
		return string(b), err
	},
	"put": func(ctx context.Context, s memory) (string, error) {
		_, err := s.Put(ctx, "new", []byte(newText), "")
		return "", err
	},
	"delete": func(ctx context.Context, s memory) (string, error) { return "", s.Delete(ctx, "old") },
}

// outcome is what an operation read and what the store holds after it.
type outcome struct{ read, older, old, new string }

func newMemory(t *testing.T) memory {
	t.Helper()
	m := storage.NewMemory().(memory)
	for _, key := range []string{"old", "older"} {
		require.NoError(t, m.Create(t.Context(), key, strings.NewReader(oldText), -1))
	}
	return m
}

func look(t *testing.T, m memory, read string) outcome {
	t.Helper()
	content := func(key string) string {
		b, _, err := m.Get(t.Context(), key)
		if errors.Is(err, storage.ErrNotFound) {
			return "none"
		}
		require.NoError(t, err)
		return string(b)
	}
	return outcome{read, content("older"), content("old"), content("new")}
}

func TestFault(t *testing.T) {
	half := oldText[:len(oldText)/2]
	same := outcome{"", oldText, oldText, "none"}
	brought := outcome{"", oldText, oldText, newText}
	want := map[storagetest.FaultKind]map[string]outcome{
		storagetest.FaultBefore: {"create": same, "open": same, "list": same, "get": same, "put": same, "delete": same},
		storagetest.FaultAfter: {"create": brought, "open": same, "list": same, "get": same, "put": brought,
			"delete": {"", oldText, "none", "none"}},
		storagetest.FaultMiddle: {"create": same, "open": {half, oldText, oldText, "none"}, "list": {"old ", oldText, oldText, "none"},
			"get": same, "put": same, "delete": same},
	}
	for kind, outcomes := range want {
		for name, op := range operations {
			t.Run(fmt.Sprint(kind, " ", name), func(t *testing.T) {
				m := newMemory(t)
				s, faults := storagetest.Fault(m, storagetest.FaultPlan{Kind: kind, N: 1, Err: errInjected})
				read, err := op(t.Context(), s.(memory))
				require.ErrorIs(t, err, errInjected)
				require.NotErrorIs(t, err, storage.ErrUnavailable)
				require.Equal(t, outcomes[name], look(t, m, read))
				require.Equal(t, 1, faults.Fired())
				require.True(t, faults.Reached())
			})
		}
	}
}

// TestFaultFlip: one bit of what is moved differs, without a word.
func TestFaultFlip(t *testing.T) {
	for name, op := range operations {
		m, clean := newMemory(t), newMemory(t)
		s, faults := storagetest.Fault(m, storagetest.FaultPlan{Kind: storagetest.FaultFlip, N: 1})
		read, err := op(t.Context(), s.(memory))
		require.NoError(t, err, name)
		got := look(t, m, read)
		read, err = op(t.Context(), clean)
		require.NoError(t, err, name)
		different := bitsApart(t, fmt.Sprint(look(t, clean, read)), fmt.Sprint(got))
		if name == "list" || name == "delete" {
			require.Zero(t, different, name)
			require.False(t, faults.Reached(), "%s moves no content and does not count", name)
			continue
		}
		require.Equal(t, 1, different, name)
		require.Equal(t, 1, faults.Fired(), name)
	}
	s, faults := storagetest.Fault(storage.NewMemory(), storagetest.FaultPlan{Kind: storagetest.FaultFlip, N: 1})
	require.NoError(t, s.Create(t.Context(), "empty", strings.NewReader(""), 0))
	require.True(t, faults.Reached())
	require.Zero(t, faults.Fired(), "there is no bit")
}

func bitsApart(t *testing.T, a, b string) (n int) {
	t.Helper()
	require.Len(t, b, len(a))
	for i := range len(a) {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}

// TestFaultThrottle: a service that is overloaded for a while is survived by
// retries, if there are enough of them.
func TestFaultThrottle(t *testing.T) {
	for times, want := range map[int]error{1: nil, 3: nil, 4: storage.ErrUnavailable} {
		m := newMemory(t)
		s, faults := storagetest.Fault(m, storagetest.FaultPlan{Kind: storagetest.FaultBefore, N: 2, Times: times})
		retried := storage.Retry(s, &storage.RetryOptions{Attempts: 4, Sleep: func(context.Context, time.Duration) error { return nil }})
		_, err := operations["open"](t.Context(), retried.(memory))
		require.NoError(t, err, "the first operation")
		_, err = operations["create"](t.Context(), retried.(memory))
		require.ErrorIs(t, err, want, "%d times", times)
		require.Equal(t, times, faults.Fired())
	}
}

// TestFaultLoop is the loop of the documentation: it meets every operation once.
func TestFaultLoop(t *testing.T) {
	fired := 0
	for n := 1; ; n++ {
		s, faults := storagetest.Fault(newMemory(t), storagetest.FaultPlan{Kind: storagetest.FaultBefore, N: n})
		for _, name := range []string{"create", "list", "get"} {
			_, err := operations[name](t.Context(), s.(memory))
			require.Equal(t, fmt.Sprint(n) == map[string]string{"create": "1", "list": "2", "get": "3"}[name], err != nil, "%d: %s", n, name)
		}
		fired += faults.Fired()
		if !faults.Reached() {
			break
		}
	}
	require.Equal(t, 3, fired)
}

func TestFaultlessSuite(t *testing.T) {
	storagetest.RunWith(t, &storagetest.Options{LargeSize: 2 << 20}, func(*testing.T) storage.Store {
		s, _ := storagetest.Fault(storage.NewMemory(), storagetest.FaultPlan{Kind: storagetest.FaultBefore})
		return s
	})
}
