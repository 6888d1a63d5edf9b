package deltalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
)

// eachParquetAction calls f with each action of a checkpoint or sidecar in
// parquet, as far as columns say, its kind and its JSON, which is valid only
// during the call. Memory is bounded by a page of each column, of which
// checkedPages bounds what it says of itself, and the largest action.
//
// It returns errors of r and of f as they are, an error wrapping ErrCorrupt if
// the file is not such a one, ErrTooLarge as well if a page is too large, and
// ErrUnsupported if it keeps part of the table's metadata elsewhere.
func eachParquetAction(ctx context.Context, r io.ReaderAt, size int64, columns []column, f func(kind string, value []byte) error) (err error) {
	src := &countedAt{r: r}
	var a *actionReader
	err = guarded(func() (err error) {
		a, err = newActionReader(src, size, columns)
		return err
	})
	if err != nil {
		return src.explain(err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	for err == nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		var kind string
		var value []byte
		err = guarded(func() (err error) {
			kind, value, err = a.next()
			return err
		})
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return src.explain(err)
		}
		err = f(kind, value)
	}
	return err
}

// guarded calls f. The parquet library checks much of what a file says, not
// all: damaged files make it index behind the end of a page. Such a panic is
// the file's fault, and nothing of the file is used after it.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the parquet reader failed: %v", ErrCorrupt, p)
		}
	}()
	return f()
}

// countedAt remembers why reading failed, since the parquet library may hide
// it: a failing disk is not a damaged file.
type countedAt struct {
	r   io.ReaderAt
	err error
}

func (c *countedAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	if err != nil && err != io.EOF && off >= 0 {
		c.err = err
	}
	return n, err
}

func (c *countedAt) explain(err error) error {
	switch {
	case c.err != nil:
		return c.err
	case errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported):
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// actionReader reads the actions of one parquet file.
type actionReader struct {
	file   *parquet.File
	r      io.ReaderAt // what it is read from
	kinds  []bound
	leaves []*leaf
	group  int   // the next group of rows
	rows   int64 // still to come in the current one
	buf    []byte

	inflater inflater
}

func newActionReader(r io.ReaderAt, size int64, columns []column) (*actionReader, error) {
	if err := checkFooter(r, size); err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{"checkpoint", "contentRoot"} {
		if file.Root().Column(kind) != nil {
			return nil, refuse(kind)
		}
	}
	if !slices.ContainsFunc(readColumns(), func(c column) bool { return file.Root().Column(c.name) != nil }) {
		return nil, fmt.Errorf("%w: it has no column of a checkpoint", ErrCorrupt)
	}
	var b binder
	kinds, err := b.bind(columns, file.Root(), 0)
	return &actionReader{file: file, r: r, kinds: kinds, leaves: b.leaves}, err
}

// checkFooter looks at the lengths that the parquet library would believe and allocate
// before it reads: the footer's own, four bytes in little endian before the final magic
// (Apache Parquet, "File Format"), and in it those of lists. The thrift decoder has no
// field to put them in here, so that it passes over all of them, item by item, each of
// which takes a byte at least.
func checkFooter(r io.ReaderAt, size int64) error {
	var end [8]byte
	if size < int64(len(end))+4 {
		return fmt.Errorf("%w: %d bytes are no parquet file", ErrCorrupt, size)
	}
	if _, err := r.ReadAt(end[:], size-int64(len(end))); err != nil && err != io.EOF {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if n > size-int64(len(end))-4 {
		return fmt.Errorf("%w: a footer of %d bytes in a file of %d", ErrCorrupt, n, size)
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-int64(len(end))-n); err != nil {
		return err
	}
	if err := thrift.NewDecoder(new(thrift.CompactProtocol).NewReaderFromBytes(footer)).Decode(new(struct{})); err != nil {
		return fmt.Errorf("%w: footer: %w", ErrCorrupt, err)
	}
	return nil
}

// next returns the next action, io.EOF behind the last.
func (a *actionReader) next() (kind string, value []byte, err error) {
	for {
		for a.rows == 0 {
			if err := a.nextGroup(); err != nil {
				return "", nil, err
			}
		}
		a.rows--
		for _, l := range a.leaves {
			if err := l.next(); err != nil {
				return "", nil, unexpected(err)
			}
		}
		for i := range a.kinds {
			k := &a.kinds[i]
			if k.isNull() {
				continue
			}
			if kind != "" {
				return "", nil, fmt.Errorf("%w: one row is both %q and %q", ErrCorrupt, kind, k.name)
			}
			kind = k.name
			if a.buf, err = k.append(a.buf[:0]); err != nil {
				return "", nil, fmt.Errorf("%s: %w", kind, err)
			}
		}
		if kind != "" {
			return kind, a.buf, nil
		}
	}
}

// unexpected is for a column that ends before its last row.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// nextGroup begins the next group of rows, after it made sure that the footer
// did not hide rows of the one before.
func (a *actionReader) nextGroup() error {
	for _, l := range a.leaves {
		if l.pages == nil {
			continue
		}
		if err := l.next(); err != io.EOF {
			return fmt.Errorf("%w: more rows than the footer says: %w", ErrCorrupt, err)
		}
	}
	if err := a.close(); err != nil {
		return err
	}
	if len(a.kinds) == 0 || a.group == len(a.file.RowGroups()) {
		return io.EOF
	}
	g, said := a.file.RowGroups()[a.group], a.file.Metadata().RowGroups[a.group]
	a.group++
	for _, l := range a.leaves {
		chunk := g.ColumnChunks()[l.index].(*parquet.FileColumnChunk)
		pages, err := pagesOf(a.r, a.file.Size(), chunk, &said.Columns[l.index].MetaData, &a.inflater)
		if err != nil {
			return err
		}
		l.open(pages)
	}
	if a.rows = g.NumRows(); a.rows < 0 {
		return fmt.Errorf("%w: a group of %d rows", ErrCorrupt, a.rows)
	}
	return nil
}

func (a *actionReader) close() error {
	var errs []error
	for _, l := range a.leaves {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}
