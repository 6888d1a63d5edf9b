package remote_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
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

// engineCheckpoint writes the checkpoint of a version as another program might: as ours, with
// bytes that mean nothing before the footer.
func (p *pond) engineCheckpoint(v deltalog.Version) []string {
	p.t.Helper()
	path := v.CheckpointPath()
	_, err := openTable(p.t, p.dir).WriteCheckpoint(p.t.Context(), v, nil)
	require.NoError(p.t, err)
	b := readLocal(p.t, p.dir, path)
	footer := len(b) - 8 - int(binary.LittleEndian.Uint32([]byte(b[len(b)-8:])))
	p.write(path, b[:footer]+"by an engine"+b[footer:])
	return []string{path}
}

// engineParts does that in two files, of which each has all.
func (p *pond) engineParts(v deltalog.Version) []string {
	p.t.Helper()
	whole := p.engineCheckpoint(v)[0]
	b := readLocal(p.t, p.dir, whole)
	require.NoError(p.t, os.Remove(filepath.Join(p.dir, whole)))
	parts := []string{logFile(v, "checkpoint.0000000001.0000000002.parquet"), logFile(v, "checkpoint.0000000002.0000000002.parquet")}
	for _, path := range parts {
		p.write(path, b)
	}
	return parts
}

func readLocal(t testing.TB, dir, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
	require.NoError(t, err)
	return string(b)
}

func logFile(v deltalog.Version, rest string) string {
	return deltalog.LogDir + "/" + v.String() + "." + rest
}

// engineSidecar writes a checkpoint of V2 of a version of churn, with one sidecar.
func (p *pond) engineSidecar(v deltalog.Version) []string {
	p.t.Helper()
	type file struct {
		Path             string            `parquet:"path"`
		PartitionValues  map[string]string `parquet:"partitionValues"`
		Size             int64             `parquet:"size"`
		ModificationTime int64             `parquet:"modificationTime"`
		DataChange       bool              `parquet:"dataChange"`
	}
	type row struct {
		Add *file `parquet:"add,optional"`
	}
	var rows []row
	for path, content := range liveFiles(p.t.(*testing.T), p.dir, v) {
		rows = append(rows, row{&file{Path: path, Size: int64(len(content)), ModificationTime: 1}})
	}
	var sidecar bytes.Buffer
	require.NoError(p.t, parquet.Write(&sidecar, rows))
	const name = "3a0e4727-de0d-41b6-81ef-5223cf40f025"
	paths := []string{logFile(v, "checkpoint."+name+".json"), deltalog.LogDir + "/_sidecars/" + name + ".parquet"}
	p.write(paths[1], sidecar.String())
	var top strings.Builder
	for _, a := range append(begin("churn"),
		action{"checkpointMetadata": map[string]any{"version": v}},
		action{"sidecar": map[string]any{"path": name + ".parquet", "sizeInBytes": sidecar.Len(), "modificationTime": 1}}) {
		require.NoError(p.t, json.NewEncoder(&top).Encode(a))
	}
	p.write(paths[0], top.String())
	p.write(deltalog.LastCheckpointPath, fmt.Sprintf(`{"version":%d,"size":%d}`, int64(v), len(rows)+4))
	return paths
}

// H13: so does a base, whatever its files; who begins with the base has what only they have.
func TestH13BaseCarriesTheCheckpointOfTheSource(t *testing.T) {
	requireFiles := func(t *testing.T, source *pond, dir string, paths []string) {
		t.Helper()
		for _, path := range paths {
			require.Equal(t, readLocal(t, source.dir, path), readLocal(t, dir, path), path)
		}
		require.Equal(t, liveFiles(t, source.dir, source.next-1), liveFiles(t, dir, source.next-1))
	}
	for name, write := range map[string]func(*pond, deltalog.Version) []string{
		"one file": (*pond).engineCheckpoint, "a sidecar": (*pond).engineSidecar,
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(6, 3, 10)
			files := write(source, 5)
			source.mustPush(store)
			_, err := replicator(t, source.dir, store, nil).Base(t.Context())
			require.NoError(t, err)
			source.churn(2, 3, 10)
			source.mustPush(store)
			live, _ := initLive(t, store, remote.Options{})
			requireFiles(t, source, live, files)

			cleaned := storage.NewMemory()
			source.dropBelow(5)
			report := source.mustPush(cleaned)
			require.Equal(t, deltalog.Version(5), *report.Base)
			requireFiles(t, source, restored(t, cleaned), files)
		})
	}
}

// Classic parts have the same names each time. Written again while they are read, they may
// divide the state otherwise, so neither a bundle nor a base carries them.
func TestCheckpointInPartsIsNotCarried(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(6, 3, 10)
	source.mustPush(store)
	parts := source.engineParts(5)
	require.Equal(t, []deltalog.Version{5}, checkpointsOf(t, source.dir))
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	source.churn(1, 3, 10)
	source.mustPush(store)
	for _, dir := range []string{restored(t, store), func() string { dir, _ := initLive(t, store, remote.Options{}); return dir }()} {
		for _, path := range parts {
			require.NoFileExists(t, filepath.Join(dir, path))
		}
		require.Equal(t, liveFiles(t, source.dir, 6), liveFiles(t, dir, 6))
	}
}

// One that cannot be read, or that no bundle can carry, is no help: the base has one of ours.
func TestBaseWithoutTheCheckpointOfTheSource(t *testing.T) {
	for name, spoil := range map[string]func(*pond, []string){
		"damaged": func(p *pond, files []string) { p.write(files[1], readLocal(p.t, p.dir, files[1])[1:]) },
		"a name that no bundle can carry": func(p *pond, files []string) {
			odd := deltalog.LogDir + "/_sidecars/odd name.parquet"
			p.write(odd, readLocal(p.t, p.dir, files[1]))
			p.write(files[0], strings.ReplaceAll(readLocal(p.t, p.dir, files[0]), filepath.Base(files[1]), "odd%20name.parquet"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(6, 3, 10)
			spoil(source, source.engineSidecar(5))
			source.mustPush(store)
			_, err := replicator(t, source.dir, store, nil).Base(t.Context())
			require.NoError(t, err)
			source.churn(1, 3, 10) // whose bundle does without, too
			source.mustPush(store)
			dir, _ := initLive(t, store, remote.Options{})
			require.Equal(t, liveFiles(t, source.dir, 6), liveFiles(t, dir, 6))
			require.FileExists(t, filepath.Join(dir, deltalog.Version(5).CheckpointPath()))
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
