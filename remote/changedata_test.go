package remote_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// appendChanges commits a file and change data of its version.
func (p *pond) appendChanges() deltalog.Version {
	p.t.Helper()
	name := churnFile(int(p.next))
	p.write(name, "data")
	return p.commit(add(name, "data"), p.changes("_change_data/c-"+name))
}

// The change data feed of a replica has the version with which it begins.
func TestChangeDataOfTheFirstVersion(t *testing.T) {
	for name, how := range map[string]func(t *testing.T, source *pond, store storage.Store, v deltalog.Version){
		"live": func(_ *testing.T, source *pond, store storage.Store, _ deltalog.Version) {
			source.pushSingly(store)
			source.base(store)
		},
		"in a run": func(_ *testing.T, source *pond, store storage.Store, _ deltalog.Version) {
			source.mustPush(store)
			source.base(store)
		},
		"beyond a gap": func(_ *testing.T, source *pond, store storage.Store, v deltalog.Version) {
			source.cleanUp(v)
			source.mustPush(store)
		},
		"in a part": func(t *testing.T, source *pond, store storage.Store, _ deltalog.Version) {
			r := replicator(t, source.dir, store, &remote.Options{MaxVersions: 1})
			remote.SetPartSize(r, 20)
			for report := (remote.Report{Remaining: 1}); report.Remaining > 0; {
				var err error
				report, err = r.Push(t.Context())
				require.NoError(t, err)
			}
			require.NotEmpty(t, keysWith(t, store, "/part-"))
			source.base(store)
		},
		"pruned": func(t *testing.T, source *pond, store storage.Store, _ deltalog.Version) {
			source.pushSingly(store)
			source.base(store)
			pruneAll(t, store)
		},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.append("0")
			source.append("1")
			v := source.appendChanges()
			how(t, source, store, v)
			live, _ := initLive(t, store, remote.Options{})
			requireSpan(t, live, v, v)
			path := "_change_data/c-" + churnFile(int(v))
			require.Equal(t, "changes in "+path, readString(t, filepath.Join(live, path)))
			found, err := replicator(t, live, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
			require.NoError(t, err)
			require.NoError(t, found.Err())
			require.True(t, found.Table.Identical)
		})
	}
}

// Without the bundle a replica has all that its state needs, and its feed begins a version later.
func TestChangeDataOfADamagedBundle(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.append("1")
	source.commit(remove("part-00001.parquet"), source.changes("_change_data/c"))
	source.pushSingly(store)
	source.base(store)
	damage(t, store, bundleOf(2), 0.2)
	live, _ := initLive(t, store, remote.Options{})
	requireVersion(t, source, live, 2)
	require.NoFileExists(t, filepath.Join(live, "_change_data/c"))
}
