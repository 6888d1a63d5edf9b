package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuickstart(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), t.TempDir(), &out))
	require.Contains(t, out.String(), "pushed version 3: 2 files")
	require.Contains(t, out.String(), "restored versions 0 to 2")
	require.Contains(t, out.String(), "pulled 1 new version")
	require.Contains(t, out.String(), "source and replica are identical: 8 files")
}
