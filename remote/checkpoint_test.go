package remote_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

func checkpointsOf(t *testing.T, dir string) (versions []deltalog.Version) {
	t.Helper()
	all, err := openTable(t, dir).Checkpoints(t.Context(), 0)
	require.NoError(t, err)
	for _, c := range all {
		versions = append(versions, c.Version)
	}
	return versions
}

// interval commits the table's checkpoint interval.
func (p *pond) interval(n string) {
	p.t.Helper()
	actions := begin("checkpoints")
	actions[1]["metaData"].(map[string]any)["configuration"] = map[string]string{"delta.checkpointInterval": n}
	p.commit(actions...)
}

func TestH36ReplicaGetsCheckpoints(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.interval("15")
	source.churn(9, 4, 10)
	source.mustPush(store)
	replica := restored(t, store)
	require.Empty(t, checkpointsOf(t, replica))
	pull := func(n int) {
		source.churn(n, 4, 10)
		source.mustPush(store)
		_, err := replicator(t, replica, store, nil).Pull(t.Context())
		require.NoError(t, err)
	}
	pull(3) // to version 12: far enough to look, not yet to write
	require.Empty(t, checkpointsOf(t, replica))
	pull(8)
	require.Equal(t, []deltalog.Version{20}, checkpointsOf(t, replica))
	pull(14)
	require.Equal(t, []deltalog.Version{20}, checkpointsOf(t, replica))
	pull(1)
	require.Equal(t, []deltalog.Version{20, 35}, checkpointsOf(t, replica))
	last, err := openTable(t, replica).LastCheckpoint(t.Context())
	require.NoError(t, err)
	require.Equal(t, deltalog.Version(35), last)

	state, err := openTable(t, replica).Snapshot(t.Context(), 35, nil)
	require.NoError(t, err)
	require.Equal(t, deltalog.Version(35), *state.Base, "it is what a reader begins with")
	require.NoError(t, state.Close())
	assert.Equal(t, liveFiles(t, source.dir, 35), liveFiles(t, replica, 35))
}

// The source's own checkpoint appears after its version was pushed, and comes
// with the next one, as it is.
func TestH13CheckpointOfTheSourceIsCarried(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(11, 4, 10)
	source.mustPush(store)
	_, err := openTable(t, source.dir).WriteCheckpoint(t.Context(), 10, nil)
	require.NoError(t, err)
	replica := restored(t, store)
	require.Empty(t, checkpointsOf(t, replica))

	source.churn(3, 4, 10)
	source.mustPush(store)
	_, err = replicator(t, replica, store, nil).Pull(t.Context())
	require.NoError(t, err)
	name := filepath.Join(deltalog.LogDir, deltalog.Version(10).String()+".checkpoint.parquet")
	want, err := os.ReadFile(filepath.Join(source.dir, name))
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(replica, name))
	require.NoError(t, err)
	require.Equal(t, want, got)

	require.Equal(t, []deltalog.Version{10}, checkpointsOf(t, restored(t, store)), "an init brings it as well")
}

// A checkpoint is only a help: one with a sidecar whose name no bundle can carry does not
// stop a push.
func TestCheckpointOfOddNamesIsLeftOut(t *testing.T) {
	for name, carried := range map[string]bool{
		"plain-1_a.b.parquet": true, "a b.parquet": false, "größe.parquet": false, "part=1.parquet": false, ".x.parquet": false, "x.orc": false,
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.append("zero")
			source.append("one")
			source.mustPush(store)
			source.write(deltalog.LogDir+"/_sidecars/"+name, "the state")
			source.write(deltalog.LogDir+"/00000000000000000001.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json",
				`{"checkpointMetadata":{"version":1}}{"sidecar":{"path":"`+name+`","sizeInBytes":9,"modificationTime":1}}`)
			source.write(deltalog.LastCheckpointPath, `{"version":1,"size":2}`)
			source.append("two")
			source.mustPush(store)
			replica := restored(t, store)
			require.FileExists(t, filepath.Join(replica, deltalog.Version(2).CommitPath()))
			_, err := os.Stat(filepath.Join(replica, deltalog.LogDir, "_sidecars", name))
			require.Equal(t, carried, err == nil, "%v", err)
		})
	}
}

// A checkpoint that the replica has already under that name stays.
func TestCarriedCheckpointReplacesNothing(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(11, 4, 10)
	source.mustPush(store)
	replica := restored(t, store)
	own := filepath.Join(replica, deltalog.LogDir, deltalog.Version(10).String()+".checkpoint.parquet")
	require.NoError(t, os.WriteFile(own, []byte("of its own"), 0o644))
	_, err := openTable(t, source.dir).WriteCheckpoint(t.Context(), 10, nil)
	require.NoError(t, err)
	source.churn(1, 4, 10)
	source.mustPush(store)
	_, err = replicator(t, replica, store, nil).Pull(t.Context())
	require.NoError(t, err)
	after, err := os.ReadFile(own)
	require.NoError(t, err)
	require.Equal(t, "of its own", string(after))
	require.NotEmpty(t, checkpointsOf(t, restored(t, store)), "else it was not carried")
}

// Of a table with a feature that is not known, a checkpoint of ours might lack
// something: the replica does without.
func TestH36NoCheckpointOfWhatIsNotKnown(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.interval("10")
	source.commit(action{"protocol": map[string]any{"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": []string{"fromTheFuture"}}})
	for range 20 {
		source.append("x")
	}
	source.mustPush(store)
	replica := restored(t, store)
	requireSame(t, source.dir, replica)
	require.Empty(t, checkpointsOf(t, replica))
	require.NoFileExists(t, filepath.Join(replica, deltalog.LogDir, "_last_checkpoint"))
}
