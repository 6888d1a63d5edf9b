package pondfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"
)

// Kind says what a row makes of its path.
type Kind string

// The kinds, as they stand in the table.
const (
	KindFile      Kind = "file"      // content is in the row
	KindLarge     Kind = "large"     // content is in _large_files
	KindDirectory Kind = "directory" // its entries are in the partition of its path
	KindRemoved   Kind = "removed"   // there is nothing from this version on
)

// Entry is one version of a file or directory.
type Entry struct {
	Path    string `parquet:"path" json:"path"`
	Kind    Kind   `parquet:"kind" json:"kind"`
	Version int64  `parquet:"version" json:"version"` // of the file, from 1
	Size    int64  `parquet:"size" json:"size"`       // bytes
	SHA256  string `parquet:"sha256" json:"sha256,omitempty"`

	source string // the data file with the row
}

// row is an Entry with its content, as it lies in a data file. The partition
// column is not in it: Delta keeps that in the log.
type row struct {
	Path    string `parquet:"path"`
	Kind    Kind   `parquet:"kind"`
	Version int64  `parquet:"version"`
	Content []byte `parquet:"content,optional"`
	Size    int64  `parquet:"size"`
	SHA256  string `parquet:"sha256"`
}

// schema is what the log says of the columns.
const schema = `{"type":"struct","fields":[` +
	`{"name":"part_id","type":"string","nullable":false,"metadata":{}},` +
	`{"name":"path","type":"string","nullable":false,"metadata":{}},` +
	`{"name":"kind","type":"string","nullable":false,"metadata":{}},` +
	`{"name":"version","type":"long","nullable":false,"metadata":{}},` +
	`{"name":"content","type":"binary","nullable":true,"metadata":{}},` +
	`{"name":"size","type":"long","nullable":false,"metadata":{}},` +
	`{"name":"sha256","type":"string","nullable":false,"metadata":{}}]}`

func (r row) entry() Entry {
	return Entry{Path: r.Path, Kind: r.Kind, Version: r.Version, Size: r.Size, SHA256: r.SHA256}
}

// batch is how many rows are in memory at once; each holds at most inlineMax
// bytes of content.
const batch = 64

// scan calls visit with all rows of a data file, of which it reads only the
// columns that T has.
func scan[T any](f *FS, path string, visit func(T) error) (err error) {
	file, err := f.open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	r := parquet.NewGenericReader[T](file)
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		rows := make([]T, batch)
		n, err := r.Read(rows)
		for _, row := range rows[:n] {
			if err := visit(row); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}

// writer makes one data file.
type writer struct {
	path string // relative to the table
	file *os.File
	rows *parquet.GenericWriter[row]
}

func (f *FS) newWriter(path string) (*writer, error) {
	name := filepath.Join(f.dir, filepath.FromSlash(path))
	err := os.Mkdir(filepath.Dir(name), 0o755)
	if err == nil {
		err = syncDir(f.dir)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &writer{path, file, parquet.NewGenericWriter[row](file, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(1024))}, nil
}

// close makes the data file durable and returns its size in bytes.
func (w *writer) close() (int64, error) {
	err := w.rows.Close()
	if err == nil {
		err = w.file.Sync()
	}
	info, serr := w.file.Stat()
	if err = errors.Join(err, serr, w.file.Close()); err != nil {
		return 0, err
	}
	return info.Size(), syncDir(filepath.Dir(w.file.Name()))
}
