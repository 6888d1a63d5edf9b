package all

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain keeps Google's SDK from asking the metadata service of the machine where it
// runs: what it has connected to there it keeps, and shows nobody.
func TestMain(m *testing.M) {
	if err := os.Setenv("GCE_METADATA_HOST", "127.0.0.1:1"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
