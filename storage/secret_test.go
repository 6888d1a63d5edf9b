package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

func TestSecretNeverShows(t *testing.T) {
	const word = "hunter2"
	s := NewSecret(word)
	require.Equal(t, word, s.Reveal())
	hiding := struct{ inner Secret }{s}
	config := Config{Scheme: "s3", Bucket: "b", Key: s, Secret: s, Token: s}
	for _, v := range []any{s, &s, hiding, &hiding, []Secret{s}, map[string]Secret{"k": s}, config, &config} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			require.NotContains(t, text, word, verb)
			require.NotContains(t, text, fmt.Sprintf("%x", word), verb)
		}
		j, err := json.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, string(j), word)
		y, err := yaml.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, string(y), word)
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		require.NotContains(t, log.String(), word)
	}
	require.Equal(t, "[redacted]", s.String())
	require.True(t, NewSecret("").IsZero())
	require.Equal(t, "", Secret{}.Reveal())
}
