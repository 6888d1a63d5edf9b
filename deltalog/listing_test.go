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
		name       string
		names      []string
		start, tip Version
		err        error
		says       string
	}{
		{"version 0 alone", commits(0), 0, 0, nil, ""},
		{"in no order", commits(2, 0, 1), 0, 2, nil, ""},
		{"listed twice", commits(0, 1, 1), 0, 1, nil, ""},
		{"checkpoints of a whole log", plus(commits(0, 1, 2), classic(1), part(2, 1, 2)), 0, 2, nil, ""},
		{"strangers", plus(commits(0), "00000000000000000001.json.tmp", "."+commitName(1)+".crc", "00000000000000000001.crc",
			"1.json", "000000000000000000001.json", "0000000000000000000x.json", "00000000000000000000.00000000000000000009.compacted.json",
			"_commit_"+uuid+".json.tmp", "_last_checkpoint", "_staged_commits", "99999999999999999999.json", "+0000000000000000001.json"), 0, 0, nil, ""},
		{"nothing", nil, 0, 0, ErrNoTable, ""},
		{"strangers alone", []string{"_last_checkpoint", "00000000000000000000.crc"}, 0, 0, ErrNoTable, ""},
		{"hole (H6)", commits(0, 2), 0, 0, ErrCorrupt, "lacks commit 1"},
		{"begins above 0", commits(3, 4), 0, 0, ErrCorrupt, "lacks commit 0"},
		{"begins at a checkpoint (H1)", plus(commits(5, 6), classic(5)), 5, 6, nil, ""},
		{"begins below its checkpoint", plus(commits(5, 6, 7), classic(6), classic(7)), 6, 7, nil, ""},
		{"begins right above its checkpoint", plus(commits(6, 7), classic(5)), 6, 7, nil, ""},
		{"only a checkpoint (H14)", []string{classic(108)}, 0, 0, ErrUnsupported, "checkpoint 108 and no commit"},
		{"checkpoint above all commits", plus(commits(0, 1), classic(4)), 0, 0, ErrUnsupported, "checkpoint 4 and no commit"},
		{"checkpoint right above all commits", plus(commits(0, 1), classic(2)), 0, 0, ErrUnsupported, "checkpoint 2 and no commit"},
		{"hole above the checkpoint", plus(commits(0, 1, 2, 4), classic(1)), 0, 0, ErrCorrupt, "lacks commit 3"},
		{"hole below the checkpoint", plus(commits(0, 2, 3), classic(2)), 2, 3, nil, ""},
		{"second hole above the checkpoint", plus(commits(3, 4, 6), classic(4)), 0, 0, ErrCorrupt, "lacks commit 0"},
		{"all parts", plus(commits(5), part(5, 1, 2), part(5, 2, 2)), 5, 5, nil, ""},
		{"a part is missing", plus(commits(5), part(5, 1, 2)), 0, 0, ErrCorrupt, "lacks commit 0"},
		{"parts of different sets", plus(commits(5), part(5, 1, 2), part(5, 2, 3)), 0, 0, ErrCorrupt, "lacks commit 0"},
		{"a part alone", []string{part(5, 1, 2)}, 0, 0, ErrCorrupt, "no complete checkpoint"},
		{"part beyond the number of parts", plus(commits(5), part(5, 3, 2), part(5, 1, 2)), 0, 0, ErrCorrupt, "lacks commit 0"},
		{"checkpoint with a uuid", plus(commits(5), Version(5).String()+".checkpoint."+uuid+".json"), 5, 5, nil, ""},
		{"foreign end", plus(commits(5), Version(5).String()+".checkpoint."+uuid+".tmp"), 0, 0, ErrCorrupt, "lacks commit 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start, tip, err := spanOf(newListing(c.names), func(Version) (bool, error) { return false, nil })
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, c.start, start)
			assert.Equal(t, c.tip, tip)
			if err != nil {
				assert.Contains(t, err.Error(), c.says)
			}
		})
	}
}

func spanOf(l listing, has func(Version) (bool, error)) (start, tip Version, err error) {
	r, err := l.newestRun(has)
	if err != nil {
		return 0, 0, err
	}
	if start, err = l.start(r); err != nil {
		return 0, 0, err
	}
	return start, r.last, nil
}

// TestListingMissesCommits: a listing taken while commits appear may show a
// later one and not an earlier.
func TestListingMissesCommits(t *testing.T) {
	l := newListing([]string{commitName(0), commitName(3), commitName(5), Version(6).String() + ".checkpoint.parquet"})
	all := func(Version) (bool, error) { return true, nil }
	start, tip, err := spanOf(l, all)
	require.NoError(t, err)
	assert.Equal(t, Version(0), start)
	assert.Equal(t, Version(5), tip)

	l = newListing([]string{commitName(0), commitName(3), commitName(5)})
	_, _, err = spanOf(l, func(v Version) (bool, error) { return v != 4, nil })
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, "lacks commit 4")

	broken := errors.New("disk")
	_, _, err = spanOf(l, func(Version) (bool, error) { return false, broken })
	require.ErrorIs(t, err, broken)
}
