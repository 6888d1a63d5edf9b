package deltalog

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// maxValues bounds how many entries a map or list of one action may have.
const maxValues = 1 << 20

// leaf reads one column of a parquet file, row by row.
type leaf struct {
	index int             // among the file's leaf columns
	def   int             // the definition level of its values
	row   []parquet.Value // those of the current row

	pages  parquet.Pages
	values parquet.ValueReader // of the current page; nil before the first
	ahead  []parquet.Value     // read and not yet taken
	buf    [64]parquet.Value
}

// open begins a row group with the pages of this column. They are left to the
// garbage collector, because values point into them.
func (l *leaf) open(pages parquet.Pages) {
	l.pages, l.values, l.ahead = pages, nil, nil
}

func (l *leaf) close() error {
	if l.pages == nil {
		return nil
	}
	err := l.pages.Close()
	l.pages = nil
	return err
}

// next takes the values of the next row. It returns io.EOF behind the last.
func (l *leaf) next() error {
	l.row = l.row[:0]
	for {
		if len(l.ahead) == 0 {
			err := l.read()
			if err == io.EOF && len(l.row) > 0 {
				return nil
			}
			if err != nil {
				return err
			}
		}
		v := l.ahead[0]
		switch begins := v.RepetitionLevel() == 0; {
		case begins && len(l.row) > 0:
			return nil
		case !begins && len(l.row) == 0:
			return fmt.Errorf("%w: a column begins inside a row", ErrCorrupt)
		case len(l.row) == maxValues:
			return fmt.Errorf("%w: %w: an action with more than %d entries", ErrCorrupt, ErrTooLarge, maxValues)
		}
		l.row, l.ahead = append(l.row, v), l.ahead[1:]
	}
}

// read fetches values, from the next page if need be.
func (l *leaf) read() error {
	for {
		if l.values == nil {
			page, err := l.pages.ReadPage()
			if err != nil {
				return err
			}
			l.values = page.Values()
		}
		n, err := l.values.ReadValues(l.buf[:])
		l.ahead = l.buf[:n]
		switch {
		case errors.Is(err, io.EOF):
			l.values = nil
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("%w: %w", ErrCorrupt, io.ErrNoProgress)
		}
		if n > 0 {
			return nil
		}
	}
}
