package bundle

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

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

// What FORMAT.md pins is Unicode's class of that version, and its text names it.
func TestInvisibleCharacters(t *testing.T) {
	if unicode.Version == "15.0.0" {
		for r := range rune(unicode.MaxRune + 1) {
			if unicode.Is(unicode.Cf, r) != unicode.Is(invisible, r) {
				require.Fail(t, fmt.Sprintf("%U", r))
			}
		}
	}
	text, err := os.ReadFile("FORMAT.md")
	require.NoError(t, err)
	var list []string
	add := func(lo, hi uint32) {
		one := fmt.Sprintf("%04X", lo)
		if hi > lo {
			one += fmt.Sprintf("-%04X", hi)
		}
		list = append(list, one)
	}
	for _, r := range invisible.R16 {
		add(uint32(r.Lo), uint32(r.Hi))
	}
	for _, r := range invisible.R32 {
		add(r.Lo, r.Hi)
	}
	assert.Contains(t, strings.Join(strings.Fields(string(text)), " "), "U+"+strings.Join(list, ", ")+".")
}

// The pattern of FORMAT.md and the code agree.
func TestCheckpointNames(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	require.NoError(t, err)
	m := regexp.MustCompile("`(_delta_log/\\(.*)`, where `ID` is `(.*)`\\.").FindStringSubmatch(string(text))
	require.NotNil(t, m)
	pattern := regexp.MustCompile("^(" + strings.ReplaceAll(m[1], "ID", m[2]) + ")$")
	const six = "_delta_log/00000000000000000006.checkpoint"
	for name, good := range map[string]bool{
		six + ".parquet": true, six + ".0000000001.0000000002.parquet": true, six + ".80a083e8-7026.json": true, six + ".80a083e8-7026.parquet": true,
		six + ".x.checkpoint.parquet": true, six + "._.parquet": true, six + ".a..json": true, six + ".parquet.parquet": true, six + ".json.json": true,
		"_delta_log/_sidecars/a.parquet": true, "_delta_log/_sidecars/-a.b_.parquet": true,
		six + "..parquet": false, six + "...parquet": false, six + "..json": false, six + ".json": false, six: false, six + ".": false, six + ".x": false, six + ".parquet.crc": false,
		six + ".a/b.parquet": false, six + ".é.parquet": false, six + ".a b.json": false, six + ".parquet\n": false,
		"_delta_log/6.checkpoint.parquet": false, "_delta_log/0000000000000000000x.checkpoint.parquet": false, "x/" + six[11:] + ".parquet": false,
		"_delta_log/_sidecars/.parquet": false, "_delta_log/_sidecars/.a.parquet": false, "_delta_log/_sidecars/a.json": false, "_delta_log/_sidecars/a.parquet.crc": false, "_delta_log/_sidecars/a/b.parquet": false,
	} {
		_, ok := parseCheckpointPath(name)
		assert.Equal(t, good, ok, name)
		assert.Equal(t, good, pattern.MatchString(name), name)
	}
	for n, good := range map[int]bool{255: true, 256: false} {
		_, ok := parseCheckpointPath(sidecarDir + strings.Repeat("a", n-len(".parquet")) + ".parquet")
		assert.Equal(t, good, ok)
		_, ok = parseCheckpointPath(six + "." + strings.Repeat("a", n-len(six[11:]+"..json")) + ".json")
		assert.Equal(t, good, ok)
	}
	_, ok := parseCheckpointPath("_delta_log/09223372036854775808.checkpoint.parquet")
	assert.False(t, ok, "2^63")
}
