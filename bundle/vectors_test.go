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
			_, u, err := decode(t, v.raw)
			require.Contains(t, verdicts, v.expect)
			require.True(t, verdicts[v.expect](err), "expected %s, got: %v", v.expect, err)
			t.Log(err) // with -v: is it refused for the right reason?
			if err == nil {
				assert.Equal(t, v.members, describe(u))
			}
		})
	}
}

// The good vectors are pinned here too, so that none is replaced along with its
// header: every later reader must still read these very bytes.
func TestGoodVectorsArePinned(t *testing.T) {
	pinned := map[string]string{
		"good-one-version.txt":  "a41676df5598c4b05c50b9cd6da4669c1192bf7912a5403733c645f36541d491",
		"good-two-versions.txt": "02c623cf5d1187f09432c860da02600218626de06cf0fff92503e1e3ed2c1ed9",
		"good-frames.txt":       "dd4ad075a6f950e72f5c526abae2183d80f15efbc33f7c7f30c2e863e0d53601",
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
	assert.Equal(t, "8052e6aa531e49324dfd87fd9c73bf35084354785001615f0baad4e46e5be81e", digestOf(unpack(t, raw)).String())
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
			_, u, err := decode(t, v.raw)
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
