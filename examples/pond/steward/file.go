package steward

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeTemp writes a durable temporary file beside name.
func writeTemp(name string, b []byte) (string, error) {
	temp, err := os.CreateTemp(filepath.Dir(name), ".pond-*.tmp") // readable by the owner only
	if err != nil {
		return "", err
	}
	_, err = temp.Write(b)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return "", errors.Join(err, os.Remove(temp.Name()))
	}
	return temp.Name(), nil
}

// createNew puts a file in place, whole or not at all. Of several callers
// exactly one wins; the others get an error wrapping fs.ErrExist.
func createNew(name string, b []byte) error {
	temp, err := writeTemp(name, b)
	if err != nil {
		return err
	}
	return errors.Join(os.Link(temp, name), os.Remove(temp))
}

// replace puts a file in place of another, or of none.
func replace(name string, b []byte) error {
	temp, err := writeTemp(name, b)
	if err != nil {
		return err
	}
	return os.Rename(temp, name)
}

// appendLine adds a line of JSON to a file. A line that a crash cut short is
// left to itself.
func appendLine(name string, v any) (err error) {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	last := []byte{'\n'}
	if size, err := f.Seek(0, io.SeekEnd); err != nil {
		return err
	} else if size > 0 {
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
	}
	if last[0] != '\n' {
		line = append([]byte{'\n'}, line...)
	}
	_, err = f.Write(append(line, '\n')) // one write: appends of other processes do not mix with it
	return err
}

// readLines calls visit with each line of such a file that is whole.
func readLines(name string, visit func(line []byte)) error {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range bytes.Lines(b) {
		if json.Valid(line) {
			visit(line)
		}
	}
	return err
}
