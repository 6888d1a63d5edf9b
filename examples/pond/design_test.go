package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
)

// designVariable names the document that this program was made after. Every
// command line in it must run as it stands there, and every configuration must do
// what is said of it; only places, keys and ids are replaced.
const designVariable = "SLUICE_DESIGN"

func TestDesign(t *testing.T) {
	name := os.Getenv(designVariable)
	if name == "" {
		t.Skipf("SKIPPED: %s names no document whose command lines are to run", designVariable)
	}
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	for _, storage := range []string{"local", "s3"} {
		t.Run(storage, func(t *testing.T) {
			d := newDesign(t, string(text), storage)
			lines := d.commands()
			require.Subset(t, lines, slices.Collect(maps.Keys(d.situations())), "a line is not found any more")
			for _, line := range lines {
				d.run(t, line)
			}
			for i, block := range fences(d.text, "yaml") {
				t.Run(fmt.Sprintf("yaml%d", i+1), func(t *testing.T) { d.configuration(t, block) })
			}
		})
	}
}

// design is the document in a place with a store.
type design struct {
	text    string
	dir     string // the working directory
	bucket  string // "": the store is a folder
	source  string // pond
	replica string // pond
	written int    // files in the source pond
	made    int    // ponds
}

func newDesign(t *testing.T, text, storage string) *design {
	d := &design{text: text, dir: t.TempDir()}
	t.Chdir(d.dir)
	if storage == "s3" {
		d.bucket = useBucket(t)
	}
	d.source, d.replica = d.newPond(), d.newPond()
	return d
}

func (d *design) newPond() string {
	d.made++
	return filepath.Join(d.dir, fmt.Sprintf("pond%d", d.made))
}

var (
	fence        = regexp.MustCompile("(?ms)^( *)```(\\w+)\n(.*?)^ *```")
	inline       = regexp.MustCompile("`(pond [a-z]+ status|pond sync)`") // those in the text that are whole
	namedBlock   = regexp.MustCompile(`(?s)^# (\S+\.yaml) - [^\n]*\n(.*)$`)
	namedComment = regexp.MustCompile(`(?m)^# (\S+\.yaml):\n((?:# .*\n)+)`)
)

// fences returns the code blocks of a language.
func fences(text, language string) []string {
	var blocks []string
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		if m[2] == language {
			blocks = append(blocks, regexp.MustCompile("(?m)^"+m[1]).ReplaceAllString(m[3], ""))
		}
	}
	return blocks
}

// commands returns the command lines in the order of the text, those in its
// sentences last.
func (d *design) commands() []string {
	var lines []string
	for _, block := range fences(d.text, "bash") {
		for line := range strings.Lines(block) {
			if strings.HasPrefix(line, "pond ") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	for _, m := range inline.FindAllStringSubmatch(d.text, -1) {
		lines = append(lines, m[1])
	}
	return lines
}

// situation is where a command line is run.
type situation struct {
	pond  string           // POND
	after func(*testing.T) // checks what came of it
	news  bool             // the source commits before it
	says  string           // part of what it prints
}

// run runs a command line of the document.
func (d *design) run(t *testing.T, line string) {
	t.Helper()
	s, known := d.situations()[line]
	require.True(t, known, "this test does not know what %q is about", line)
	t.Setenv("POND", s.pond)
	d.writeFiles(t)
	if s.news {
		d.put(t)
	}
	out := pond(t, "", d.arguments(line)...)
	require.Contains(t, out, s.says, line)
	if s.after != nil {
		s.after(t)
	}
}

// situations says what each line of the document is about.
func (d *design) situations() map[string]situation {
	fresh := d.newPond()
	same := func(path string) func(t *testing.T) { return func(t *testing.T) { d.sameFiles(t, path) } }
	return map[string]situation{
		"pond init": {pond: d.source, says: "a new pond"},
		"pond mknod remote /etc/system.d/10-remote --config-path remote-push-config.yaml": {pond: d.source, news: true, says: "pushed versions 0 to 1", after: func(t *testing.T) {
			for range 44 {
				d.put(t)
			}
		}},
		"pond restore --from-backup s3://my-pond-backups --pond-path /new/pond": {says: "restored versions 0 to 45", after: same("new/pond")},
		"pond restore --from-backup s3://bucket --version 42": {pond: fresh, says: "restored versions 0 to 42", after: func(t *testing.T) {
			require.NotContains(t, pond(t, "", "ls", "/data", "--pond-path", fresh), "v43.csv")
		}},
		"pond init --from-backup init.yaml":           {pond: fresh, says: "mode pull", after: same(fresh)},
		"pond init --from-backup replica-config.yaml": {pond: d.replica, says: "mode pull", after: same(d.replica)},
		"pond sync":                        {pond: d.replica, news: true, says: "pulled version", after: same(d.replica)},
		"pond run /etc/system.d/10-remote": {pond: d.replica, news: true, says: "pulled version", after: same(d.replica)},
		"pond backup status":               {pond: d.source, says: "in step"},
		"pond sync status":                 {pond: d.replica, news: true, says: "1 version behind"},
	}
}

// put commits another file to the source pond.
func (d *design) put(t *testing.T) {
	d.written++
	pond(t, fmt.Sprintf("content %d\n", d.written), "put", fmt.Sprintf("/data/v%d.csv", d.written), "--pond-path", d.source)
}

// sameFiles checks that a pond has what the source has.
func (d *design) sameFiles(t *testing.T, path string) {
	t.Helper()
	require.Equal(t, pond(t, "", "ls", "/data", "--json", "--pond-path", d.source), pond(t, "", "ls", "/data", "--json", "--pond-path", path))
	newest := fmt.Sprintf("/data/v%d.csv", d.written)
	require.Equal(t, fmt.Sprintf("content %d\n", d.written), pond(t, "", "cat", newest, "--pond-path", path))
}

// arguments are those of a command line, with its places replaced.
func (d *design) arguments(line string) []string {
	url := "s3://" + d.bucket
	if d.bucket == "" {
		url = filepath.Join(d.dir, "backup")
	}
	args := strings.Fields(line)[1:]
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "s3://"):
			args[i] = url
		case i > 0 && args[i-1] == "--pond-path":
			args[i] = filepath.Join(d.dir, arg)
		}
	}
	return args
}

// writeFiles writes the configuration files of the document: those whose name is
// in the first line of a block, and those in comments below their name.
func (d *design) writeFiles(t *testing.T) {
	for _, block := range fences(d.text, "yaml") {
		if m := namedBlock.FindStringSubmatch(block); m != nil {
			d.writeFile(t, m[1], m[2])
		}
	}
	for _, block := range fences(d.text, "bash") {
		for _, m := range namedComment.FindAllStringSubmatch(block, -1) {
			content := strings.ReplaceAll(strings.ReplaceAll(m[2], "# ...\n", ""), "# ", "")
			if !strings.Contains(content, "storage_type") { // the document leaves it out
				content = "storage_type: s3\nbucket: my-pond-backups\n" + content
			}
			d.writeFile(t, m[1], content)
		}
	}
}

func (d *design) writeFile(t *testing.T, name, content string) {
	require.NoError(t, os.WriteFile(name, []byte(d.replaced(t, content)), 0o600))
}

var yamlLine = regexp.MustCompile(`(?m)^( *)(storage_type|bucket|region|key|secret|endpoint|source_pond_id):.*\n`)

// replaced is a configuration with its places, keys and ids replaced.
func (d *design) replaced(t *testing.T, text string) string {
	values := map[string]string{
		"storage_type": "s3", "bucket": d.bucket, "region": os.Getenv("AWS_REGION"), "key": os.Getenv("AWS_ACCESS_KEY_ID"),
		"secret": os.Getenv("AWS_SECRET_ACCESS_KEY"), "endpoint": os.Getenv("AWS_ENDPOINT_URL_S3"),
	}
	return yamlLine.ReplaceAllStringFunc(text, func(line string) string {
		m := yamlLine.FindStringSubmatch(line)
		indent, key := m[1], m[2]
		switch {
		case key == "source_pond_id":
			return fmt.Sprintf("%s%s: %q\n", indent, key, d.sourceID(t))
		case d.bucket != "":
			return fmt.Sprintf("%s%s: %s\n", indent, key, values[key])
		case key == "storage_type":
			return fmt.Sprintf("%sstorage_type: local\n%spath: %s\n", indent, indent, filepath.Join(d.dir, "backup"))
		}
		return "" // a folder has none of these
	})
}

// sourceID is the id of the source pond, which "pond init" prints.
func (d *design) sourceID(t *testing.T) string {
	if _, err := os.Stat(d.source); errors.Is(err, os.ErrNotExist) {
		return "not there yet"
	}
	_, out, _ := try(t, "", "backup", "status", "--json", "--pond-path", d.source)
	_, id, _ := strings.Cut(out, `"table_id":"`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}

// configuration puts a configuration of the document to its use, with and without
// the outer key.
func (d *design) configuration(t *testing.T, block string) {
	plain := d.replaced(t, strings.TrimSuffix(block, "\n")+"\n")
	if _, inner, found := strings.Cut(plain, "remote:\n"); found {
		plain = regexp.MustCompile(`(?m)^  `).ReplaceAllString(inner, "")
	}
	plain = d.withPlaces(t, plain)
	wrapped := "remote:\n" + regexp.MustCompile(`(?m)^`).ReplaceAllString(plain, "  ")
	for form, text := range map[string]string{"plain": plain, "wrapped": wrapped} {
		t.Run(form, func(t *testing.T) {
			c, err := remote.ParseConfig([]byte(text))
			if errors.Is(err, remote.ErrUnsupported) {
				require.Regexp(t, `(include_paths|exclude_paths) is not there yet`, err)
				require.Regexp(t, `include_paths`, text, "only what the document leaves for later")
				return
			}
			require.NoError(t, err, text)
			file := filepath.Join(t.TempDir(), "config.yaml")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			d.use(t, c, file)
		})
	}
}

var replica = regexp.MustCompile(`(?m)^( *)- region: (\S+)\n`)

// withPlaces completes the replicas of the document, of which it says only in what
// region they are, and the configuration that they stand in.
func (d *design) withPlaces(t *testing.T, text string) string {
	if !replica.MatchString(text) {
		return text
	}
	place := fmt.Sprintf("${1}- storage_type: s3\n${1}  bucket: %s\n${1}  prefix: ${2}\n", d.bucket)
	if d.bucket == "" {
		place = fmt.Sprintf("${1}- storage_type: local\n${1}  path: %s\n", filepath.Join(d.dir, "${2}"))
	}
	return d.replaced(t, "storage_type: s3\nbucket: my-pond-backups\n") + replica.ReplaceAllString(text, place)
}

// use does with a configuration what its mode is for.
func (d *design) use(t *testing.T, c *remote.Config, file string) {
	const node = "/etc/system.d/10-remote"
	path := d.newPond()
	switch c.Mode {
	case remote.ModePush:
		pond(t, "", "rm", node, "--pond-path", d.source)
		require.Contains(t, pond(t, "", "mknod", "remote", node, "--config-path", file, "--pond-path", d.source), "nothing new")
		d.put(t)
		status := pond(t, "", "backup", "status", "--pond-path", d.source)
		require.Equal(t, 1+len(c.Replicas), strings.Count(status, "in step"), status)
	case remote.ModeInit:
		pond(t, "", "init", "--from-backup", file, "--pond-path", path)
		d.sameFiles(t, path)
	case remote.ModePull:
		pond(t, "", d.arguments("pond restore --from-backup s3://my-pond-backups --pond-path "+filepath.Base(path))...)
		pond(t, "", "mknod", "remote", node, "--config-path", file, "--pond-path", path)
		d.put(t)
		require.Contains(t, pond(t, "", "sync", "--pond-path", path), "pulled version")
		d.sameFiles(t, path)
	}
}
