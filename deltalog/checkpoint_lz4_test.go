package deltalog

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
)

// TestCheckpointOfLZ4: pages that hardly become smaller are where the parquet library went
// on with a buffer of something else: it said that versions 1 were damaged, and of versions
// 2 it returned other numbers.
func TestCheckpointOfLZ4(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var want []int64
	columns := []column{group("txn", str("appId"), long("version"))}
	schema := parquet.NewSchema("checkpoint", nodes(columns))
	places := placeIn(schema, columns, 0)
	for range 10_000 {
		want = append(want, random.Int64())
	}
	for version := 1; version <= 2; version++ {
		for _, codec := range codecs {
			var b bytes.Buffer
			w := parquet.NewWriter(&b, schema, parquet.Compression(parquet.LookupCompressionCodec(codec)),
				parquet.DataPageVersion(version), parquet.PageBufferSize(20_000))
			s := newShredder(places)
			for i, n := range want {
				action, err := json.Marshal(map[string]any{"appId": strings.Repeat("x", int(n%30)), "version": n})
				require.NoError(t, err)
				require.NoError(t, s.row("txn", action))
				for i, column := range w.ColumnWriters() {
					_, err = column.WriteRowValues(s.columns[i])
					require.NoError(t, err)
				}
				s.reset()
				if i%4_000 == 3_999 {
					require.NoError(t, w.Flush())
				}
			}
			require.NoError(t, w.Close())
			var got []int64
			require.NoError(t, eachParquetAction(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), readColumns(), func(_ string, value []byte) error {
				var txn struct{ Version int64 }
				got = append(got, 0)
				err := json.Unmarshal(value, &txn)
				got[len(got)-1] = txn.Version
				return err
			}), "%v %d", codec, version)
			require.True(t, slices.Equal(want, got), "%v %d", codec, version)
		}
	}
}
