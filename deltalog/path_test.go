package deltalog

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestH20DecodePath(t *testing.T) {
	long := strings.Repeat("n", 255)
	for _, c := range []struct {
		name, raw, want string
		err             error
	}{
		{"plain", "part-0.parquet", "part-0.parquet", nil},
		{"folders", "a=1/b=2/part-0.parquet", "a=1/b=2/part-0.parquet", nil},
		{"escape is decoded", "a%20b.parquet", "a b.parquet", nil},
		{"decoded once only (H20)", "x=A%252FA/f", "x=A%2FA/f", nil},
		{"plus stays", "a+b", "a+b", nil},
		{"malformed escape stays", "50%/x%zz%4", "50%/x%zz%4", nil},
		{"malformed beside a good one", "%zz%41", "%zzA", nil},
		{"escape at the very end", "a%41", "aA", nil},
		{"upper and lower case digits", "%c3%A9", "é", nil},
		{"colon behind an equals sign is no scheme", "ts=12:30/f", "ts=12:30/f", nil},
		{"escaped colon", "ts%3A1", "ts:1", nil},
		{"colon in a folder", "a/b:c", "a/b:c", nil},
		{"question mark and hash", "a?b#c", "a?b#c", nil},
		{"dots in a name", "..a/b../...", "..a/b../...", nil},
		{"log's name further down", "a/_delta_log/x", "a/_delta_log/x", nil},
		{"change data", "_change_data/cdc-1.parquet", "_change_data/cdc-1.parquet", nil},
		{"255 bytes in an element (H22)", "a/" + long, "a/" + long, nil},

		{"256 bytes in an element (H22)", "a/n" + long, "", ErrUnsupported},
		{"absolute", "/etc/passwd", "", ErrUnsupported},
		{"absolute with two slashes", "//host/x", "", ErrUnsupported},
		{"s3", "s3://bucket/f.parquet", "", ErrUnsupported},
		{"file", "file:/x/f.parquet", "", ErrUnsupported},
		{"drive letter", `C:\x`, "", ErrUnsupported},
		{"drive letter and slash", "c:/x", "", ErrUnsupported},
		{"escaped drive letter", "c%3Ax", "", ErrUnsupported},
		{"like a drive letter further down", "a/c%3Ax", "a/c:x", nil},
		{"4,096 bytes", strings.Repeat("d/", 2047) + "ff", strings.Repeat("d/", 2047) + "ff", nil},
		{"4,097 bytes", strings.Repeat("d/", 2048) + "f", "", ErrUnsupported},
		{"the log to Windows: point", "_delta_log./x", "", ErrUnsupported},
		{"the log to Windows: space", "_Delta_log%20/x", "", ErrUnsupported},
		{"the log to Windows: stream", "_delta_log%3Ax/x", "", ErrUnsupported},
		{"our own folder to HFS+", "%E2%80%8B.sluice/x", "", ErrUnsupported},
		{"begins like the log", "_delta_log2/x", "_delta_log2/x", nil},
		{"backslash", `a\b`, "", ErrUnsupported},
		{"escaped backslash", "..%5c..%5cx", "", ErrUnsupported},
		{"not UTF-8", "a%ff", "", ErrUnsupported},
		{"empty", "", "", ErrCorrupt},
		{"traversal", "../x", "", ErrCorrupt},
		{"traversal as found in test data (H20)", "..//Users/x", "", ErrCorrupt},
		{"escaped traversal", "%2e%2e/x", "", ErrCorrupt},
		{"escaped separator", "a/..%2f../x", "", ErrCorrupt},
		{"traversal at the end", "a/..", "", ErrCorrupt},
		{"dot", "./a", "", ErrCorrupt},
		{"escaped absolute", "%2Fetc/passwd", "", ErrCorrupt},
		{"empty element", "a//b", "", ErrCorrupt},
		{"trailing slash", "a/", "", ErrCorrupt},
		{"NUL", "a%00b", "", ErrCorrupt},
		{"into the log", "_delta_log/00000000000000000009.json", "", ErrCorrupt},
		{"into the log, escaped", "%5fdelta_log/x", "", ErrCorrupt},
		{"into the log where case does not count (H21)", "_Delta_LOG/x", "", ErrCorrupt},
		{"the log itself", "_delta_log", "", ErrCorrupt},
		{"into our own folder", ".sluice/stage/x", "", ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := DecodePath(c.raw)
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestVectorPath(t *testing.T) {
	for _, c := range []struct {
		name, storage, id, want string
		err                     error
	}{
		{"plain", "u", "ITfmIXOK!>U^L:if1E+a", "deletion_vector_8aebe228-b96c-4831-b0b6-22882eb9a3d3.bin", nil},
		{"prefix", "u", "abITfmIXOK!>U^L:if1E+a", "ab/deletion_vector_8aebe228-b96c-4831-b0b6-22882eb9a3d3.bin", nil},
		{"example of the protocol", "u", "ab^-aqEH.-t@S}K{vb[*k^", "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin", nil},
		{"all zero", "u", "00000000000000000000", "deletion_vector_00000000-0000-0000-0000-000000000000.bin", nil},
		{"all ones", "u", strings.Repeat("%nSc0", 4), "deletion_vector_ffffffff-ffff-ffff-ffff-ffffffffffff.bin", nil},
		{"inline", "i", "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", "", nil},
		{"absolute", "p", "s3://bucket/dv.bin", "", ErrUnsupported},
		{"unknown storage", "x", "", "", ErrUnsupported},
		{"too short", "u", "0000000000000000000", "", ErrCorrupt},
		{"not z85", "u", "0000000000000000000\"", "", ErrCorrupt},
		{"overflow", "u", "000000000000000%nSc1", "", ErrCorrupt},
		{"prefix leads out", "u", "../00000000000000000000", "", ErrCorrupt},
		{"prefix is the log", "u", "_delta_log00000000000000000000", "", ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := vectorPath(c.storage, c.id)
			require.ErrorIs(t, err, c.err)
			if err == nil {
				assert.Equal(t, c.want, got)
			}
		})
	}
}

// FuzzDecodePath: whatever is accepted is a plain path inside the table.
func FuzzDecodePath(f *testing.F) {
	for _, seed := range []string{"a=1/b%20c.parquet", "..%2f..", "%25%32%65", "s3://b/k", "C:x", "%", "%0", "_delta_log/x", "a%00", `\`} {
		f.Add(seed)
	}
	for _, raw := range goldenActive(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := DecodePath(raw)
		if err != nil {
			if got != "" {
				t.Fatalf("%q with %v", got, err)
			}
			return
		}
		if !filepath.IsLocal(filepath.FromSlash(got)) || path.Clean(got) != got || strings.HasPrefix(strings.ToLower(got)+"/", "_delta_log/") {
			t.Fatalf("%q became %q", raw, got)
		}
		root := "/table/"
		if !strings.HasPrefix(path.Join(root, got), root) {
			t.Fatalf("%q leaves the table", got)
		}
		if strings.ContainsRune(got, os.PathSeparator) && os.PathSeparator != '/' {
			t.Fatalf("%q has a separator of this system", got)
		}
	})
}
