package gcs

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain keeps Google's SDK from asking the metadata service of the machine where it
// runs: what it has connected to there it keeps, and shows nobody. The same goes for
// idle connections to a server that does not end with its test.
func TestMain(m *testing.M) {
	if err := os.Setenv("GCE_METADATA_HOST", "127.0.0.1:1"); err != nil {
		panic(err)
	}
	var idle []goleak.Option
	if os.Getenv("SLUICE_TEST_GCS") != "" {
		idle = append(idle, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
	}
	goleak.VerifyTestMain(m, idle...)
}
