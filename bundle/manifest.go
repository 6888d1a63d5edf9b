package bundle

import (
	"maps"
	"slices"
	"time"
)

// Format is the number of the format that this package writes. It reads every
// released format, so far only this one.
const Format = 1

// Kind says what a file is to the table.
type Kind string

// The kinds of file that a bundle of format 1 carries.
const (
	KindData           Kind = "data"            // named by add.path
	KindDeletionVector Kind = "deletion-vector" // named by add.deletionVector
	KindChangeData     Kind = "change-data"     // named by cdc.path
	KindExtra          Kind = "extra"           // named by the host, by no Delta action
)

// Manifest describes a bundle: the versions it carries, ascending and without
// gaps; normally one.
type Manifest struct {
	Format   int       `json:"format"`
	Writer   Writer    `json:"writer"`
	Versions []Version `json:"versions"`
}

// Writer says who wrote a bundle, for people; no reader decides by it.
type Writer struct {
	Program string `json:"program,omitempty"`
	Version string `json:"version,omitempty"`
	Host    string `json:"host,omitempty"`
}

// Version is one table version of a bundle.
type Version struct {
	Version int64 `json:"version"`
	// Commit is the commit file, verbatim.
	Commit File `json:"commit"`
	// Previous is the sha256 of the commit before this one; nil for version 0
	// only. With it the bundles form a hash chain.
	Previous *Digest `json:"previous"`
	// Modified is the modification time of the commit file at the source, to
	// the nanosecond, UTC. Without in-commit timestamps Delta reads the time of
	// a version from it.
	Modified time.Time `json:"modified"`
	// Timestamp is the time of the version as Delta counts it (in-commit
	// timestamp, else the file's time, made strictly increasing), in
	// milliseconds since 1970 UTC.
	Timestamp int64 `json:"timestamp"`
	// Operation is commitInfo.operation, "" if the commit does not say.
	Operation string `json:"operation,omitempty"`
	// Files are the members that this version carries beside its commit, in the
	// order of the archive.
	Files []File `json:"files"`
	// Absent are paths that the commit names but the source no longer had when
	// it was pushed; a later version had removed them.
	Absent []string `json:"absent,omitempty"`
	// Metadata is the host's own: free keys and values.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// File is one member: a path relative to the table's root with "/" between its
// elements, the size in bytes and the sha256 of its content.
type File struct {
	Path   string `json:"path"`
	Kind   Kind   `json:"kind,omitempty"` // "" for the commit file
	Size   int64  `json:"size"`
	SHA256 Digest `json:"sha256"`
}

// clone copies all that finishing a manifest may touch, and gives times and
// lists the one form that they have in a bundle.
func (m Manifest) clone() Manifest {
	m.Versions = slices.Clone(m.Versions)
	for i := range m.Versions {
		v := &m.Versions[i]
		v.Modified = v.Modified.UTC().Round(0) // Round drops the monotonic clock
		v.Files = append([]File{}, v.Files...) // never nil: [] in JSON, not null
		v.Absent = slices.Clone(v.Absent)
		v.Metadata = maps.Clone(v.Metadata)
		if v.Previous != nil {
			previous := *v.Previous
			v.Previous = &previous
		}
	}
	return m
}

// members lists what the archive holds before the manifest, in its order. The
// modification time of each is its version's.
func (m Manifest) members() []expected {
	var all []expected
	for _, v := range m.Versions {
		for _, f := range v.Files {
			all = append(all, expected{f, v.Modified})
		}
		all = append(all, expected{v.Commit, v.Modified})
	}
	return all
}

// expected is a member as the manifest describes it.
type expected struct {
	File
	modified time.Time
}

// last is the newest version. The manifest's own member has its time.
func (m Manifest) last() Version { return m.Versions[len(m.Versions)-1] }
