package deltalog

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// Log lines have the number, be it that of a Version or of an int64, and not its 20 digits.
func TestVersionInLogLines(t *testing.T) {
	var text, json bytes.Buffer
	v := Version(8)
	slog.New(slog.NewTextHandler(&text, nil)).Info("pushed", "version", v, "base", &v)
	require.Contains(t, text.String(), " version=8 base=8\n")
	slog.New(slog.NewJSONHandler(&json, nil)).Info("pushed", "version", v)
	require.Contains(t, json.String(), `"version":8}`)
	require.Equal(t, "00000000000000000008", v.String(), "names of files sort as versions do")
}
