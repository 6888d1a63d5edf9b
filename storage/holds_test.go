package storage

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHolds(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll("t/data", 0o755))
	require.NoError(t, os.Symlink("t", "link"))
	for name, c := range map[string]struct {
		a, b string
		want bool
	}{
		"the same folder":           {"./t", "file://" + here + "/t/", true},
		"within, not there yet":     {"./t", "./t/backup/deep", true},
		"through a link":            {"./t", "./link/backup", true},
		"beside":                    {"./t", "./t2", false},
		"around":                    {"./t/data", ".", false},
		"the root":                  {"/", "./t", true},
		"up and down":               {"./t", "./x/../t", true},
		"the same prefix":           {"s3://b/t", "s3://b/t/", true},
		"within a prefix":           {"s3://b/t", "s3://b/t/backup", true},
		"a whole bucket":            {"s3://b", "s3://b/t", true},
		"beside a prefix":           {"s3://b/t", "s3://b/t2", false},
		"another bucket":            {"s3://b/t", "s3://c/t", false},
		"another service":           {"s3://b/t", "gs://b/t", false},
		"an option of the requests": {"s3://b/t?region=us-east-1", "s3://b/t/x?region=us-east-1&ssetype=AES256", true},
		"another endpoint":          {"s3://b/t?endpoint=http://one", "s3://b/t?endpoint=http://two", false},
		"folder and bucket":         {"./t", "s3://b/t", false},
		"memory, which is new":      {"mem://", "mem://", false},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := ParseURL(c.a)
			require.NoError(t, err)
			b, err := ParseURL(c.b)
			require.NoError(t, err)
			require.Equal(t, c.want, a.Holds(b))
		})
	}
}
