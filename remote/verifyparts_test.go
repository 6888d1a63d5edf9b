package remote_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// rewriteBase replaces a base by another one. edit changes what it says, its members by path
// and its index, of which the lines for what the base itself carries count for nothing.
func rewriteBase(t *testing.T, store storage.Store, key string, edit func(b *bundle.Base, members map[string][]byte)) {
	t.Helper()
	codec, err := bundle.NewCodec(nil)
	require.NoError(t, err)
	members := map[string][]byte{}
	b, err := codec.DecodeBase(t.Context(), bytes.NewReader(read(t, store, key)), func(_ context.Context, m bundle.Member, r io.Reader) (err error) {
		members[m.Path], err = io.ReadAll(r)
		return err
	})
	require.NoError(t, err)
	edit(&b, members)
	path := bundle.IndexPath(b.Version)
	own := fmt.Sprintf(`"version":%d,"in_base":true`, b.Version) // which EncodeBase adds
	edited := members[path]
	members[path] = nil
	for line := range bytes.Lines(edited) {
		if !bytes.Contains(line, []byte(own)) {
			members[path] = append(members[path], line...)
			continue
		}
		var e bundle.IndexEntry
		require.NoError(t, json.Unmarshal(line, &e))
		b.Live.Files--
		b.Live.Bytes -= e.Size
	}
	var out bytes.Buffer
	_, err = codec.EncodeBase(t.Context(), &out, b, func(_ context.Context, path string) (io.ReadCloser, int64, error) {
		return io.NopCloser(bytes.NewReader(members[path])), int64(len(members[path])), nil
	})
	require.NoError(t, err)
	spoil(t, store, key, func([]byte) []byte { return out.Bytes() })
}

// rewriteIndex replaces a base by one whose index says something else.
func rewriteIndex(t *testing.T, store storage.Store, key string, edit func([]byte) []byte) {
	t.Helper()
	rewriteBase(t, store, key, func(b *bundle.Base, members map[string][]byte) {
		path := bundle.IndexPath(b.Version)
		edited := edit(bytes.Clone(members[path]))
		require.NotEqual(t, members[path], edited)
		members[path] = edited
	})
}

// An index that names a part which has not got the file is found without reading any data.
func TestVerifyFindsAWrongPart(t *testing.T) {
	source, store := oldPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	parts := keysWith(t, store, "/part-")
	slices.Sort(parts)
	name := func(key string) string {
		_, after, _ := strings.Cut(key, "/part-")
		return strings.TrimSuffix(after, ".tar.zst")
	}
	a, b := name(parts[0]), name(parts[1]) // behind each other in the index
	rewriteIndex(t, store, "backups/version-000002/base.tar.zst", func(index []byte) []byte {
		lines := strings.SplitAfter(string(index), "\n")
		var ofA, ofB []string // what will be said of them
		first := len(lines)
		for i, line := range lines {
			switch {
			case strings.Contains(line, a):
				ofB = append(ofB, strings.Replace(line, a, b, 1))
			case strings.Contains(line, b):
				ofA = append(ofA, strings.Replace(line, b, a, 1))
			default:
				continue
			}
			first = min(first, i)
		}
		both := slices.Concat(ofA, ofB)
		require.Len(t, both, 4)
		return []byte(strings.Join(slices.Replace(lines, first, first+4, both...), ""))
	})
	for _, data := range bothDepths {
		v := verify(t, "", store, remote.VerifyOptions{Data: data})
		require.ErrorIs(t, v.Err(), remote.ErrGap, "%+v", v.Findings)
		require.Len(t, v.Findings, 5, "the gap and the files")
	}
	_, err := replicator(t, t.TempDir(), store, nil).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrCorrupt)
}

// What cannot be read is told once, whatever refers to it, and hides nothing else.
func TestVerifyTellsDamageOnce(t *testing.T) {
	source, store := oldPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	_, err := replicator(t, source.dir, store, nil).Base(t.Context()) // refers to the parts and to the first base
	require.NoError(t, err)
	half := func(b []byte) []byte { return b[:len(b)/2] }
	spoil(t, store, "backups/version-000002/base.tar.zst", half)
	found := kinds(verify(t, "", store, remote.VerifyOptions{Data: true}))
	require.Equal(t, 1, strings.Count(strings.Join(found, "\n"), "backups/version-000002/base.tar.zst"), found)
	spoil(t, store, "backups/version-000002/bundle.tar.zst", half)
	part := keysWith(t, store, "/part-")[0]
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), part))
	found = kinds(verify(t, "", store, remote.VerifyOptions{Data: true}))
	require.Contains(t, found, "missing "+part, "though the bundle of its version is damaged")
}

// Parts that only a base names are read once by a Verify that is carried on.
func TestVerifyGoesOnWithPartsOfABase(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.commitLarge(10, 200_000)
	source.append("x")
	source.cleanUp(1)
	r := replicator(t, source.dir, store, nil)
	remote.SetPartSize(r, 500_000)
	_, err := r.Push(t.Context())
	require.NoError(t, err)
	require.Len(t, keysWith(t, store, "/part-"), 4)
	opts := remote.VerifyOptions{Data: true, State: filepath.Join(t.TempDir(), "state")}
	whole := verify(t, "", store, remote.VerifyOptions{Data: true}).Requests
	for n := 1; ; n++ {
		faulty, _ := storagetest.Fault(store, storagetest.FaultPlan{Kind: storagetest.FaultBefore, N: n, Times: 1000, Err: errStopped})
		_, err := storeOnly(t, faulty, &remote.Options{Concurrency: 1}).Verify(t.Context(), opts)
		require.ErrorIs(t, err, errStopped)
		state, err := os.ReadFile(opts.State)
		if !os.IsNotExist(err) {
			require.NoError(t, err)
		}
		if bytes.Count(state, []byte("/part-")) >= 2 {
			break
		}
	}
	v := verify(t, "", store, opts)
	require.Equal(t, []string{"gap backups/version-000001/bundle.tar.zst"}, kinds(v))
	assert.Less(t, v.Requests.Received, whole.Received*4/5, "two parts and the base")
	require.NoFileExists(t, opts.State)
}

// A pin above a gap is one that can be restored.
func TestVerifyOfAPinAboveAGap(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 3, 100)
	source.mustPush(store)
	source.churn(6, 3, 100)
	source.cleanUp(6)
	source.mustPush(store)
	for _, v := range []remote.Pin{{Version: 1, Name: "below"}, {Version: 7, Name: "above"}} {
		require.NoError(t, replicator(t, source.dir, store, nil).Pin(t.Context(), v.Name, v.Version))
	}
	v := verify(t, source.dir, store, remote.VerifyOptions{})
	require.Equal(t, []string{"gap backups/version-000006/bundle.tar.zst"}, kinds(v))
}
