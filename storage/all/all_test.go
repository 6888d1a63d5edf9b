package all

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

func TestOpen(t *testing.T) {
	for url, ok := range map[string]bool{
		"s3://bucket/prefix?endpoint=http://127.0.0.1:9&anonymous=true":        true,
		"gs://bucket/prefix?endpoint=http://127.0.0.1:9&anonymous=true":        true,
		"azblob://container/prefix?endpoint=http://127.0.0.1:9&anonymous=true": true,
		"mem://":                true,
		"file://" + t.TempDir(): true,
		"ftp://bucket":          false,
	} {
		s, err := Open(t.Context(), url)
		if !ok {
			require.ErrorIs(t, err, storage.ErrInvalidConfig)
			continue
		}
		require.NoError(t, err, url)
		assert.Implements(t, (*storage.Overwriter)(nil), s, url)
		assert.Implements(t, (*storage.Deleter)(nil), s, url)
	}
}
