package main

import (
	"flag"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what came out into README.md")

// TestReadme types the walkthrough into a shell, and compares what comes out with
// what it says. What cannot be the same twice may differ: ids, times, sizes.
func TestReadme(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: the walkthrough is for a POSIX shell")
	}
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatchIndex(string(text), -1)
	require.Greater(t, len(blocks), 3)
	var sessions []string
	for _, b := range blocks {
		sessions = append(sessions, string(text[b[2]:b[3]]))
	}
	got := typed(t, sessions)
	for i, session := range sessions {
		if !*update {
			require.Equal(t, steady(session), steady(got[i]), "run this test with -update, and read what changed")
		}
	}
	if *update {
		for i := len(blocks) - 1; i >= 0; i-- {
			text = append(text[:blocks[i][2]:blocks[i][2]], append([]byte(got[i]), text[blocks[i][3]:]...)...)
		}
		require.NoError(t, os.WriteFile("README.md", text, 0o644))
	}
}

// Whoever reads one of the small examples reads all of it in a few minutes.
func TestSmallExamplesAreSmall(t *testing.T) {
	for _, name := range []string{"quickstart", "follower", "multiregion", "customapplier"} {
		text, err := os.ReadFile("../" + name + "/main.go")
		require.NoError(t, err)
		require.Less(t, strings.Count(string(text), "\n"), 150, name)
	}
}

// typed types the commands of sessions into one shell and returns the sessions
// with what it printed.
func typed(t *testing.T, sessions []string) []string {
	t.Helper()
	const mark, end = "\x01", "\x02"
	var script strings.Builder
	var commands []string // with their prompts
	for _, s := range sessions {
		for line := range strings.Lines(s) {
			switch {
			case strings.HasPrefix(line, "$ "):
				script.WriteString("printf '" + mark + "'\n" + line[2:])
				commands = append(commands, line)
			case strings.HasPrefix(line, "> "):
				script.WriteString(line[2:])
				commands[len(commands)-1] += line
			}
		}
		script.WriteString("printf '" + end + "'\n")
	}
	dir := t.TempDir()
	sh := exec.CommandContext(t.Context(), "sh")
	sh.Dir, sh.Stdin = dir, strings.NewReader(script.String())
	var printed strings.Builder
	sh.Stdout, sh.Stderr = &printed, &printed
	require.NoError(t, sh.Run(), printed.String())

	var typed []string
	next := 0
	for s := range strings.SplitSeq(strings.TrimSuffix(printed.String(), end), end) {
		var b strings.Builder
		for out := range strings.SplitSeq(strings.TrimPrefix(s, mark), mark) {
			b.WriteString(commands[next] + strings.ReplaceAll(out, dir, "/home/you/try"))
			next++
		}
		typed = append(typed, b.String())
	}
	require.Len(t, typed, len(sessions))
	return typed
}

var unsteady = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`), "ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "TIME"},
	{regexp.MustCompile(`\d+\.\d [KM]iB|\d{3,} B`), "SIZE"},
	{regexp.MustCompile(`[\d.]+m?s\b`), "DURATION"},
	{regexp.MustCompile(` +`), " "}, // columns are as wide as what is in them
}

func steady(text string) string {
	for _, u := range unsteady {
		text = u.pattern.ReplaceAllString(text, u.instead)
	}
	return text
}
