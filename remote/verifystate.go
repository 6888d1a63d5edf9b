package remote

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/pondworks/sluice/bundle"
)

// verifyState is what a Verify of all data remembers of objects that it has read and
// found good: a file with one JSON object a line, the first for the whole. A line
// that was cut short is of no account.
type verifyState struct {
	file  *os.File
	known map[string]verifiedObject // by place
}

type verifyStateHead struct {
	Format  int    `json:"format"`
	Lineage string `json:"lineage"`
}

// verifiedObject is a bundle with its parts that was read, or a part that only bases name.
type verifiedObject struct {
	Key      string        `json:"key"`
	Offset   int64         `json:"offset,omitempty"`
	Size     int64         `json:"size"`
	Manifest bundle.Digest `json:"manifest"` // sha256 of it, or of the part's description, as JSON
	Needs    []need        `json:"needs,omitempty"`
}

func (b verifiedObject) place() string { return fmt.Sprintf("%s %d %d", b.Key, b.Offset, b.Size) }

// isOf reports whether the object still has that manifest, or description of a part.
func (b verifiedObject) isOf(manifest any) bool {
	d, err := manifestDigest(manifest)
	return err == nil && d == b.Manifest
}

func manifestDigest(manifest any) (bundle.Digest, error) {
	b, err := json.Marshal(manifest)
	return sha256.Sum256(b), err
}

// openVerifyState reads the file, or makes it. It wraps fs.ErrExist if it is of
// another store, or no such file.
func openVerifyState(path, lineage string) (*verifyState, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s := &verifyState{file: f, known: map[string]verifiedObject{}}
	if err := s.read(lineage); err != nil {
		return nil, errors.Join(fmt.Errorf("state %s: %w", path, err), f.Close())
	}
	return s, nil
}

// read leaves the file at the end of its last whole line.
func (s *verifyState) read(lineage string) error {
	want, err := json.Marshal(verifyStateHead{1, lineage})
	if err != nil {
		return err
	}
	want = append(want, '\n')
	lines, end := bufio.NewReader(s.file), int64(0)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if end == 0 && (len(line) > len(want) || !bytes.HasPrefix(want, line)) {
			return fmt.Errorf("%w: it is of another store, or no file of a verify: choose another, or remove it", fs.ErrExist)
		}
		if err == io.EOF {
			break // what stands behind the last whole line is overwritten
		}
		var b verifiedObject
		if end > 0 && json.Unmarshal(line, &b) == nil {
			s.known[b.place()] = b
		}
		end += int64(len(line))
	}
	if _, err := s.file.Seek(end, io.SeekStart); err != nil {
		return err
	}
	if err := s.file.Truncate(end); err != nil || end > 0 {
		return err
	}
	_, err = s.file.Write(want)
	return err
}

// get returns what is known of an object, nil if nothing is.
func (s *verifyState) get(o object) *verifiedObject {
	if s == nil {
		return nil
	}
	if b, found := s.known[(verifiedObject{Key: o.Key, Offset: o.off, Size: o.Size}).place()]; found {
		return &b
	}
	return nil
}

// add notes an object that was read and is good, with its manifest or description.
func (s *verifyState) add(o object, manifest any, needs []need) error {
	if s == nil {
		return nil
	}
	digest, err := manifestDigest(manifest)
	if err != nil {
		return err
	}
	line, err := json.Marshal(verifiedObject{o.Key, o.off, o.Size, digest, needs})
	if err != nil {
		return err
	}
	_, err = s.file.Write(append(line, '\n'))
	return err
}

// close closes the file, and removes it if nothing remains to be done.
func (s *verifyState) close(done bool) error {
	if s == nil {
		return nil
	}
	err := s.file.Close()
	if done {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	return err
}
