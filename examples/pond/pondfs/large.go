package pondfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pondworks/sluice/deltalog"
)

const (
	// inlineMax is the size in bytes up to which content lies in its row.
	inlineMax = 64 << 10
	// largeDir holds the rest, each file under the sha256 of its bytes. Delta
	// engines ignore folders that begin with an underscore.
	largeDir = "_large_files"
	// largeTag is the tag of an add action with the digests of the large files
	// that the rows of its data file name.
	largeTag = "pond.large"
)

// Content is the bytes of a file, staged for a commit.
type Content struct {
	inline []byte
	large  bool
	size   int64
	sha256 string
}

// Stage reads content for a commit. What is large is put into _large_files,
// durable, without holding it in memory; if no commit follows, a later vacuum
// removes it.
func (f *FS) Stage(r io.Reader) (Content, error) {
	head, err := io.ReadAll(io.LimitReader(r, inlineMax+1))
	if err != nil {
		return Content{}, err
	}
	if len(head) <= inlineMax {
		sum := sha256.Sum256(head)
		return Content{inline: head, size: int64(len(head)), sha256: hex.EncodeToString(sum[:])}, nil
	}
	return f.stageLarge(io.MultiReader(bytes.NewReader(head), r))
}

func (f *FS) stageLarge(r io.Reader) (c Content, err error) {
	dir := filepath.Join(f.dir, largeDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Content{}, err
	}
	temp, err := os.CreateTemp(dir, ".pond-*.tmp")
	if err != nil {
		return Content{}, err
	}
	defer func() { err = errors.Join(err, os.Remove(temp.Name())) }()
	h := sha256.New()
	size, err := io.Copy(io.MultiWriter(temp, h), r)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return Content{}, err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	name := filepath.Join(dir, sum)
	err = os.Link(temp.Name(), name)
	if errors.Is(err, fs.ErrExist) {
		// The same bytes are there. As good as new for a vacuum that looks at its age.
		now := time.Now()
		err = os.Chtimes(name, now, now)
	}
	return Content{large: true, size: size, sha256: sum}, errors.Join(err, syncDir(dir))
}

// openLarge opens a large file.
func (f *FS) openLarge(sum string) (io.ReadCloser, error) {
	if len(sum) != 2*sha256.Size || strings.ContainsAny(sum, "/\\.") {
		return nil, fmt.Errorf("%w: %q is no digest", deltalog.ErrCorrupt, sum)
	}
	return f.open(largeDir + "/" + sum)
}

// LargeFiles lists the large files that version v needs. It is the Extra hook of
// remote.Options: the answer comes from the log alone, so it never changes and
// is there also for versions whose data files are vacuumed.
func (f *FS) LargeFiles(ctx context.Context, v deltalog.Version) (paths []string, err error) {
	s, err := f.table.Snapshot(ctx, v, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for add, err := range s.Adds() {
		if err != nil {
			return nil, err
		}
		a, err := parseAdd(add)
		if err != nil {
			return nil, err
		}
		for _, sum := range a.large() {
			paths = append(paths, largeDir+"/"+sum)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// NewIn counts the files that version v has and the one before has not, its
// commit among them, and their bytes.
func (f *FS) NewIn(ctx context.Context, v deltalog.Version) (files int, size int64, err error) {
	commit, err := f.scanCommit(ctx, v)
	if err != nil {
		return 0, 0, err
	}
	files, size = 1+len(commit.Files), commit.Size
	for _, file := range commit.Files {
		size += file.Size
	}
	now, err := f.LargeFiles(ctx, v)
	if err != nil || v == 0 {
		return files, size, err
	}
	before, err := f.LargeFiles(ctx, v-1)
	if err != nil {
		return files, size, err
	}
	for _, path := range now {
		if _, known := slices.BinarySearch(before, path); known {
			continue
		}
		info, err := os.Stat(filepath.Join(f.dir, filepath.FromSlash(path)))
		if err != nil {
			return files, size, err
		}
		files++
		size += info.Size()
	}
	return files, size, nil
}

// addAction is what we read of an add action.
type addAction struct {
	PartitionValues map[string]*string `json:"partitionValues"`
	Tags            map[string]*string `json:"tags"`

	path string
	size int64
}

func parseAdd(a deltalog.Add) (addAction, error) {
	parsed := addAction{path: a.Path, size: a.Size}
	if err := json.Unmarshal(a.JSON, &parsed); err != nil {
		return parsed, fmt.Errorf("%w: add of %s: %w", deltalog.ErrCorrupt, a.Path, err)
	}
	return parsed, nil
}

func (a addAction) part() string {
	if id := a.PartitionValues["part_id"]; id != nil {
		return *id
	}
	return ""
}

func (a addAction) large() []string {
	if list := a.Tags[largeTag]; list != nil && *list != "" {
		return strings.Split(*list, ",")
	}
	return nil
}
