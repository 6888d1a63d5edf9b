package bundle

import (
	"iter"
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
	KindCheckpoint     Kind = "checkpoint"      // of this version or an earlier one, with its sidecars
)

// Manifest describes a bundle: the versions it carries, ascending and without
// gaps; normally one.
type Manifest struct {
	Format   int       `json:"format"`
	Writer   Writer    `json:"writer"`
	Versions []Version `json:"versions"`
	// Parts are the objects beside the bundle that hold files of it, see Part.
	Parts []PartRef `json:"parts,omitempty"`
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
	// and after a gap. With it the bundles form a hash chain.
	Previous *Digest `json:"previous"`
	// Gap says that the versions before this one are missing, and which. Only
	// the first version of a bundle has one; then Previous is nil, and a base of
	// this very version was created before the bundle.
	Gap *Gap `json:"gap,omitempty"`
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
	// FilesInBase: the files of this version are too many for a manifest. Files and Absent are
	// empty, and the index of the base of this very version, created before the bundle, lists
	// all that the version brings. The bundle has no other version.
	FilesInBase bool `json:"files_in_base,omitempty"`
	// Absent are paths that the commit names but the source no longer had when
	// it was pushed; a later version had removed them.
	Absent []string `json:"absent,omitempty"`
	// Metadata is the host's own: free keys and values.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Gap is a hole in the history that was there already at the source when the
// version after it was pushed: the versions From up to the one before. If From
// is the version itself none is missing, but the source could no longer prove
// that it follows the one before.
type Gap struct {
	From int64 `json:"from"`
}

// File is one member: a path relative to the table's root with "/" between its
// elements, the size in bytes and the sha256 of its content.
type File struct {
	Path   string `json:"path"`
	Kind   Kind   `json:"kind,omitempty"` // "" for the commit file
	Size   int64  `json:"size"`
	SHA256 Digest `json:"sha256"`
	// Part is the name of the part that holds the file; "" if the bundle itself
	// does.
	Part string `json:"part,omitempty"`
	// Place is where the content lies in the object that holds it; nil if it is
	// empty or the writer did not say. It is a hint: who follows it checks size
	// and digest.
	Place *Place `json:"place,omitempty"`
}

// Same reports whether f and g are the same content under the same path and
// kind, wherever it lies.
func (f File) Same(g File) bool {
	f.Part, f.Place, g.Part, g.Place = "", nil, "", nil
	return f == g
}

// Place says how to read one member alone: the zstd frames that hold it begin
// at byte Offset of the bundle and take Length bytes; of what they decompress to,
// the content begins after Skip bytes.
type Place struct {
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
	Skip   int64 `json:"skip"`
	// Stored says that nothing in these frames is compressed.
	Stored bool `json:"stored,omitempty"`
}

// clone copies all that finishing a manifest may touch, and normalizes it.
func (m Manifest) clone() Manifest {
	m.Versions, m.Parts = slices.Clone(m.Versions), slices.Clone(m.Parts)
	for i := range m.Versions {
		v := &m.Versions[i]
		v.Files = slices.Clone(v.Files)
		v.Absent = slices.Clone(v.Absent)
		v.Metadata = maps.Clone(v.Metadata)
		if v.Previous != nil {
			previous := *v.Previous
			v.Previous = &previous
		}
		if v.Gap != nil {
			gap := *v.Gap
			v.Gap = &gap
		}
	}
	m.normalize()
	return m
}

// normalize gives times and lists the one form that they have in a bundle.
func (m Manifest) normalize() {
	for i := range m.Versions {
		v := &m.Versions[i]
		v.Modified = v.Modified.UTC().Round(0) // Round drops the monotonic clock
		if v.Files == nil {
			v.Files = []File{} // [] in JSON, not null
		}
	}
}

// members lists what the archive holds before the manifest, in its order, which is
// not what its parts hold. The modification time of each is its version's.
func (m Manifest) members() iter.Seq[expected] {
	return func(yield func(expected) bool) {
		for _, v := range m.Versions {
			for _, f := range v.Files {
				if f.Part == "" && !yield(expected{f, v.Modified}) {
					return
				}
			}
			if !yield(expected{v.Commit, v.Modified}) {
				return
			}
		}
	}
}

// files lists all files and commits, also those that parts hold.
func (m Manifest) files() iter.Seq[File] {
	return func(yield func(File) bool) {
		for _, v := range m.Versions {
			for _, f := range v.Files {
				if !yield(f) {
					return
				}
			}
			if !yield(v.Commit) {
				return
			}
		}
	}
}

// expected is a member as the manifest describes it.
type expected struct {
	File
	modified time.Time
}

// modified is the time of the manifest's own member: the newest version's.
func (m Manifest) modified() time.Time { return m.Versions[len(m.Versions)-1].Modified }
