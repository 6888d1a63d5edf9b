package remote_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// wrongBit is a store of which one bit of one object is read wrong.
type wrongBit struct {
	storage.Store
	key string
	at  int
}

func (s wrongBit) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := s.Store.Open(ctx, key, off, n)
	if err != nil || key != s.key {
		return r, err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	b[s.at] ^= 1 // makes of each digit another one
	return io.NopCloser(bytes.NewReader(b)), r.Close()
}

// A wrong bit in the head or in the identity of a store is nothing to stop for: the head
// is a hint, and the identity will be read again. It must not pass for another history,
// or for a newer format, at which Follow gives up.
func TestWrongBitInSmallObjects(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 2, 100)
	source.mustPush(store)
	replica := restored(t, store)
	for _, key := range []string{"sluice.json", "backups/head.json"} {
		size := len(content(t, store, key))
		damaged := 0
		for at := range size {
			faulty := wrongBit{store, key, at}
			for mode, dir := range map[remote.Mode]string{remote.ModePull: replica, remote.ModePush: source.dir} {
				_, err := replicator(t, dir, faulty, &remote.Options{Mode: mode}).Run(t.Context())
				if err != nil {
					require.ErrorIs(t, err, remote.ErrCorrupt, "%s %s, byte %d", mode, key, at)
					damaged++
				}
			}
		}
		if key == "sluice.json" {
			require.Greater(t, damaged, size/2)
		} else {
			require.Zero(t, damaged, "a listing takes its place")
		}
	}
}

var sum = regexp.MustCompile(`"sum": "([0-9a-f]{64})"`)

// resealed is a small object with the sum that it ought to have.
func resealed(object []byte) []byte {
	b := bytes.Clone(object)
	at := sum.FindSubmatchIndex(b)
	digits := b[at[2]:at[3]]
	copy(digits, zeros)
	hex.Encode(digits, sha256Of(b))
	return b
}

func sha256Of(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// All small objects have the sum that FORMAT.md describes.
func TestSmallObjectsAreSealed(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(6, 2, 100)
	source.pushSingly(store)
	r := replicator(t, source.dir, store, nil)
	_, err := r.Base(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.Pin(t.Context(), zeros, 1))
	source.churn(2, 2, 100)
	source.mustPush(store)
	consolidate(t, store)
	_, err = r.Prune(t.Context(), remote.PruneOptions{KeepVersions: 2})
	require.NoError(t, err)
	_, err = r.Prune(t.Context(), remote.PruneOptions{KeepVersions: 2, Delete: true})
	require.NoError(t, err)
	kinds := map[string]bool{}
	for _, key := range keysWith(t, store, ".json") {
		b := content(t, store, key)
		require.Contains(t, string(b), `"sum": "`, key)
		require.Equal(t, string(resealed(b)), string(b), key)
		kinds[strings.TrimRight(key, "-0123456789.json")] = true
	}
	require.Len(t, kinds, 5, "%v", kinds)
}
