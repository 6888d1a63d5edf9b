package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheckObject(t *testing.T) {
	many := func(last string) string {
		var b strings.Builder
		for i := range 100 {
			fmt.Fprintf(&b, `"n%d":{},`, i)
		}
		return "{" + b.String() + last + "}"
	}
	for raw, ok := range map[string]bool{
		`{}`: true, ` [ ] `: true, `1`: true, `null`: true, `"a"`: true, `-1.5e7 `: true,
		`{"a":1,"b":{"a":2},"c":[{"a":1},{"a":1}]}`: true, `{"a":1 , "a" :2}`: false, `{"a":1,"\u0061":2}`: false,
		`{"A":1}`: false, `{"a":[{"B":1}]}`: false, `{"":1}`: true, `{"é":1}`: false, `{"a b":1}`: false,
		`{"metadata":{"A b":1,"x\"y":2,"\\":3}}`: true, `{"metadata":{"A":1,"A":2}}`: false, `{"metadata":{"a":{"A":1,"A":2}}}`: false,
		`{"metadata":{"A":1},"A":2}`: false, `{"a":"{\"A\":1,\"A\":2}"}`: true, `[[[{"a":[1,2,{"a":true}],"a":null}]]]`: false,
		many(`"n100":1`): true, many(`"n3":1`): false, many(`"n99":1`): false, many(`"x":{"n3":1}`): true,
	} {
		require.True(t, json.Valid([]byte(raw)), raw)
		err := checkObject([]byte(raw))
		if ok {
			assert.NoError(t, err, raw)
		} else {
			assert.ErrorIs(t, err, ErrCorrupt, raw)
		}
	}
}

func TestCheckEscapes(t *testing.T) {
	for raw, ok := range map[string]bool{
		`{}`: true, `"\\ud800"`: true, `"\u00e9\n\/"`: true, `"\ud83d\ude00"`: true, `"\uD83D\uDE00x"`: true, `["\\","\ud83d\ude00"]`: true,
		`"\ud83d"`: false, `"\ud83dx"`: false, `"\ude00"`: false, `"\ud83d\\ude00"`: false, `"\ud83d\ud83d"`: false, `"\ud83d\n"`: false, `{"\ude00":1}`: false,
	} {
		require.True(t, json.Valid([]byte(raw)), raw)
		if err := checkEscapes([]byte(raw)); ok {
			assert.NoError(t, err, raw)
		} else {
			assert.ErrorIs(t, err, ErrCorrupt, raw)
		}
	}
}

func TestCheckObjectCounts(t *testing.T) {
	names := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%x":0,`, i)
		}
		return `{"later":{` + b.String() + `"last":0}}`
	}
	files := func(n int) string { // of 96 bytes each
		one := `{"a":"` + strings.Repeat("x", minFile-len(`{"a":""},`)) + `"}`
		return `{"files":[` + strings.Repeat(one+",", n-1) + one + `]}`
	}
	for raw, want := range map[string]error{
		names(maxNames - 1): nil, names(maxNames): ErrTooLarge, files(2): nil, files(1000): nil, strings.Replace(files(1000), "x", "", 20): ErrTooLarge,
		`{"files":[],"later":{"files":[0,0]}}`: ErrTooLarge, `{"later":[` + strings.Repeat("0,", 9999) + `0]}`: nil, `{"parts":[{}]}`: ErrTooLarge,
		`{"modified":"2026-01-01T00:00:00Z","metadata":{"modified":"now"}}`: nil, `{"modified":"2026-01-01T00:00:00+00:00"}`: ErrCorrupt, `{"modified":null}`: nil, `{"modified":""}`: ErrCorrupt,
		// Only where a time is known; elsewhere later writers may mean something else by the name.
		`{"versions":[{"modified":"now"}]}`: ErrCorrupt, `{"versions":[{"commit":{"modified":"now"}}]}`: nil, `{"later":[{"modified":"now"}]}`: nil, `{"origin":{"modified":"now"}}`: nil,
		`{"versions":[{"modified":"2026-01-01T00:00:00.5Z"}],"later":[]}`: nil, `{"later":[],"versions":[{"modified":"2026-01-01T00:00:00\u005a"}]}`: ErrCorrupt,
		strings.Repeat(`{"a":`, maxDepth) + `0` + strings.Repeat(`}`, maxDepth): nil, strings.Repeat(`{"a":`, maxDepth+1) + `0` + strings.Repeat(`}`, maxDepth+1): ErrCorrupt,
	} {
		require.True(t, json.Valid([]byte(raw)))
		assert.ErrorIs(t, checkObject([]byte(raw)), want, "%.80s", raw)
	}
}

// A line of an index is bounded by its length alone, and has no time.
func TestCheckLine(t *testing.T) {
	require.NoError(t, checkLine([]byte(`{"files":[1,2,3],"modified":"now"}`)))
	require.ErrorIs(t, checkLine([]byte(`{"path":"a","Path":"b"}`)), ErrCorrupt)
}

// What is too much for a description is damage to a reader, but not to who would write it.
func TestTooMuchToWrite(t *testing.T) {
	m := Manifest{Versions: []Version{{Modified: time.Unix(0, 0).UTC(), Metadata: map[string]string{}}}}
	for i := range maxNames + 1 {
		m.Versions[0].Metadata[strconv.Itoa(i)] = ""
	}
	c, err := NewCodec(nil)
	require.NoError(t, err)
	_, err = c.Encode(t.Context(), io.Discard, m, func(context.Context, string) (io.ReadCloser, int64, error) {
		return io.NopCloser(strings.NewReader("{}")), 2, nil
	})
	require.ErrorIs(t, err, ErrTooLarge)
	require.NotErrorIs(t, err, ErrCorrupt)
}

// FuzzCheckNames compares with the tokens of encoding/json.
func FuzzCheckNames(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[1,"x",{}]},"a":1}`, `{"metadata":{"A":"\ud800"}}`, ` [ 1 , -2e3,{ "A" :null } ] `, "1E0700"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			t.Skip()
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber() // a number may be larger than any float64
		want := tokenNames(dec, false)
		if err := checkObject(raw); !want {
			assert.ErrorIs(t, err, ErrCorrupt)
		} else if err != nil {
			assert.NotRegexp(t, "lower case|stands twice", err.Error())
		}
	})
}

// tokenNames is checkNames by the tokens of encoding/json.
func tokenNames(dec *json.Decoder, free bool) bool {
	token, err := dec.Token()
	if err != nil {
		return false
	}
	ok := true
	seen := map[string]bool{}
	if token == json.Delim('{') || token == json.Delim('[') {
		for dec.More() {
			inner := free
			if token == json.Delim('{') {
				key, err := dec.Token()
				if err != nil {
					return false
				}
				name := key.(string)
				ok = ok && !seen[name] && (free || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == "")
				seen[name], inner = true, free || name == "metadata"
			}
			ok = tokenNames(dec, inner) && ok
		}
		_, err = dec.Token()
	}
	return ok && err == nil
}
