package remote

import (
	"math"
	"reflect"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/bundle"
)

// TestEncodeEntry: an entry comes back as it was, with all that it has now and may have later,
// and what was cut off or goes on is not taken for one.
func TestEncodeEntry(t *testing.T) {
	same := func(e bundle.IndexEntry) bool {
		b := encodeEntry(e)
		got, err := decodeEntry(b)
		if err != nil || !reflect.DeepEqual(e, got) {
			return false
		}
		for n := range b {
			if _, err := decodeEntry(b[:n]); err == nil {
				return false
			}
		}
		_, err = decodeEntry(append(b, 0))
		return err != nil
	}
	require.NoError(t, quick.Check(same, nil))
	require.True(t, same(bundle.IndexEntry{}))
	require.True(t, same(bundle.IndexEntry{Version: math.MinInt64, File: bundle.File{Path: "a\x00b", Size: math.MaxInt64, Place: &bundle.Place{}}}))
	huge := append(make([]byte, 1+len(bundle.Digest{})), 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)
	_, err := decodeEntry(huge)
	require.ErrorIs(t, err, errEntry, "a path longer than all that is there")
}
