package deltalog

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func commitName(v Version) string { return v.String() + ".json" }

func TestListingTip(t *testing.T) {
	commits := func(versions ...Version) (names []string) {
		for _, v := range versions {
			names = append(names, commitName(v))
		}
		return names
	}
	classic := func(v Version) string { return v.String() + ".checkpoint.parquet" }
	part := func(v Version, n, of int) string {
		return fmt.Sprintf("%s.checkpoint.%010d.%010d.parquet", v, n, of)
	}
	const uuid = "3a0e4727-de0d-41b6-81ef-5223cf40f025"
	plus := func(names []string, more ...string) []string { return append(names, more...) }
	for _, c := range []struct {
		name  string
		names []string
		tip   Version
		err   error
		says  string
	}{
		{"version 0 alone", commits(0), 0, nil, ""},
		{"in no order", commits(2, 0, 1), 2, nil, ""},
		{"listed twice", commits(0, 1, 1), 1, nil, ""},
		{"checkpoints of a whole log", plus(commits(0, 1, 2), classic(1), part(2, 1, 2)), 2, nil, ""},
		{"strangers", plus(commits(0), "00000000000000000001.json.tmp", "."+commitName(1)+".crc", "00000000000000000001.crc",
			"1.json", "000000000000000000001.json", "0000000000000000000x.json", "00000000000000000000.00000000000000000009.compacted.json",
			"_commit_"+uuid+".json.tmp", "_last_checkpoint", "_staged_commits", "99999999999999999999.json", "+0000000000000000001.json"), 0, nil, ""},
		{"nothing", nil, 0, ErrNoTable, ""},
		{"strangers alone", []string{"_last_checkpoint", "00000000000000000000.crc"}, 0, ErrNoTable, ""},
		{"hole (H6)", commits(0, 2), 0, ErrCorrupt, "lacks commit 1"},
		{"begins above 0", commits(3, 4), 0, ErrCorrupt, "lacks commit 0"},
		{"begins at a checkpoint (H1)", plus(commits(5, 6), classic(5)), 0, ErrUnsupported, "begins at checkpoint 5"},
		{"begins below its checkpoint", plus(commits(5, 6, 7), classic(6), classic(7)), 0, ErrUnsupported, "begins at checkpoint 6"},
		{"begins right above its checkpoint", plus(commits(6, 7), classic(5)), 0, ErrUnsupported, "begins at checkpoint 5"},
		{"only a checkpoint (H14)", []string{classic(108)}, 0, ErrUnsupported, "begins at checkpoint 108"},
		{"checkpoint above all commits", plus(commits(0, 1), classic(4)), 0, ErrUnsupported, "checkpoint 4 and lacks commit 2"},
		{"checkpoint right above all commits", plus(commits(0, 1), classic(2)), 0, ErrUnsupported, "checkpoint 2 and lacks commit 2"},
		{"hole above the checkpoint", plus(commits(0, 1, 2, 4), classic(1)), 0, ErrCorrupt, "lacks commit 3"},
		{"hole below the checkpoint", plus(commits(0, 2, 3), classic(2)), 0, ErrUnsupported, "begins at checkpoint 2"},
		{"second hole above the checkpoint", plus(commits(3, 4, 6), classic(4)), 0, ErrCorrupt, "lacks commit 0"},
		{"all parts", plus(commits(5), part(5, 1, 2), part(5, 2, 2)), 0, ErrUnsupported, "begins at checkpoint 5"},
		{"a part is missing", plus(commits(5), part(5, 1, 2)), 0, ErrCorrupt, "lacks commit 0"},
		{"parts of different sets", plus(commits(5), part(5, 1, 2), part(5, 2, 3)), 0, ErrCorrupt, "lacks commit 0"},
		{"a part alone", []string{part(5, 1, 2)}, 0, ErrCorrupt, "no complete checkpoint"},
		{"part beyond the number of parts", plus(commits(5), part(5, 3, 2), part(5, 1, 2)), 0, ErrCorrupt, "lacks commit 0"},
		{"checkpoint with a uuid", plus(commits(5), Version(5).String()+".checkpoint."+uuid+".json"), 0, ErrUnsupported, "begins at checkpoint 5"},
		{"foreign end", plus(commits(5), Version(5).String()+".checkpoint."+uuid+".tmp"), 0, ErrCorrupt, "lacks commit 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tip, err := newListing(c.names).tip(func(Version) (bool, error) { return false, nil })
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, c.tip, tip)
			if err != nil {
				assert.Contains(t, err.Error(), c.says)
			}
		})
	}
}

// TestListingMissesCommits: a listing taken while commits appear may show a
// later one and not an earlier.
func TestListingMissesCommits(t *testing.T) {
	l := newListing([]string{commitName(0), commitName(3), commitName(5), Version(6).String() + ".checkpoint.parquet"})
	all := func(Version) (bool, error) { return true, nil }
	tip, err := l.tip(all)
	require.NoError(t, err)
	assert.Equal(t, Version(5), tip)

	_, err = l.tip(func(v Version) (bool, error) { return v != 4, nil })
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorContains(t, err, "lacks commit 4")

	broken := errors.New("disk")
	_, err = l.tip(func(Version) (bool, error) { return false, broken })
	require.ErrorIs(t, err, broken)
}
