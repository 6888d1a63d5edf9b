package deltalog

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProtocolCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Protocol
		want error
		says string
	}{
		{"first", Protocol{MinReaderVersion: 1, MinWriterVersion: 2}, nil, ""},
		{"column mapping by version", Protocol{MinReaderVersion: 2, MinWriterVersion: 5}, nil, ""},
		{"known features", Protocol{3, 7, []string{"deletionVectors", "v2Checkpoint", "variantType-preview"}, nil}, nil, ""},
		{"catalog-managed", Protocol{3, 7, []string{"catalogManaged"}, []string{"catalogManaged"}}, nil, ""},
		{"unknown writer feature", Protocol{3, 7, nil, []string{"newThing"}}, nil, ""},
		{"newer writer version", Protocol{MinReaderVersion: 1, MinWriterVersion: 9}, nil, ""},
		{"unknown reader feature", Protocol{3, 7, []string{"deletionVectors", "newThing"}, nil}, ErrUnsupported, `"newThing"`},
		{"unknown reader feature under an old version", Protocol{1, 2, []string{"newThing"}, nil}, ErrUnsupported, `"newThing"`},
		{"adaptive metadata", Protocol{3, 7, []string{"adaptiveMetadata-preview"}, nil}, ErrUnsupported, "adaptiveMetadata-preview"},
		{"adaptive metadata among writer features", Protocol{1, 7, nil, []string{"adaptiveMetadata"}}, ErrUnsupported, "adaptiveMetadata"},
		{"newer reader version", Protocol{MinReaderVersion: 4, MinWriterVersion: 7}, ErrUnsupported, "reader version 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.p.Check()
			require.ErrorIs(t, err, c.want)
			if err != nil {
				assert.Contains(t, err.Error(), c.says)
			}
		})
	}
}

func TestTimestamps(t *testing.T) {
	ict := int64(1_700_000_000_123)
	stated, plain := &Commit{InCommitTimestamp: &ict}, &Commit{}
	modified := time.Date(2024, 2, 3, 4, 5, 6, 789_999_999, time.FixedZone("", 3600))

	assert.Equal(t, ict, CommitTimestamp(stated, modified))
	assert.Equal(t, int64(1706929506789), CommitTimestamp(plain, modified), "milliseconds, cut and not rounded")
	assert.Equal(t, int64(-1), CommitTimestamp(plain, time.Unix(0, -1)), "before 1970 it is the millisecond that began")

	assert.Equal(t, int64(20), Monotone(plain, 20, 10))
	assert.Equal(t, int64(11), Monotone(plain, 10, 10))
	assert.Equal(t, int64(11), Monotone(plain, 5, 10))
	assert.Equal(t, int64(5), Monotone(stated, 5, 10), "a writer of in-commit timestamps answers for them")
	for ms, isTime := range map[int64]bool{-1: false, 0: true, endOfTimes - 1: true, endOfTimes: false, 1<<63 - 1: false} {
		odd := &Commit{InCommitTimestamp: &ms}
		raw := CommitTimestamp(odd, modified)
		assert.Equal(t, isTime, raw == ms, ms)
		assert.Equal(t, isTime, Monotone(odd, raw, raw) == raw, ms)
	}
	assert.Equal(t, 9999, time.UnixMilli(endOfTimes-1).UTC().Year())
}

func TestProtocolCatalog(t *testing.T) {
	for feature, want := range map[string]string{"catalogManaged": "catalogManaged", "coordinatedCommits-preview": "coordinatedCommits-preview", "deletionVectors": ""} {
		assert.Equal(t, want, Protocol{3, 7, []string{feature}, []string{feature}}.Catalog())
	}
}
