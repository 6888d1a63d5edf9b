package bundle

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheckPath(t *testing.T) {
	cases := map[string]struct {
		path string
		want error // nil: good
	}{
		"plain":                   {"a.parquet", nil},
		"nested":                  {"x=1/y=2/a.parquet", nil},
		"space":                   {" ", nil},
		"unicode":                 {"größe=ß/日本語", nil},
		"dots in a name":          {"..a/b..", nil},
		"three dots":              {"...", nil},
		"colon":                   {"ts=2020-01-01 00:00:00/a", nil},
		"colon in the first":      {"ab:c", nil},
		"log below":               {"sub/_delta_log/x", nil},
		"like the log":            {"_delta_log2/x", nil},
		"change data":             {"_change_data/cdc-1", nil},
		"hidden":                  {".hidden", nil},
		"newline":                 {"a\nb", nil},
		"element of 255":          {strings.Repeat("n", 255), nil},
		"4,096 bytes":             {strings.Repeat(strings.Repeat("n", 255)+"/", 15) + strings.Repeat("n", 255) + "/", ErrCorrupt}, // slash at the end
		"4,095 bytes":             {strings.Repeat(strings.Repeat("n", 255)+"/", 15) + strings.Repeat("n", 255), nil},
		"4,097 bytes":             {strings.Repeat("n/", 2048) + "n", ErrTooLarge},
		"element of 256":          {"a/" + strings.Repeat("n", 256), ErrTooLarge},
		"empty":                   {"", ErrCorrupt},
		"slash":                   {"/", ErrCorrupt},
		"absolute":                {"/a", ErrCorrupt},
		"slash at the end":        {"a/", ErrCorrupt},
		"empty element":           {"a//b", ErrCorrupt},
		"dot":                     {".", ErrCorrupt},
		"inner dot":               {"a/./b", ErrCorrupt},
		"dot dot":                 {"..", ErrCorrupt},
		"leads out":               {"a/../../b", ErrCorrupt},
		"dot dot at the end":      {"a/..", ErrCorrupt},
		"NUL":                     {"a\x00", ErrCorrupt},
		"backslash":               {`a\b`, ErrCorrupt},
		"not UTF-8":               {"a\xc3", ErrCorrupt},
		"drive":                   {"c:/a", ErrCorrupt},
		"drive, upper case":       {"Z:", ErrCorrupt},
		"log":                     {"_delta_log/x", ErrCorrupt},
		"log itself":              {"_delta_log", ErrCorrupt},
		"commit":                  {commitPath(1), ErrCorrupt},
		"log, case":               {"_Delta_LOG/x", ErrCorrupt},
		"log, dot":                {"_delta_log./x", ErrCorrupt},
		"log, space":              {"_delta_log /x", ErrCorrupt},
		"log, stream":             {"_delta_log:s/x", ErrCorrupt},
		"log, zero width joiner":  {"_delta\u200d_log/x", ErrCorrupt},
		"log, byte order mark":    {"\ufeff_delta_log/x", ErrCorrupt},
		"sluice":                  {".sluice/x", ErrCorrupt},
		"sluice, case":            {".Sluice", ErrCorrupt},
		"sluice, long s":          {".\u017fluice/x", ErrCorrupt},
		"sluice, dot after space": {".sluice ./x", ErrCorrupt},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := CheckPath(tc.path)
			if tc.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tc.want)
			assert.ErrorIs(t, err, ErrCorrupt)
		})
	}
}

func TestCommitPath(t *testing.T) {
	for _, v := range []int64{0, 1, 999999, 1000000, math.MaxInt64} {
		got, ok := parseCommitPath(commitPath(v))
		assert.True(t, ok)
		assert.Equal(t, v, got)
	}
	for _, path := range []string{
		"", "00000000000000000001.json", "_delta_log/1.json", "_delta_log/000000000000000000001.json",
		"_delta_log/0000000000000000000a.json", "_delta_log/-0000000000000000001.json", "_delta_log/+0000000000000000001.json",
		"_delta_log/00000000000000000001.JSON", "_DELTA_LOG/00000000000000000001.json", "_delta_log/00000000000000000001.json/",
		"_delta_log/99999999999999999999.json", "_delta_log/9223372036854775808.json", "x/_delta_log/00000000000000000001.json",
	} {
		_, ok := parseCommitPath(path)
		assert.False(t, ok, path)
	}
}

func TestManifestPath(t *testing.T) {
	assert.Equal(t, ".sluice/version-000042/manifest.json", manifestPath(42))
	assert.Equal(t, ".sluice/version-1000000/manifest.json", manifestPath(1000000))
}

func TestDigest(t *testing.T) {
	const text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	d := digestOf(nil)
	assert.Equal(t, text, d.String())
	got, err := ParseDigest(text)
	require.NoError(t, err)
	assert.Equal(t, d, got)
	raw, err := json.Marshal(d)
	require.NoError(t, err)
	assert.Equal(t, `"`+text+`"`, string(raw))
	for _, bad := range []string{"", text[1:], text + "0", strings.ToUpper(text), "g" + text[1:], " " + text[1:]} {
		got, err := ParseDigest(bad)
		require.ErrorIs(t, err, ErrCorrupt, bad)
		assert.Zero(t, got)
		assert.ErrorIs(t, json.Unmarshal([]byte(`"`+bad+`"`), &got), ErrCorrupt)
		assert.Zero(t, got)
	}
}
