package bundle

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Fields of a ustar header: where each begins and how long it is.
const (
	nameField    = 100
	modeField    = 100
	ownerField   = 108
	groupField   = 116
	sizeField    = 124
	timeField    = 136
	sumField     = 148
	typeField    = 156
	magicField   = 257
	majorField   = 329
	minorField   = 337
	idLength     = 8  // of mode, owner, group and device numbers
	numberLength = 12 // of size and time
)

// maxOctal is the first number that a field of numberLength has no room for.
const maxOctal = 1 << 33

// appendHeader appends what stands before a member's content: its header and,
// where that has no room for its path, size or time, an extended one. The bytes
// are those of archive/tar, but for long paths that ustar could split; this one
// is used since a bundle may have many thousands of tiny members. FORMAT.md, T3 and T4,
// has them byte for byte, and readers refuse others.
func appendHeader(b []byte, path string, size int64, modified time.Time) []byte {
	records := len(b) + blockSize
	b = append(b, zeroBlock[:]...)[:records]
	if seconds := modified.Unix(); modified.Nanosecond() != 0 || seconds < 0 || seconds >= maxOctal {
		b = appendRecord(b, "mtime", paxTime(modified))
	}
	if len(path) > nameField || toASCII(path) != path {
		b = appendRecord(b, "path", path)
	}
	if size >= maxOctal {
		b = appendRecord(b, "size", strconv.FormatInt(size, 10))
	}
	if n := len(b) - records; n > 0 {
		dir, file := path[:strings.LastIndexByte(path, '/')+1], path[strings.LastIndexByte(path, '/')+1:]
		fillHeader(b[records-blockSize:records], dir+"PaxHeaders.0/"+file, 0, int64(n), 0, 'x')
		b = append(b, zeroBlock[:-n&(blockSize-1)]...)
	} else {
		b = b[:records-blockSize]
	}
	b = append(b, zeroBlock[:blockSize]...)
	fillHeader(b[len(b)-blockSize:], path, 0o644, size, modified.Unix(), '0')
	return b
}

// fillHeader fills a block of zeros.
func fillHeader(b []byte, path string, mode, size, seconds int64, typ byte) {
	name := toASCII(path)
	if len(name) > nameField || typ == 'x' { // ending in a slash, it would name a folder
		name = strings.TrimRight(name[:min(len(name), nameField)], "/")
	}
	copy(b, name)
	octal(b[modeField:][:idLength], mode)
	octal(b[ownerField:][:idLength], 0)
	octal(b[groupField:][:idLength], 0)
	octal(b[sizeField:][:numberLength], size)
	octal(b[timeField:][:numberLength], seconds)
	b[typeField] = typ
	copy(b[magicField:], "ustar\x0000")
	if typ != 'x' {
		octal(b[majorField:][:idLength], 0)
		octal(b[minorField:][:idLength], 0)
	}
	sum := int64(idLength * ' ') // the field itself counts as spaces
	for _, c := range b {
		sum += int64(c)
	}
	octal(b[sumField:][:idLength-1], sum)
	b[sumField+idLength-1] = ' '
}

// octal writes n with leading zeros and a NUL; 0 if there is no room for it,
// which an extended header makes good.
func octal(field []byte, n int64) {
	last := len(field) - 1
	if n < 0 || n>>(3*last) != 0 {
		n = 0
	}
	for i := last - 1; i >= 0; i-- {
		field[i] = '0' + byte(n&7)
		n >>= 3
	}
}

// parseHeader reads what appendHeader wrote. What it makes of anything else is
// arbitrary: that must be found out by comparing with what appendHeader makes of it.
func parseHeader(b []byte) (h header, ok bool) {
	last := b[len(b)-blockSize:]
	h.path, _, _ = strings.Cut(string(last[:nameField]), "\x00")
	h.size = parseOctal(last[sizeField:][:numberLength])
	seconds, fraction := parseOctal(last[timeField:][:numberLength]), int64(0)
	if len(b) > blockSize {
		records := b[blockSize:][:parseOctal(b[sizeField:][:numberLength])]
		for len(records) > 0 {
			length, _, _ := strings.Cut(string(records), " ")
			n, err := strconv.Atoi(length)
			if err != nil || n <= len(length)+1 || n > len(records) {
				return h, false
			}
			key, value, _ := strings.Cut(string(records[len(length)+1:n-1]), "=")
			records = records[n:]
			switch key {
			case "path":
				h.path = value
			case "size":
				h.size, err = strconv.ParseInt(value, 10, 64)
			case "mtime":
				seconds, fraction, err = parsePaxTime(value)
			}
			if err != nil {
				return h, false
			}
		}
	}
	h.modified = time.Unix(seconds, fraction).UTC()
	return h, h.size >= 0 && !strings.HasSuffix(h.path, "/") && !strings.Contains(h.path, "\x00")
}

// parseOctal reads what octal wrote.
func parseOctal(field []byte) (n int64) {
	for _, c := range field {
		if c < '0' || c > '7' {
			break
		}
		n = n<<3 | int64(c-'0')
	}
	return n
}

// parsePaxTime reads what paxTime wrote.
func parsePaxTime(s string) (seconds, fraction int64, err error) {
	whole, digits, _ := strings.Cut(s, ".")
	if seconds, err = strconv.ParseInt(whole, 10, 64); err != nil || digits == "" {
		return seconds, 0, err
	}
	if fraction, err = strconv.ParseInt((digits + "000000000")[:9], 10, 64); err == nil && strings.HasPrefix(s, "-") {
		seconds, fraction = seconds-1, 1e9-fraction
	}
	return seconds, fraction, err
}

// appendRecord appends "<length> <key>=<value>\n"; the length counts itself.
func appendRecord(b []byte, key, value string) []byte {
	rest := len(key) + len(value) + len(" =\n")
	n := rest
	for n != rest+len(strconv.Itoa(n)) {
		n = rest + len(strconv.Itoa(n))
	}
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, ' ')
	b = append(b, key...)
	b = append(b, '=')
	b = append(b, value...)
	return append(b, '\n')
}

// paxTime is a time in decimal seconds since 1970.
func paxTime(t time.Time) string {
	seconds, fraction := t.Unix(), int64(t.Nanosecond())
	if fraction == 0 {
		return strconv.FormatInt(seconds, 10)
	}
	sign := ""
	if seconds < 0 { // the fraction counts upwards, the number downwards
		sign, seconds, fraction = "-", -(seconds + 1), 1e9-fraction
	}
	digits := strconv.FormatInt(1e9+fraction, 10)[1:]
	return sign + strconv.FormatInt(seconds, 10) + "." + strings.TrimRight(digits, "0")
}

// toASCII leaves out what a ustar header cannot say.
func toASCII(s string) string {
	for i := range len(s) {
		if s[i] == 0 || s[i] >= utf8.RuneSelf {
			return strings.Map(func(r rune) rune {
				if r == 0 || r >= utf8.RuneSelf {
					return -1
				}
				return r
			}, s)
		}
	}
	return s
}
