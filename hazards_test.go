package sluice_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHazardTable keeps the table of hazards in docs/ARCHITECTURE.md true: each test
// that it names exists, and a test whose name begins with a hazard stands in the
// row of that hazard.
func TestHazardTable(t *testing.T) {
	page, err := os.ReadFile("docs/ARCHITECTURE.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## Hazards\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| H(\d+) \|.*$`).FindAllStringSubmatch(section, -1) {
		rows[row[1]] = row[0]
	}
	for _, span := range [][2]int{{1, 18}, {20, 24}, {30, 42}} {
		for n := span[0]; n <= span[1]; n++ {
			assert.Contains(t, rows, fmt.Sprint(n))
		}
	}

	tests := testNames(t)
	for _, name := range regexp.MustCompile(`\bTest\w+`).FindAllString(section, -1) {
		assert.Contains(t, tests, name, "the table names a test that is not there")
	}
	for name := range tests {
		if hazard := regexp.MustCompile(`^TestH0?(\d+)`).FindStringSubmatch(name); hazard != nil {
			assert.Regexp(t, `\b`+name+`\b`, rows[hazard[1]], "H%s", hazard[1])
		}
	}
}

// testNames are the names of all tests of this module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		for _, match := range declared.FindAllSubmatch(source, -1) {
			names[string(match[1])] = true
		}
		return err
	}))
	return names
}
