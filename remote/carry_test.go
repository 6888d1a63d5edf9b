package remote_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// The deletion vector of these tests, and the file that holds it.
const vectorFile = "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"

var vector = map[string]any{"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 4, "sizeInBytes": 40, "cardinality": 6}

// marked gives an add or a remove the deletion vector.
func marked(a action) action {
	for _, body := range a {
		body.(map[string]any)["deletionVector"] = vector
	}
	return a
}

func withVectors(id string) []action {
	return []action{
		{"protocol": map[string]any{"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": []string{"deletionVectors"}, "writerFeatures": []string{"deletionVectors"}}},
		begin(id)[1],
	}
}

// TestWhatABundleCarries pushes each version from a fresh process, which has
// no memory of what was pushed before.
func TestWhatABundleCarries(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.write("f", "content of f")
	source.write(vectorFile, "vector")
	for _, step := range []struct {
		name    string
		actions []action
		files   int // the commit among them
	}{
		{"a new file", append(withVectors("x"), add("f", "content of f")), 2},
		{"a deletion vector for it: only the vector goes", []action{remove("f"), marked(add("f", "content of f"))}, 2},
		{"RESTORE takes the vector away: nothing goes", []action{marked(remove("f")), add("f", "content of f")}, 1},
		{"removed", []action{remove("f")}, 1},
		{"RESTORE adds it again: it goes again", []action{add("f", "content of f")}, 2},
		{"the entry is only repeated: it goes again", []action{add("f", "content of f")}, 2},
		{"no files at all", []action{{"commitInfo": map[string]any{"operation": "VACUUM END"}}}, 1},
	} {
		source.commit(step.actions...)
		require.Equal(t, step.files, source.mustPush(store).Files, step.name)
	}
	requireSame(t, source.dir, restored(t, store))
}

// TestKeptFileThatIsGone: a commit proves that a file was live, but neither it
// nor any bundle has the bytes. The versions must still restore.
func TestKeptFileThatIsGone(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.write("g", "content of g")
	source.commit(append(withVectors("x"), add("f", "content of f"), add("g", "content of g"))...)
	source.write(vectorFile, "vector")
	source.commit(remove("f"), marked(add("f", "content of f")))
	source.commit(marked(remove("f")))
	require.NoError(t, os.Remove(filepath.Join(source.dir, vectorFile)))
	report := source.mustPush(store)
	require.Equal(t, 3, report.Absent, "f twice, its vector once")
	requireSame(t, source.dir, restored(t, store))
}
