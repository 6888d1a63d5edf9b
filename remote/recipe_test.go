package remote_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The recipe of FORMAT.md rebuilds a table, also where a base stands beside no bundle,
// since its version is within a run.
func TestRecipeWithTarAndZstd(t *testing.T) {
	for _, tool := range []string{"sh", "tar", "zstd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT TESTED: the recipe with tar and zstd, since %s is not installed", tool)
		}
	}
	page, err := os.ReadFile("../bundle/FORMAT.md")
	require.NoError(t, err)
	recipe := regexp.MustCompile(`(?m)^    (for b in .*)$`).FindSubmatch(page)
	require.NotNil(t, recipe)

	source := newPond(t)
	store, dir := folderStore(t)
	source.churn(5, 3, 100)
	source.mustPush(store)
	source.base(store)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "out"), 0o755))
	sh := exec.Command("sh", "-e", "-c", string(recipe[1]))
	sh.Dir = dir
	said, err := sh.CombinedOutput()
	require.NoError(t, err, string(said))
	require.Equal(t, liveFiles(t, source.dir, 4), liveFiles(t, filepath.Join(dir, "out"), 4))
	requireSameCommit(t, source.dir, filepath.Join(dir, "out"), 4, "by the recipe")
}
