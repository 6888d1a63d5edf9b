package remote_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// Paths of sound tables that bundles refuse, because not every system holds what they
// mean: nothing is damaged, so the log's reader already has to say that they are not
// supported.
func TestPathsThatBundlesRefuse(t *testing.T) {
	for _, raw := range []string{
		"c%3Ax.parquet", "Z%3A/x", "_delta_log%20/x", "_delta_log./x", "_Delta_Log%3Ax/x", "_delta%E2%80%8D_log/x", "%E2%80%8B.sluice/x", ".sluice%20./x",
		`a\b`, "a%ff", strings.Repeat("n", 256), strings.Repeat("d/", 2048) + "f",
	} {
		_, err := deltalog.DecodePath(raw)
		require.ErrorIs(t, err, remote.ErrUnsupported, "%.80s", raw)
		require.NotErrorIs(t, err, remote.ErrCorrupt, "%.80s", raw)
	}

	p, store := newPond(t), storage.NewMemory()
	p.append("zero")
	p.mustPush(store)
	p.write("c:x.parquet", "content")
	p.commit(add("c%3Ax.parquet", "content"))
	_, err := p.push(store)
	require.ErrorIs(t, err, remote.ErrUnsupported)
	require.NotErrorIs(t, err, remote.ErrCorrupt)
}

// FuzzPaths: a bundle carries every file that the log's reader takes.
func FuzzPaths(f *testing.F) {
	for _, seed := range []string{
		"a=1/b%20c", "ab%3Ac", "a/c%3Ax", "_delta_log2/x", "..a/b..", "x/_delta_log/x", "_%C5%BF", "c%3A", "_delta_log%20.%3A%3A/x", "%EF%BB%BF.sluice",
		strings.Repeat("d/", 2047) + "ff", strings.Repeat("d/", 2048) + "f",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if path, err := deltalog.DecodePath(raw); err == nil {
			assert.NoError(t, bundle.CheckPath(path))
		}
	})
}
