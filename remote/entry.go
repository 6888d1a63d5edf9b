package remote

import (
	"encoding/binary"
	"errors"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/internal/extsort"
)

// addEntry adds e under its path.
func addEntry(sorted *extsort.Sorter, e bundle.IndexEntry) error {
	return sorted.Add(e.Path, encodeEntry(e))
}

// What an encoded entry has, in its first byte.
const (
	entryInBase = 1 << iota
	entryPlace
	entryStored
)

// encodeEntry returns e as it lies in temporary files; as JSON it would take several times
// as long, for each of all live files of a table.
func encodeEntry(e bundle.IndexEntry) []byte {
	b := make([]byte, 1, 1+len(e.SHA256)+len(e.Path)+len(e.Kind)+len(e.Part)+5*binary.MaxVarintLen64)
	if e.InBase {
		b[0] |= entryInBase
	}
	b = append(b, e.SHA256[:]...)
	b = binary.AppendVarint(b, e.Version)
	b = binary.AppendVarint(b, e.Size)
	for _, s := range []string{e.Path, string(e.Kind), e.Part} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	if p := e.Place; p != nil {
		b[0] |= entryPlace
		if p.Stored {
			b[0] |= entryStored
		}
		for _, n := range []int64{p.Offset, p.Length, p.Skip} {
			b = binary.AppendVarint(b, n)
		}
	}
	return b
}

// decodeEntry is the inverse of encodeEntry.
func decodeEntry(b []byte) (e bundle.IndexEntry, err error) {
	d := entryDecoder{rest: b}
	has := d.bytes(1)
	copy(e.SHA256[:], d.bytes(len(e.SHA256)))
	e.Version, e.Size = d.number(), d.number()
	e.Path, e.Kind, e.Part = d.text(), bundle.Kind(d.text()), d.text()
	if d.broken {
		return e, errEntry
	}
	e.InBase = has[0]&entryInBase != 0
	if has[0]&entryPlace != 0 {
		e.Place = &bundle.Place{Offset: d.number(), Length: d.number(), Skip: d.number(), Stored: has[0]&entryStored != 0}
	}
	if d.broken || len(d.rest) > 0 {
		return e, errEntry
	}
	return e, nil
}

// errEntry: the temporary file does not hold what was written to it.
var errEntry = errors.New("index entry of our own is damaged")

type entryDecoder struct {
	rest   []byte
	broken bool // it ended too early, and what was returned is of no use
}

func (d *entryDecoder) bytes(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.broken, d.rest, n = true, nil, 0
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *entryDecoder) number() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *entryDecoder) text() string {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	return string(d.bytes(int(min(v, uint64(len(d.rest)+1)))))
}

// skip passes over a number of n bytes; none is read from fewer than one.
func (d *entryDecoder) skip(n int) {
	if n <= 0 {
		d.broken, d.rest = true, nil
		return
	}
	d.rest = d.rest[n:]
}
