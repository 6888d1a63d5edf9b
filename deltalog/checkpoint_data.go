package deltalog

import (
	"fmt"

	"github.com/parquet-go/parquet-go/format"
)

// checkData looks at the data of a page, of size bytes at off: whether it comes to no more
// than the header says, and at the lengths in it, which the parquet library believes as
// well.
func (c *checkedPages) checkData(h *format.PageHeader, off, size int64) error {
	b, err := c.inflater.read(c.r, off, size)
	if err != nil {
		return err
	}
	switch h.Type {
	case format.DataPage:
		return c.checkDataV1(h, b)
	case format.DataPageV2:
		return c.checkDataV2(h, b)
	case format.DictionaryPage:
		return c.checkDictionary(h, b)
	}
	return fmt.Errorf("%w: a page of type %v", ErrCorrupt, h.Type)
}

func (c *checkedPages) checkDataV1(h *format.PageHeader, b []byte) error {
	v1, n, size := &h.DataPageHeader.V, int(h.DataPageHeader.V.NumValues), len(b)
	b, err := c.inflater.inflate(c.codec, b, int(h.UncompressedPageSize))
	if err != nil {
		return err
	}
	if b, err = checkLevelsV1(v1.RepetitionLevelEncoding, b, c.maxRepetition, n); err != nil {
		return err
	}
	if b, err = checkLevelsV1(v1.DefinitionLevelEncoding, b, c.maxDefinition, n); err != nil {
		return err
	}
	return checkEncoded(v1.Encoding, c.kind, b, n, mostOf(size))
}

// checkLevelsV1 returns what is behind the levels.
func checkLevelsV1(encoding format.Encoding, b []byte, most, n int) ([]byte, error) {
	if most == 0 {
		return b, nil // there are none
	}
	levels, rest, err := cutPrefixed(b)
	if err != nil {
		return nil, err
	}
	return rest, checkLevels(encoding, levels, most, n)
}

// checkDataV2 looks at a page whose levels are not compressed, and how long they are in the
// header.
func (c *checkedPages) checkDataV2(h *format.PageHeader, b []byte) error {
	v2, n, size := &h.DataPageHeaderV2.V, int(h.DataPageHeaderV2.V.NumValues), len(b)
	repetition, definition := int(v2.RepetitionLevelsByteLength), int(v2.DefinitionLevelsByteLength)
	if repetition < 0 || definition < 0 || repetition+definition > size {
		return fmt.Errorf("%w: %d and %d bytes of levels in a page of %d", ErrCorrupt, repetition, definition, size)
	}
	if err := checkLevels(format.RLE, b[:repetition], c.maxRepetition, n); err != nil {
		return err
	}
	b = b[repetition:]
	if err := checkLevels(format.RLE, b[:definition], c.maxDefinition, n); err != nil {
		return err
	}
	b = b[definition:]
	if is := v2.IsCompressed; !is.Valid || is.V {
		var err error
		if b, err = c.inflater.inflate(c.codec, b, int(h.UncompressedPageSize)); err != nil {
			return err
		}
	}
	return checkEncoded(v2.Encoding, c.kind, b, n, mostOf(size))
}

func (c *checkedPages) checkDictionary(h *format.PageHeader, b []byte) error {
	d := &h.DictionaryPageHeader.V
	if d.Encoding != format.Plain && d.Encoding != plainDictionary {
		return fmt.Errorf("%w: a dictionary that is encoded as %v", ErrCorrupt, d.Encoding)
	}
	b, err := c.inflater.inflate(c.codec, b, int(h.UncompressedPageSize))
	if err != nil {
		return err
	}
	if int(d.NumValues) > len(b) { // each takes a byte at least
		return fmt.Errorf("%w: a dictionary of %d values in %d bytes", ErrCorrupt, d.NumValues, len(b))
	}
	return nil
}
