package deltalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/pondworks/sluice/internal/extsort"
)

// SortedFiles are the files that a commit needs, however many.
type SortedFiles struct {
	mentions *extsort.Sorter
}

// SortFiles reads a commit file to its end for the files that ScanCommit lists. It takes
// about memory bytes and the largest single action, and beyond that a temporary file. Errors
// are those of ScanCommit, as far as they are about files, and those of writing that one. The
// caller closes what it returns.
func SortFiles(r io.Reader, memory int64) (*SortedFiles, error) {
	s := &SortedFiles{extsort.New(memory, "")}
	if err := eachMention(r, s.add); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// eachMention reads a commit file to its end and takes in all that it says of files.
func eachMention(r io.Reader, take func(mention) error) error {
	return eachValue(&counted{r: r}, func(raw []byte) error {
		kind, value, err := oneOf(raw, commitActions...)
		if err != nil {
			return err
		}
		switch kind {
		case "add", "remove", "cdc":
			if err := mentions(kind, value, take); err != nil {
				return fmt.Errorf("action %q: %w", kind, err)
			}
		}
		return nil
	})
}

func (s *SortedFiles) add(m mention) error {
	value := []byte{byte(m.is), 0}
	if m.withVector {
		value[1] = 1
	}
	return s.mentions.Add(m.path, binary.AppendVarint(value, m.size))
}

// All yields the files in byte order of their paths, each once, as ScanCommit says of them.
// It may be called again. Errors are those of reading the temporary file.
func (s *SortedFiles) All() iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		var g fileMentions
		for record, err := range s.mentions.Sorted() {
			if err != nil {
				yield(File{}, err)
				return
			}
			if record.Key != g.file.Path {
				if g.file.Kind != "" && !yield(g.whole(), nil) {
					return
				}
				g = fileMentions{file: File{Path: record.Key}}
			}
			size, _ := binary.Varint(record.Value[2:])
			g.add(mention{mentioned(record.Value[0]), record.Key, size, record.Value[1] == 1})
		}
		if g.file.Kind != "" {
			yield(g.whole(), nil)
		}
	}
}

// Close removes the temporary file.
func (s *SortedFiles) Close() error { return s.mentions.Close() }

// fileMentions are all mentions of one path, in the order of the commit.
type fileMentions struct {
	file       File // without a kind as long as only removes name it
	removed    bool
	withVector bool // of an add or a remove
	binRemoved bool
}

func (g *fileMentions) add(m mention) {
	g.withVector = g.withVector || m.withVector
	kind := Kind("")
	switch m.is {
	case isAdded:
		kind = KindData
	case isVector:
		kind = KindDeletionVector
	case isChange:
		kind = KindChangeData
	case isRemoved:
		g.removed = true
	case isRemovedVector:
		g.binRemoved = true
	}
	if g.file.Kind == "" && kind != "" {
		g.file.Kind, g.file.Size = kind, m.size
	}
}

func (g *fileMentions) whole() File {
	g.file.Kept = kept(g.file.Kind, g.removed, g.withVector, g.binRemoved)
	return g.file
}
