package bundle

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the vectors that do not exist yet; those that do are never touched")

const vectorDir = "testdata/v1"

// vector is a stored bundle and what a reader must make of it. Its file is a
// few lines "key: value", an empty line, and the bundle in base64.
type vector struct {
	rule    string   // of FORMAT.md, "" for a good one
	expect  string   // see verdicts
	comment string   // what is special
	sha256  Digest   // of the bundle
	members []string // of a good one, see describe
	object  string   // "base" or "part"; "" for a bundle
	raw     []byte
}

var verdicts = map[string]func(err error) bool{
	"ok":          func(err error) bool { return err == nil },
	"corrupt":     func(err error) bool { return errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge) },
	"too large":   func(err error) bool { return errors.Is(err, ErrCorrupt) && errors.Is(err, ErrTooLarge) },
	"unsupported": func(err error) bool { return errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrCorrupt) },
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	for name, v := range readVectors(t) {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, v.sha256, digestOf(v.raw), "the vector itself was changed")
			u, err := v.decode(t)
			require.Contains(t, verdicts, v.expect)
			require.True(t, verdicts[v.expect](err), "expected %s, got: %v", v.expect, err)
			t.Log(err) // with -v: is it refused for the right reason?
			if err == nil {
				assert.Equal(t, v.members, describe(u))
			}
		})
	}
}

func (v vector) decode(t testing.TB) (u unpacked, err error) {
	t.Helper()
	switch v.object {
	case "base":
		_, err = newCodec(t, Limits{}).DecodeBase(t.Context(), onlyReader{bytes.NewReader(v.raw)}, u.put)
	case "part":
		_, err = newCodec(t, Limits{}).DecodePart(t.Context(), onlyReader{bytes.NewReader(v.raw)}, u.put)
	default:
		_, u, err = decode(t, v.raw)
	}
	return u, err
}

// The good vectors are pinned here too, so that none is replaced along with its
// header: every later reader must still read these very bytes.
func TestGoodVectorsArePinned(t *testing.T) {
	pinned := map[string]string{
		"good-base.txt":          "b9deb66c617d3d65a5f616daa6dfbbbcc390fca09165f20dfc2209cf057d8618",
		"good-divided.txt":       "2f00a5f0c75ac1374da24a4ff755fd86286ee87c800684f97b9d697ffa5d26fe",
		"good-files-in-base.txt": "db6645a3b7b4bdb126e5849807df10101230664a3fdf3f344197bb8abc1bd738",
		"good-frames.txt":        "edeacb9766b68b4ffca98f932d997beb876fcad8e0f13cc366b2b237f7022109",
		"good-gap.txt":           "7a42fa2ede826de3ea39834cbf64363b6b8f678e7320551be009f0bf620a3b4a",
		"good-marked.txt":        "2840c21a8460cb3f319808b48f067f6e916cf1118c2083c96aa82bc27b756137",
		"good-null.txt":          "effbb2c8b5a09d8ca59a5768a807dde8ddc7d4ced31c5c4904b1877383c64c03",
		"good-one-version.txt":   "68c8060e2d90b6f6c1dd251dc2e8706992c043b90e22ff75533f3cabd09d423b",
		"good-other-frame.txt":   "48b215baa2d1dedcd6a430657188235b957f8c13c8c830cbd3c2844f4ec23384",
		"good-part.txt":          "2913c6da73439ac61d1b097eac3b22b1593c80ab3b0f6d8b338fa308ff60637c",
		"good-table.txt":         "1074b786dbe2c17c0ce9ea1d340da0a9f1bda7001d80eeb82f43804abf7299d6",
		"good-two-versions.txt":  "abc3c5e50f2377f5e77c41b1fa8253380b5738a546ddf98bbc2acaff02903973",
	}
	got := map[string]string{}
	for name, v := range readVectors(t) {
		if v.expect == "ok" {
			got[name] = v.sha256.String()
		}
	}
	assert.Equal(t, pinned, got)
}

// What Encode writes inside the compression is pinned too: whatever changes it
// changes the format.
func TestEncodedArchiveIsPinned(t *testing.T) {
	raw, _ := small(t)
	assert.Equal(t, "41b23fe5d50f301ce33c6e93324bfa596c17ce95df4772c15201ba5efe3738f3", digestOf(unpack(t, raw)).String())
}

// Every numbered rule of FORMAT.md has a vector that breaks it, and the other
// way round.
func TestEveryRuleHasAVector(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	require.NoError(t, err)
	var rules, covered []string
	for _, m := range regexp.MustCompile(`(?m)^- \*\*([A-Z]\d+)\*\*`).FindAllSubmatch(text, -1) {
		rules = append(rules, string(m[1]))
	}
	for _, v := range readVectors(t) {
		if v.rule != "" && v.expect != "ok" {
			covered = append(covered, v.rule)
		}
	}
	slices.Sort(rules)
	slices.Sort(covered)
	require.NotEmpty(t, rules)
	assert.Equal(t, slices.Compact(rules), slices.Compact(covered))
}

// Each vector breaks its rule and nothing else: unbroken, the forgery it was
// made from is a good bundle.
func TestUnbrokenForgeryIsGood(t *testing.T) {
	_, u, err := decode(t, forge().bytes(t))
	require.NoError(t, err)
	assert.Len(t, u.members, 3)
}

func describe(u unpacked) []string {
	var lines []string
	for _, m := range u.members {
		lines = append(lines, fmt.Sprintf("%v %d %s %q", digestOf(u.files[m.Path]), m.Size, m.Modified.Format(time.RFC3339Nano), m.Path))
	}
	return lines
}

func readVectors(t testing.TB) map[string]vector {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(vectorDir, "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, names, "no vectors")
	all := make(map[string]vector)
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		all[filepath.Base(name)] = parseVector(t, b)
	}
	return all
}

func parseVector(t testing.TB, b []byte) vector {
	t.Helper()
	head, body, ok := bytes.Cut(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
	require.True(t, ok, "no empty line")
	var v vector
	lines := bufio.NewScanner(bytes.NewReader(head))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "rule":
			v.rule = value
		case "expect":
			v.expect = value
		case "comment":
			v.comment = value
		case "member":
			v.members = append(v.members, value)
		case "object":
			v.object = value
		case "sha256":
			require.NoError(t, v.sha256.UnmarshalText([]byte(value)))
		default:
			require.Fail(t, "unknown key", key)
		}
	}
	var err error
	v.raw, err = base64.StdEncoding.DecodeString(string(body)) // skips line ends
	require.NoError(t, err)
	return v
}

func writeVectors(t *testing.T) {
	require.NoError(t, os.MkdirAll(vectorDir, 0o755))
	for name, cook := range recipes() {
		path := filepath.Join(vectorDir, name+".txt")
		if _, err := os.Stat(path); err == nil {
			continue
		}
		v := cook(t)
		if v.expect == "ok" {
			u, err := v.decode(t)
			require.NoError(t, err)
			v.members = describe(u)
		}
		require.NoError(t, os.WriteFile(path, v.format(), 0o644))
	}
}

func (v vector) format() []byte {
	var b bytes.Buffer
	if v.rule != "" {
		fmt.Fprintf(&b, "rule: %s\n", v.rule)
	}
	if v.object != "" {
		fmt.Fprintf(&b, "object: %s\n", v.object)
	}
	fmt.Fprintf(&b, "expect: %s\ncomment: %s\nsha256: %v\n", v.expect, v.comment, digestOf(v.raw))
	for _, m := range v.members {
		fmt.Fprintf(&b, "member: %s\n", m)
	}
	b.WriteString("\n")
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(v.raw)), 76) {
		fmt.Fprintf(&b, "%s\n", line)
	}
	return b.Bytes()
}
