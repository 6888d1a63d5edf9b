package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A bundle of a later format begins with its number, so that a reader need not
// come to the manifest, nor understand what is before it, to know that it is too
// old. Format 1 has no such mark: it would keep GNU tar from seeing that a file is
// compressed.
const (
	markMagic = 0x184D2A5F // of a skippable frame
	markText  = "sluice format "
	// markSize is as far as a number of 19 digits reaches.
	markSize = seekHeaderSize + len(markText) + 19
)

// checkMark looks for a mark at the beginning of r and refuses a number that is
// not known. The reader that it returns yields all of r.
func checkMark(r io.Reader) (io.Reader, error) {
	head := make([]byte, markSize)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head = head[:n]
	if err := checkNumber(head); err != nil {
		return nil, err
	}
	return io.MultiReader(bytes.NewReader(head), r), nil
}

func checkNumber(head []byte) error {
	if len(head) < seekHeaderSize || binary.LittleEndian.Uint32(head) != markMagic {
		return nil
	}
	content := head[seekHeaderSize:]
	content = content[:min(int64(len(content)), int64(binary.LittleEndian.Uint32(head[4:])))]
	number, marked := strings.CutPrefix(string(content), markText)
	if !marked {
		return nil
	}
	if end := strings.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		number = number[:end]
	}
	return checkKnown(number)
}

// checkKnown refuses a format number that this program does not read.
func checkKnown(number string) error {
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil || n < 1:
		return corruptf("format %.40s", number)
	case n > Format:
		return fmt.Errorf("format %d, this program reads up to %d: %w", n, Format, ErrUnsupported)
	}
	return nil
}
