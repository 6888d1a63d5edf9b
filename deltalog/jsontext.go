package deltalog

import (
	"fmt"
	"unicode/utf8"
)

// appendText appends s as a JSON string. encoding/json would replace what is
// not UTF-8 and so change a path without a word; here it wraps ErrCorrupt.
func appendText(out, s []byte) ([]byte, error) {
	if !utf8.Valid(s) {
		return nil, fmt.Errorf("%w: %.40q is not UTF-8", ErrCorrupt, s)
	}
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"'), nil
}
