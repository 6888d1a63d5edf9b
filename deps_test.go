package sluice_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// heavy are the modules that a program links only with the driver of a cloud.
// They are most of what a cold build compiles.
var heavy = []string{
	"gocloud.dev", "google.golang.org/api", "google.golang.org/grpc", "go.opentelemetry.io/",
	"cloud.google.com/", "github.com/aws/", "github.com/Azure/",
}

// TestLinksNoCloud: who replicates to a folder, or with one driver of its own
// choice, builds and links no cloud's SDK.
func TestLinksNoCloud(t *testing.T) {
	for _, name := range []string{"storage", "bundle", "deltalog", "remote", "examples/quickstart"} {
		require.Empty(t, heavyOf(t, name), name)
	}
	require.NotEmpty(t, heavyOf(t, "storage/s3"), "else this test would see nothing")
	for _, dep := range heavyOf(t, "remote/telemetry") {
		require.NotContains(t, dep, "/otel/sdk", "only the API of OpenTelemetry")
		require.True(t, strings.HasPrefix(dep, "go.opentelemetry.io/"), dep)
	}
}

func heavyOf(t *testing.T, name string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./"+name).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return slices.DeleteFunc(strings.Fields(string(out)), func(dep string) bool {
		return !slices.ContainsFunc(heavy, func(prefix string) bool { return strings.HasPrefix(dep, prefix) })
	})
}
