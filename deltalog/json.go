package deltalog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/parquet-go/jsonlite"
)

// maxAction bounds, in bytes, a single action and so the memory that reading a
// commit takes. Schemas and statistics of some MB exist.
const maxAction = 64 << 20

// firstRead is how many bytes of a log file are read first: most commits as a
// whole. The decoder has a buffer of its own, that grows with the actions.
const firstRead = 8 << 10

// readers are for reading commits.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, firstRead) }}

// counted counts what is read and remembers why reading failed.
type counted struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// bounded fails when the decoder asks for more than limit bytes without having
// come to the end of a value.
type bounded struct {
	r     io.Reader
	limit int64
	dec   *json.Decoder
	n     int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.n-b.dec.InputOffset() > b.limit {
		return 0, fmt.Errorf("%w: %w: an action of more than %d bytes", ErrCorrupt, ErrTooLarge, b.limit)
	}
	n, err := b.r.Read(p)
	b.n += int64(n)
	return n, err
}

// eachValue reads a stream of JSON values to its end and calls f with each.
// raw is valid only during the call. Line ends, blank lines, indentation and a
// byte order mark do not matter, and neither does the length of a line.
//
// It returns errors of r and of f as they are, an error wrapping ErrIncomplete
// if r ends before the first value or within one, and one wrapping ErrCorrupt
// if r holds anything but JSON.
func eachValue(r io.Reader, f func(raw []byte) error) error {
	return eachValueUpTo(maxAction, r, f)
}

func eachValueUpTo(maxValue int64, r io.Reader, f func(raw []byte) error) error {
	src := &counted{r: r}
	in := readers.Get().(*bufio.Reader)
	in.Reset(src)
	defer func() {
		in.Reset(nil)
		readers.Put(in)
	}()
	if mark, err := in.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		if _, err := in.Discard(3); err != nil {
			return err
		}
	}
	n, rest, done, err := eachLine(in, maxValue, f)
	if done || err != nil {
		return err
	}
	limit := &bounded{r: io.MultiReader(bytes.NewReader(rest), in), limit: maxValue}
	limit.dec = json.NewDecoder(limit)
	var raw json.RawMessage
	for ; ; n++ {
		err := limit.dec.Decode(&raw)
		if err == io.EOF && n > 0 {
			return nil
		}
		if err != nil {
			return streamError(err, src)
		}
		if err := f(raw); err != nil {
			return err
		}
	}
}

// eachLine calls f with each value as long as every line is one, as in what all
// engines write; a decoder looks at each byte three times. It is done at the end of in. Else
// it ends before the first line that is not one value, or is longer than the buffer, and
// returns what it has read of that.
func eachLine(in *bufio.Reader, maxValue int64, f func(raw []byte) error) (n int, rest []byte, done bool, err error) {
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case err != nil && err != io.EOF && err != bufio.ErrBufferFull:
			return n, nil, false, err
		case len(line) == 0 && n > 0:
			return n, nil, true, nil
		case err == bufio.ErrBufferFull || int64(len(line)) > maxValue || !isJSON(line):
			return n, bytes.Clone(line), false, nil
		}
		if err := f(bytes.TrimSpace(line)); err != nil {
			return n, nil, false, err
		}
		n++
	}
}

// isJSON is json.Valid, faster. b is no longer than firstRead, so that it cannot be nested too
// deep for either.
func isJSON(b []byte) bool { return jsonlite.Valid(string(b)) }

func streamError(err error, src *counted) error {
	switch {
	case src.err != nil:
		return src.err
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it ends after %d bytes: %w", ErrIncomplete, src.n, io.ErrUnexpectedEOF)
	case errors.Is(err, ErrTooLarge):
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// field asks pick for one member of an object.
type field struct {
	name  string
	value []byte // its JSON; nil if it is not there or null
}

// pick fills in the members of obj, which is valid JSON, that fields ask for.
// Names match exactly: encoding/json would take "Path" for "path", which no
// Delta engine does. An object that states a wanted member twice is refused,
// for engines differ in which of the two they believe.
func pick(obj []byte, fields []field) error {
	if len(obj) == 0 || obj[0] != '{' {
		return fmt.Errorf("%w: %.40s is not a JSON object", ErrCorrupt, obj)
	}
	var seen uint64
	return eachMember(obj, func(name, value []byte) error {
		for i := range fields {
			if fields[i].name != string(name) {
				continue
			}
			if seen&(1<<i) != 0 {
				return fmt.Errorf("%w: %q is there twice", ErrCorrupt, name)
			}
			seen |= 1 << i
			if !bytes.Equal(value, []byte("null")) {
				fields[i].value = value
			}
		}
		return nil
	})
}

// eachMember calls f for each member of obj, a valid JSON object.
func eachMember(obj []byte, f func(name, value []byte) error) error {
	for i := skipSpace(obj, 1); obj[i] != '}'; i = skipSpace(obj, i) {
		if obj[i] == ',' {
			i++
			continue
		}
		end := skipString(obj, i)
		name, err := textBytes(obj[i:end])
		if err != nil {
			return err
		}
		i = skipSpace(obj, skipSpace(obj, end)+1) // past the colon
		end = skipValue(obj, i)
		if err := f(name, obj[i:end]); err != nil {
			return err
		}
		i = end
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at b[i].
func skipString(b []byte, i int) int {
	for begin := i + 1; ; {
		i += 1 + bytes.IndexByte(b[i+1:], '"')
		escapes := 0
		for i-escapes > begin && b[i-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 { // else the last one is of the quote
			return i + 1
		}
	}
}

// skipValue returns the index behind the member value that begins at b[i].
func skipValue(b []byte, i int) int {
	for depth := 0; ; {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 { // the end of the object around a bare value
				return i
			}
			depth--
			i++
		default:
			if depth == 0 && (b[i] == ',' || b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
				return i
			}
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
}

// text returns the value of a JSON string.
func text(raw []byte) (string, error) {
	b, err := textBytes(raw)
	return string(b), err
}

// textBytes is text without a copy where raw has no escapes.
func textBytes(raw []byte) ([]byte, error) {
	if len(raw) == 0 || raw[0] != '"' || !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: %.40s is not a string in UTF-8", ErrCorrupt, raw)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return []byte(s), nil
}

// pathText returns the value of a JSON string that names a file. encoding/json
// reads half of a surrogate pair as U+FFFD, which would be the name of another.
func pathText(raw []byte) (string, error) {
	s, err := text(raw)
	if err == nil && strings.Contains(s, "\ufffd") && hasLoneSurrogate(raw) {
		return "", fmt.Errorf("%w: %.40s has half of a surrogate pair", ErrCorrupt, raw)
	}
	return s, err
}

// hasLoneSurrogate looks at the escapes of a valid JSON string.
func hasLoneSurrogate(raw []byte) bool {
	half := rune(0) // a first half, right before
	for i := 0; i < len(raw); i++ {
		r := rune(0)
		if raw[i] == '\\' {
			i++
			if raw[i] == 'u' {
				n, _ := strconv.ParseUint(string(raw[i+1:i+5]), 16, 16) // it is valid
				r, i = rune(n), i+4
			}
		}
		switch whole := utf16.DecodeRune(half, r); {
		case half != 0 && whole == utf8.RuneError:
			return true
		case half != 0:
			half = 0
		case utf16.IsSurrogate(r):
			half = r // or a second half, which makes no pair with anything
		}
	}
	return false // the closing quote makes no pair either
}
