package deltalog

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// z85 is the alphabet of ZeroMQ RFC 32, by which Delta writes binary ids.
const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// uuidChars is the length of a 16-byte uuid in z85.
const uuidChars = 20

// vectorID returns the id of a deletion vector, given its descriptor (Delta
// protocol, "Deletion Vector Descriptor Schema"): what tells apart two states of
// one file.
func vectorID(descriptor []byte) (string, error) {
	f := [...]field{{name: "storageType"}, {name: "pathOrInlineDv"}, {name: "offset"}}
	if err := pick(descriptor, f[:]); err != nil {
		return "", fmt.Errorf("deletion vector: %w", err)
	}
	id := ""
	for _, part := range f[:2] {
		s, err := pathText(part.value)
		if err != nil {
			return "", fmt.Errorf("deletion vector: %s: %w", part.name, err)
		}
		id += s
	}
	if f[2].value == nil {
		return id, nil
	}
	offset, err := strconv.ParseInt(string(f[2].value), 10, 64)
	if err != nil {
		return "", fmt.Errorf("%w: deletion vector: offset: %w", ErrCorrupt, err)
	}
	return id + "@" + strconv.FormatInt(offset, 10), nil
}

// vectorPath returns the path of the file that holds a deletion vector,
// relative to the table's root, "" if the vector is inline in the log (Delta
// protocol, "Deletion Vector Descriptor Schema"). Wraps ErrUnsupported for an
// absolute path or an unknown storage type, ErrCorrupt for nonsense.
func vectorPath(storageType, pathOrInline string) (string, error) {
	switch storageType {
	case "i":
		return "", nil
	case "p":
		return "", fmt.Errorf("%w of a deletion vector, %q (a shallow clone?)", ErrAbsolutePath, pathOrInline)
	case "u":
		return relativeVector(pathOrInline)
	}
	return "", fmt.Errorf("%w: deletion vector of storage type %q", ErrUnsupported, storageType)
}

// relativeVector decodes an optional folder prefix followed by a uuid in z85.
func relativeVector(s string) (string, error) {
	cut := len(s) - uuidChars
	if cut < 0 {
		return "", fmt.Errorf("%w: deletion vector id %q is too short", ErrCorrupt, s)
	}
	id, err := decodeZ85(s[cut:])
	if err != nil {
		return "", fmt.Errorf("deletion vector id %q: %w", s, err)
	}
	path := fmt.Sprintf("deletion_vector_%x-%x-%x-%x-%x.bin", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	if cut > 0 {
		path = s[:cut] + "/" + path
	}
	return path, checkPath(path)
}

// decodeZ85 decodes groups of five characters to four bytes each, big endian.
// len(s) must be a multiple of five.
func decodeZ85(s string) ([]byte, error) {
	out := make([]byte, 0, len(s)/5*4)
	for ; s != ""; s = s[5:] {
		var n uint64
		for _, c := range []byte(s[:5]) {
			digit := strings.IndexByte(z85, c)
			if digit < 0 {
				return nil, fmt.Errorf("%w: %q is no z85 character", ErrCorrupt, c)
			}
			n = n*85 + uint64(digit)
		}
		if n > 1<<32-1 {
			return nil, fmt.Errorf("%w: z85 group %q overflows", ErrCorrupt, s[:5])
		}
		out = binary.BigEndian.AppendUint32(out, uint32(n))
	}
	return out, nil
}
