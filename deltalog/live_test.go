package deltalog

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLive(t *testing.T) {
	at := func(offset string) string { return strings.Replace(vector(1), `"offset":1`, `"offset":`+offset, 1) }
	add := func(path, dv string) string { return `{"add":{"path":"` + path + `","deletionVector":` + dv + `}}` }
	remove := func(path, dv string) string { return `{"remove":{"path":"` + path + `","deletionVector":` + dv + `}}` }
	for _, c := range []struct {
		name    string
		commits []string
		want    []string
	}{
		{"nothing", []string{info}, nil},
		{"added and removed", []string{add("a", "null") + add("b", "null"), remove("a", "null")}, []string{"b"}},
		{"deletion vector", []string{add("a", "null"), add("a", vector(1)) + remove("a", "null")}, []string{"a", bin(1)}},
		{"its vector is no longer needed", []string{add("a", vector(1)), remove("a", vector(1)) + add("a", vector(2))}, []string{"a", bin(2)}},
		{"tombstone of another vector", []string{add("a", vector(1)), remove("a", vector(2))}, []string{"a", bin(1)}},
		{"tombstone of another place in the vector's file", []string{add("a", at("40")), remove("a", at("1"))}, []string{"a", bin(1)}},
		{"shared vector file", []string{add("a", at("1")) + add("b", at("40")), remove("a", at("1"))}, []string{"b", bin(1)}},
		{"tombstones of strangers", []string{add("a", "null"), remove("s3://b/a", "null") + remove("../a", "null")}, []string{"a"}},
		{"change data is not live", []string{`{"cdc":{"path":"c"}}`}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var live Live
			for _, commit := range c.commits {
				require.NoError(t, live.Apply(strings.NewReader(commit)))
			}
			want := map[string]bool{}
			for _, path := range c.want {
				want[path] = true
			}
			assert.Equal(t, want, live.Paths())
		})
	}
	for text, want := range map[string]error{"": ErrIncomplete, `{"add":{}}`: ErrCorrupt, `{"remove":{}}`: ErrCorrupt, add("s3://b/a", "null"): ErrUnsupported} {
		var live Live
		require.ErrorIs(t, live.Apply(strings.NewReader(text)), want, text)
	}
}
