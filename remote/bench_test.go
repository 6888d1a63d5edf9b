package remote_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// benchSize is what one version of the benchmarks brings, in bytes.
const benchSize = 64 << 10

// benchPond is a table of n versions with one file each, and an empty folder as its
// store.
func benchPond(b *testing.B, n int) (*pond, storage.Store) {
	b.Helper()
	p := newPond(b)
	p.grow(n)
	return p, folder(b)
}

func folder(b *testing.B) storage.Store {
	b.Helper()
	dir, err := storage.OpenDir(filepath.Join(b.TempDir(), "store"))
	require.NoError(b, err)
	return dir
}

func (p *pond) grow(n int) {
	p.t.Helper()
	for range n {
		v := uint64(p.next)
		path, content := fmt.Sprintf("part-%d.parquet", v), noise(v, benchSize)
		p.write(path, content)
		actions := []action{add(path, content)}
		if v == 0 {
			actions = append(begin("bench"), actions...)
		}
		p.commit(actions...)
	}
}

// BenchmarkPushOne is the post-commit hook of a host: one more version, from a
// process that has pushed before, after 10 and after 2,000 versions.
func BenchmarkPushOne(b *testing.B) {
	for _, history := range []int{10, 2000} {
		b.Run(fmt.Sprint(history), func(b *testing.B) {
			p, store := benchPond(b, history)
			r := replicator(b, p.dir, store, nil)
			_, err := r.Push(b.Context())
			require.NoError(b, err)
			b.SetBytes(benchSize)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				p.grow(1)
				b.StartTimer()
				report, err := r.Push(b.Context())
				require.NoError(b, err)
				require.Equal(b, 1, report.Versions)
			}
		})
	}
}

// BenchmarkPush is a first push.
func BenchmarkPush(b *testing.B) {
	const versions = 500
	p, _ := benchPond(b, versions)
	b.SetBytes(versions * benchSize)
	b.ReportAllocs()
	for b.Loop() {
		report, err := replicator(b, p.dir, folder(b), nil).Push(b.Context())
		require.NoError(b, err)
		require.Equal(b, versions, report.Versions)
	}
}

// BenchmarkInit restores all versions, in both ways that a replica can be durable.
func BenchmarkInit(b *testing.B) {
	const versions = 500
	p, store := benchPond(b, versions)
	p.mustPush(store)
	for name, d := range map[string]remote.Durability{"full": remote.DurabilityFull, "relaxed": remote.DurabilityRelaxed} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(versions * benchSize)
			b.ReportAllocs()
			for b.Loop() {
				dir := filepath.Join(b.TempDir(), "replica")
				report, err := replicator(b, dir, store, &remote.Options{Durability: d}).Init(b.Context())
				require.NoError(b, err)
				require.Equal(b, versions, report.Versions)
			}
		})
	}
}

// BenchmarkPullOne applies one more version.
func BenchmarkPullOne(b *testing.B) {
	p, store := benchPond(b, 10)
	p.mustPush(store)
	r := replicator(b, restored(b, store), store, nil)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		p.grow(1)
		p.mustPush(store)
		b.StartTimer()
		report, err := r.Pull(b.Context())
		require.NoError(b, err)
		require.Equal(b, 1, report.Versions)
	}
}
