package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"unicode"
	"unicode/utf16"
)

// Bounds on what a JSON object holds, FORMAT.md M1 and L2: nothing that a writer
// can need comes near them.
const (
	// maxDepth is how deep arrays and objects may nest.
	maxDepth = 64
	// maxNames is how many names an object may have.
	maxNames = 1 << 16
	// maxList is how many names the metadata of all versions may have, and how many
	// paths may be absent.
	maxList = 1 << 20
	// minFile and minPart are fewer bytes than an entry takes that has what it must.
	minFile = int(minEntry)
	minPart = len(`{"name":"","size":1}`) + partNameLength
)

// checkObject refuses, in raw, which is valid JSON, objects that two readers could
// understand differently: with one name twice, or, since encoding/json ignores
// case, with a name that is not all lower case. Keys of metadata are free. It also
// refuses times in another form than FORMAT.md has, and what is beyond the bounds; then
// the error is a *boundError.
func checkObject(raw []byte) error {
	w := walker{raw: raw, counts: make(map[string]int)}
	return w.value(nil, false)
}

// checkLine is checkObject for a line of an index, in which nothing is bounded but its
// length, and which has no times.
func checkLine(raw []byte) error {
	w := walker{raw: raw}
	return w.value(nil, false)
}

// walker goes through valid JSON once. A manifest may have many MB, and
// encoding/json takes several times as long to name its tokens as to parse it.
type walker struct {
	raw    []byte
	at     int
	depth  int
	seen   [][]byte       // names of the objects that are open, outermost first
	list   []byte         // name of the array in the outermost object that is open
	counts map[string]int // of elements so far, by the name of their arrays, where that is bounded; nil: of a line
}

// value checks the value at w.at, which has this name, and goes behind it.
func (w *walker) value(name []byte, free bool) error {
	w.space()
	c := w.raw[w.at]
	if c != '{' && c != '[' {
		w.skip()
		return nil
	}
	if w.depth++; w.depth > maxDepth {
		return corruptf("nested deeper than %d", maxDepth)
	}
	var err error
	if c == '{' {
		err = w.object(free)
	} else {
		err = w.array(string(name), free)
	}
	w.depth--
	return err
}

func (w *walker) array(name string, free bool) error {
	if w.depth == 2 {
		w.list = []byte(name)
	}
	return w.elements(func() error {
		if err := w.count(name); err != nil {
			return err
		}
		return w.value(nil, free)
	})
}

// count counts one more element of the arrays of this name.
func (w *walker) count(list string) error {
	limit, bounded := w.limit(list)
	if !bounded || w.counts == nil {
		return nil
	}
	if w.counts[list]++; w.counts[list] > limit {
		return &boundError{fmt.Sprintf("%s: more than %d", list, limit)}
	}
	return nil
}

// boundError: there is more in an object than may be. To who reads it that is damage, to
// who would write it not.
type boundError struct{ what string }

func (e *boundError) Error() string {
	return fmt.Sprintf("%s: %v: %v", e.what, ErrTooLarge, ErrCorrupt)
}

func (e *boundError) Unwrap() []error { return []error{ErrTooLarge, ErrCorrupt} }

// limit is how many elements arrays of this name have at most, where they take
// memory.
func (w *walker) limit(list string) (n int, bounded bool) {
	switch list {
	case "versions":
		return MaxVersions, true
	case "files", "checkpoint":
		return len(w.raw) / minFile, true
	case "parts":
		return len(w.raw) / minPart, true
	case "absent", "metadata":
		return maxList, true
	}
	return 0, false
}

func (w *walker) object(free bool) error {
	outer := len(w.seen)
	var many map[string]bool // in place of seen, where looking at each would take long
	err := w.members(func(name []byte) error {
		if !free && !isLower(name) {
			return corruptf("name %.80q is not lower case", name)
		}
		if many[string(name)] || contains(w.seen[outer:], name) {
			return corruptf("name %.80q stands twice in an object", name)
		}
		if len(many)+len(w.seen)-outer == maxNames {
			return &boundError{fmt.Sprintf("object of more than %d names", maxNames)}
		}
		if w.seen = append(w.seen, name); len(w.seen)-outer > 16 {
			if many == nil {
				many = make(map[string]bool)
			}
			for _, n := range w.seen[outer:] {
				many[string(n)] = true
			}
			w.seen = w.seen[:outer]
		}
		return w.member(name, free)
	})
	w.seen = w.seen[:outer]
	return err
}

// member checks the value of a name, which stands at w.at.
func (w *walker) member(name []byte, free bool) error {
	if free {
		if err := w.count("metadata"); err != nil {
			return err
		}
	}
	begin := w.at
	if err := w.value(name, free || string(name) == "metadata"); err != nil {
		return err
	}
	if value := w.raw[begin:w.at]; value[0] == '"' && w.isTime(name) && !timeText.Match(value) {
		return corruptf("time %.80s", value)
	}
	return nil
}

// isTime reports whether a name, of the innermost object that is open, is that of a time.
func (w *walker) isTime(name []byte) bool {
	known := w.depth == 1 || w.depth == 3 && string(w.list) == "versions"
	return known && w.counts != nil && string(name) == "modified"
}

// timeText matches the times that FORMAT.md has (M4), of which encoding/json takes more.
var timeText = regexp.MustCompile(`^"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z"$`)

func contains(names [][]byte, name []byte) bool {
	for _, n := range names {
		if bytes.Equal(n, name) {
			return true
		}
	}
	return false
}

func isLower(name []byte) bool {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// members calls f at the value of each member of the object at w.at; f goes
// behind it.
func (w *walker) members(f func(name []byte) error) error {
	return w.elements(func() error {
		begin := w.at
		w.skip()
		name, err := unquote(w.raw[begin:w.at])
		if err != nil {
			return err
		}
		w.space()
		w.at++ // the colon
		w.space()
		return f(name)
	})
}

// elements calls f at each element of the array or object at w.at, and goes
// behind its closing bracket.
func (w *walker) elements(f func() error) error {
	for w.at++; ; {
		switch w.space(); w.raw[w.at] {
		case ']', '}':
			w.at++
			return nil
		case ',':
			w.at++
		default:
			if err := f(); err != nil {
				return err
			}
		}
	}
}

func (w *walker) space() {
	for w.at < len(w.raw) && isSpace(w.raw[w.at]) {
		w.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// skip goes behind the value at w.at.
func (w *walker) skip() {
	for depth := 0; w.at < len(w.raw); w.at++ {
		switch c := w.raw[w.at]; {
		case c == '"':
			w.skipText()
		case c == '{' || c == '[':
			depth++
			continue
		case (c == '}' || c == ']') && depth > 0:
			depth--
		case depth > 0:
			continue
		case c == '}' || c == ']' || c == ',' || isSpace(c): // behind a number or a word
			return
		default:
			continue
		}
		if depth == 0 {
			w.at++
			return
		}
	}
}

// skipText goes to the closing quote of the string at w.at.
func (w *walker) skipText() {
	for w.at++; w.raw[w.at] != '"'; w.at++ {
		if w.raw[w.at] == '\\' {
			w.at++
		}
	}
}

// unquote returns the content of a JSON string.
func unquote(raw []byte) ([]byte, error) {
	if !bytes.Contains(raw, []byte(`\`)) {
		return raw[1 : len(raw)-1], nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, asCorrupt(err)
	}
	return []byte(s), nil
}

// checkEscapes refuses, in raw, which is valid JSON, an escape of one half of a
// surrogate pair: what that means every reader decides for itself.
func checkEscapes(raw []byte) error {
	for {
		at := bytes.IndexByte(raw, '\\')
		if at < 0 {
			return nil
		}
		raw = raw[at:]
		first, escaped := escapedUnit(raw)
		if !escaped {
			raw = raw[2:]
			continue
		}
		raw = raw[unitSize:]
		if !utf16.IsSurrogate(first) {
			continue
		}
		second, escaped := escapedUnit(raw)
		if !escaped || utf16.DecodeRune(first, second) == unicode.ReplacementChar {
			return corruptf("an escape of half a character: \\u%x", first)
		}
		raw = raw[unitSize:]
	}
}

// unitSize is how many bytes an escaped unit of UTF-16 takes.
const unitSize = len(`\u1234`)

// escapedUnit returns the unit of UTF-16 whose escape raw begins with, if it does.
func escapedUnit(raw []byte) (unit rune, ok bool) {
	if !bytes.HasPrefix(raw, []byte(`\u`)) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[2:unitSize]), 16, 16)
	return rune(n), err == nil
}
