package deltalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"
)

// checkpointSeeds are checkpoints of ours and, where there are golden tables, small ones
// of the engines.
func checkpointSeeds(f testing.TB) (seeds [][]byte) {
	f.Helper()
	dir := f.TempDir()
	require.NoError(f, os.Mkdir(filepath.Join(dir, LogDir), 0o755))
	for v, commit := range []string{
		`{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n" +
			`{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":["p"],"configuration":{"a":"b"}}}` + "\n" +
			`{"add":{"path":"p=1/a","partitionValues":{"p":"1"},"size":1,"modificationTime":1,"dataChange":true,"stats":"{\"numRecords\":1}"}}`,
		`{"remove":{"path":"p=1/a","deletionTimestamp":2,"dataChange":true}}` + "\n" + `{"txn":{"appId":"app","version":3}}` + "\n" +
			`{"add":{"path":"b","partitionValues":{"p":null},"size":2,"modificationTime":1,"dataChange":true,"tags":{"t":"u"}}}`,
	} {
		require.NoError(f, os.WriteFile(filepath.Join(dir, Version(v).CommitPath()), []byte(commit), 0o644))
	}
	d, err := OpenDir(dir)
	require.NoError(f, err)
	for v := range Version(2) {
		s, err := d.Snapshot(f.Context(), v, nil)
		require.NoError(f, err)
		var b bytes.Buffer
		_, err = s.WriteCheckpoint(&b)
		require.NoError(f, errors.Join(err, s.Close()))
		seeds = append(seeds, b.Bytes())
	}
	for _, g := range goldenTables(f) {
		names, err := filepath.Glob(filepath.Join(g.folder, LogDir, "*.checkpoint*.parquet"))
		require.NoError(f, err)
		for _, name := range names {
			b, err := os.ReadFile(name)
			require.NoError(f, err)
			if len(b) < 32<<10 {
				seeds = append(seeds, b)
			}
		}
	}
	return seeds
}

// FuzzCheckpoint: no panic, every action is one JSON value of a known kind, and a small file
// takes no more memory than some columns of as many nulls as a page may have.
func FuzzCheckpoint(f *testing.F) {
	for _, seed := range checkpointSeeds(f) {
		f.Add(seed)
		require.NoError(f, readCheckpoint(f, seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		requireBounded(t, b, 1<<30)
	})
}

func requireBounded(t testing.TB, b []byte, most uint64) {
	var err error
	n := allocated(func() { err = readCheckpoint(t, b) })
	require.True(t, err == nil || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported), "%v", err)
	require.LessOrEqual(t, n, most, "%v", err)
}

// FuzzPage is for what the fuzzer of files seldom reaches, behind checksums and compression:
// a page of three values takes no more memory than one of texts with shared prefixes may.
func FuzzPage(f *testing.F) {
	columns := []string{"add.path", "add.size", "add.dataChange", "protocol.minReaderVersion", "add.partitionValues.key_value.key"}
	encodings := []format.Encoding{format.Plain, plainDictionary, format.RLE, format.RLEDictionary, format.BitPacked,
		format.DeltaBinaryPacked, format.DeltaLengthByteArray, format.DeltaByteArray, format.ByteStreamSplit}
	for i := range encodings {
		for j := range columns {
			f.Add(byte(j), byte(i), theLevels, prefixed("text"))
			f.Add(byte(j), byte(i), theLevels, "\x01"+hugeRun)
			f.Add(byte(j), byte(i), "", prefixed(theLevels)+deltas(1, "\x32")+deltas(1, "\x32")+someText)
		}
	}
	seed := checkpointSeeds(f)[0]
	f.Fuzz(func(t *testing.T, column, encoding byte, levels, data string) {
		is := encodings[int(encoding)%len(encodings)]
		p := pageV1(3, is, data)
		if levels != "" {
			p = pageV2(3, is, levels, data)
		}
		b := withPages(t, seed, columns[int(column)%len(columns)], format.Uncompressed, dictionary(1, prefixed(someText)), p)
		requireBounded(t, b, 4*smallPage)
	})
}

func readCheckpoint(t testing.TB, b []byte) error {
	return eachParquetAction(t.Context(), bytes.NewReader(b), int64(len(b)), readColumns(), func(kind string, value []byte) error {
		if !json.Valid(value) {
			t.Errorf("%s: %s", kind, value)
		}
		return nil
	})
}

// Beside the fuzzer, which seldom gets there: cut, and with lengths at their
// largest, at so many places that every kind of number is met.
func TestDamagedCheckpoints(t *testing.T) {
	seed := checkpointSeeds(t)[0]
	for n := 0; n < len(seed); n += 13 {
		require.Error(t, readCheckpoint(t, seed[:n]), "cut at %d", n)
	}
	for at := 0; at < len(seed)-4; at += 13 {
		b := bytes.Clone(seed)
		copy(b[at:], "\xff\xff\xff\xff")
		if err := readCheckpoint(t, b); err != nil {
			require.True(t, errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported), "at %d: %v", at, err)
		}
	}
}

// FuzzHint: a hint that is read names a version.
func FuzzHint(f *testing.F) {
	for _, seed := range []string{
		`{"version":10,"size":12}`, `{"version":10,"size":12,"parts":3}`, `{"version":-1}`, `{"version":1e3}`, `{}`, ``, `{"version":9223372036854775807}`,
		`{"version":2,"v2Checkpoint":{"path":"00000000000000000002.checkpoint.0-0-0-0-0.parquet"}}`,
	} {
		f.Add([]byte(seed))
	}
	for _, g := range goldenTables(f) {
		if b, err := os.ReadFile(filepath.Join(g.folder, LogDir, "_last_checkpoint")); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHint(bytes.NewReader(b))
		if err != nil {
			require.Zero(t, h)
			return
		}
		require.GreaterOrEqual(t, h.Version, Version(0))
		require.True(t, strings.HasPrefix(h.Version.CommitPath(), LogDir), fmt.Sprint(h))
	})
}

// FuzzIsJSON: what is walked through without a look at its bounds is JSON to the library that
// looks at each byte.
func FuzzIsJSON(f *testing.F) {
	f.Add([]byte(begin + addOf("a") + removeOf("b")))
	for _, s := range []string{`{"a":[1,2,{"b":null}],"c":-1.5e+7,"d":{}}`, `"\ud800\n\/"`, "\"\x00\"", "\"\xff\"", `[1,]`, `{"a":1,}`, ` [] `, `01`, `-`, `1.`, `1e`, `{"a" 1}`, `"\u12"`, `{"a":1}}`, `[[`, `tru`, `{1:2}`, ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { require.Equal(t, json.Valid(b), isJSON(b)) })
}
