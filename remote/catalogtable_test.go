package remote_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// A table that belongs to a catalog is copied as it is, and who pushes is warned.
func TestPushOfATableOfACatalog(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	actions := begin("owned")
	actions[0] = action{"protocol": map[string]any{"minReaderVersion": 3, "minWriterVersion": 7,
		"readerFeatures": []string{"catalogManaged"}, "writerFeatures": []string{"catalogManaged"}}}
	source.commit(actions...)
	var log bytes.Buffer
	_, err := replicator(t, source.dir, store, &remote.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}).Push(t.Context())
	require.NoError(t, err)
	require.Contains(t, log.String(), "belongs to a catalog")
	require.Contains(t, log.String(), "feature=catalogManaged")
	requireSame(t, source.dir, restored(t, store))
}

// A shallow clone is refused, and no later version of this program is promised to take it.
func TestPushOfAShallowClone(t *testing.T) {
	source := newPond(t)
	source.commit(append(begin("clone"), add("file:///other/table/f.parquet", "x"))...)
	_, err := source.push(storage.NewMemory())
	require.ErrorIs(t, err, deltalog.ErrAbsolutePath)
	require.ErrorIs(t, err, remote.ErrUnsupported)
	require.ErrorContains(t, err, "as a deep clone does")
	require.NotContains(t, err.Error(), "newer version")
}
