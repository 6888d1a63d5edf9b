package bundle

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// check tests what a manifest says against the rules of FORMAT.md that can be
// judged without the members. Encode and Decode share it, so that no bundle is
// written that could not be read.
func (m Manifest) check() error {
	if len(m.Versions) == 0 {
		return corruptf("no versions")
	}
	if len(m.Versions) > MaxVersions {
		return fmt.Errorf("%d versions, limit is %d: %w: %w", len(m.Versions), MaxVersions, ErrTooLarge, ErrCorrupt)
	}
	if err := checkUTF8(m.Writer.Program, m.Writer.Version, m.Writer.Host); err != nil {
		return fmt.Errorf("writer: %w", err)
	}
	paths := make(map[string]bool)
	for i, v := range m.Versions {
		if err := v.check(paths); err != nil {
			return fmt.Errorf("version %d: %w", v.Version, err)
		}
		if i > 0 && v.Version-1 != m.Versions[i-1].Version {
			return corruptf("version %d stands after version %d", v.Version, m.Versions[i-1].Version)
		}
		if i > 0 && v.Gap != nil {
			return corruptf("version %d has a gap before it and stands after another", v.Version)
		}
	}
	if err := m.Versions[0].checkBegin(); err != nil {
		return err
	}
	if err := m.checkFilesInBase(); err != nil {
		return err
	}
	return m.checkParts()
}

// checkFilesInBase tests that a version whose files the base has is alone and has none.
func (m Manifest) checkFilesInBase() error {
	for _, v := range m.Versions {
		if v.FilesInBase && (len(m.Versions) > 1 || len(v.Files) > 0 || len(v.Absent) > 0 || v.Gap != nil) {
			return corruptf("version %d: its files are in the base, and it has some, a gap, or another version beside it", v.Version)
		}
	}
	return nil
}

// checkBegin tests how the first version of a bundle hangs on what is before it.
func (v Version) checkBegin() error {
	switch {
	case (v.Previous == nil) != (v.Version == 0 || v.Gap != nil):
		return corruptf("version %d: previous must be null for version 0 and after a gap, and else nowhere", v.Version)
	case v.Gap != nil && (v.Version == 0 || v.Gap.From < 0 || v.Gap.From > v.Version):
		return corruptf("version %d: gap from %d", v.Version, v.Gap.From)
	}
	return nil
}

// checkChain tests that each version names the commit that stands before it in
// the bundle. Encode knows it only when it has read the commits.
func (m Manifest) checkChain() error {
	for i := 1; i < len(m.Versions); i++ {
		got, want := m.Versions[i].Previous, m.Versions[i-1].Commit.SHA256
		if got == nil || *got != want {
			return corruptf("version %d: previous is %v, but the commit before it is %v", m.Versions[i].Version, got, want)
		}
	}
	return nil
}

func (v Version) check(paths map[string]bool) error {
	switch {
	case v.Version < 0:
		return corruptf("negative version")
	case v.Commit.Path != commitPath(v.Version):
		return corruptf("commit path %q, want %q", v.Commit.Path, commitPath(v.Version))
	case v.Commit.Kind != "":
		return corruptf("commit of kind %q", v.Commit.Kind)
	case v.Commit.Size < 0:
		return corruptf("commit of size %d", v.Commit.Size)
	}
	if err := checkModified(v.Modified); err != nil {
		return err
	}
	if err := v.checkFiles(paths); err != nil {
		return err
	}
	return v.checkTexts()
}

// checkModified takes the first instant of year 1 for a missing time, which in Go it
// is.
func checkModified(t time.Time) error {
	if !t.After(time.Time{}) || t.UTC().Year() > 9999 {
		return corruptf("modified is missing or outside the years 1 to 9999")
	}
	return nil
}

// checkFiles also records the paths in paths: no path may stand twice in a
// bundle.
func (v Version) checkFiles(paths map[string]bool) error {
	for _, f := range v.Files {
		if err := f.check(v.Version); err != nil {
			return err
		}
		if err := checkNew(paths, f.Path); err != nil {
			return err
		}
	}
	for _, path := range v.Absent {
		if err := CheckPath(path); err != nil {
			return fmt.Errorf("absent: %w", err)
		}
		if err := checkNew(paths, path); err != nil {
			return fmt.Errorf("absent: %w", err)
		}
	}
	return v.Commit.checkPlace()
}

// check tests a file that is carried by the given version.
func (f File) check(version int64) error {
	switch f.Kind {
	case KindData, KindDeletionVector, KindChangeData, KindExtra:
		if err := CheckPath(f.Path); err != nil {
			return err
		}
	case KindCheckpoint:
		if of, ok := parseCheckpointPath(f.Path); !ok || of > version {
			return corruptf("path %q is not that of a checkpoint of version %d or before", f.Path, version)
		}
	default:
		return fmt.Errorf("file %q of kind %.80q: %w", f.Path, f.Kind, ErrUnsupported)
	}
	if f.Size < 0 {
		return corruptf("file %q of size %d", f.Path, f.Size)
	}
	return f.checkPlace()
}

func (f File) checkPlace() error {
	if p := f.Place; p != nil && (p.Offset < 0 || p.Length <= 0 || p.Skip < 0) {
		return corruptf("file %q has its place at %d+%d, %d", f.Path, p.Offset, p.Length, p.Skip)
	}
	return nil
}

// checkDigests finds digests that are missing.
func checkDigests(files ...File) error {
	for _, f := range files {
		if err := f.checkDigest(); err != nil {
			return err
		}
	}
	return nil
}

// checkDigest takes a digest of zeros for a missing one: nobody knows a content that
// has it.
func (f File) checkDigest() error {
	if f.SHA256 == (Digest{}) {
		return corruptf("file %q without a digest", f.Path)
	}
	return nil
}

func checkNew(paths map[string]bool, path string) error {
	if paths[path] {
		return corruptf("path %q stands twice", path)
	}
	paths[path] = true
	return nil
}

func (v Version) checkTexts() error {
	if err := checkUTF8(v.Operation); err != nil {
		return fmt.Errorf("operation: %w", err)
	}
	for key, value := range v.Metadata {
		if err := checkUTF8(key, value); err != nil {
			return fmt.Errorf("metadata: %w", err)
		}
	}
	return nil
}

// checkUTF8 guards Encode: JSON would replace other bytes in silence.
func checkUTF8(texts ...string) error {
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return corruptf("%.80q is not UTF-8", text)
		}
	}
	return nil
}
