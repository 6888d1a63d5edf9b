package bundle

import (
	"fmt"
	"unicode/utf8"
)

// check tests what a manifest says against the rules of FORMAT.md that can be
// judged without the members. Encode and Decode share it, so that no bundle is
// written that could not be read.
func (m Manifest) check() error {
	if len(m.Versions) == 0 {
		return corruptf("no versions")
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
	}
	if first := m.Versions[0]; (first.Previous == nil) != (first.Version == 0) {
		return corruptf("version %d: previous must be null for version 0 and for no other", first.Version)
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
	case v.Modified.IsZero() || v.Modified.Year() < 0 || v.Modified.Year() > 9999:
		return corruptf("modified is missing or outside the years 0 to 9999")
	}
	if err := v.checkFiles(paths); err != nil {
		return err
	}
	return v.checkTexts()
}

// checkFiles also records the paths in paths: no path may stand twice in a
// bundle.
func (v Version) checkFiles(paths map[string]bool) error {
	for _, f := range v.Files {
		if err := checkNew(paths, f.Path); err != nil {
			return err
		}
		switch f.Kind {
		case KindData, KindDeletionVector, KindChangeData, KindExtra:
		default:
			return fmt.Errorf("file %q of kind %.80q: %w", f.Path, f.Kind, ErrUnsupported)
		}
		if f.Size < 0 {
			return corruptf("file %q of size %d", f.Path, f.Size)
		}
	}
	for _, path := range v.Absent {
		if err := checkNew(paths, path); err != nil {
			return fmt.Errorf("absent: %w", err)
		}
	}
	return nil
}

func checkNew(paths map[string]bool, path string) error {
	if err := CheckPath(path); err != nil {
		return err
	}
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
