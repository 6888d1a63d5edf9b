package sim

import (
	"maps"
	"time"
)

// state is what a version of the source consists of.
type state struct {
	id       string
	protocol protocol
	config   map[string]string
	live     map[string]file   // by path
	txns     map[string]int64  // by application
	domains  map[string]string // by name, the configuration
	extra    []string          // the host's own files
}

// protocol is the protocol action.
type protocol struct {
	MinReader int      `json:"minReaderVersion"`
	MinWriter int      `json:"minWriterVersion"`
	Reader    []string `json:"readerFeatures,omitempty"`
	Writer    []string `json:"writerFeatures,omitempty"`
}

// file is a live file as its add action states it.
type file struct {
	Path      string            `json:"path"`
	Partition map[string]string `json:"partitionValues"`
	Size      int64             `json:"size"`
	Modified  int64             `json:"modificationTime"`
	Change    bool              `json:"dataChange"`
	Stats     string            `json:"stats,omitempty"`
	Vector    *vector           `json:"deletionVector,omitempty"`
}

// vector is the deletion vector of a file.
type vector struct {
	Storage     string `json:"storageType"`
	ID          string `json:"pathOrInlineDv"`
	Offset      *int32 `json:"offset,omitempty"`
	Size        int32  `json:"sizeInBytes"`
	Cardinality int64  `json:"cardinality"`

	file string // its path; "" for an inline one
}

// clone copies what a later version changes.
func (s *state) clone() *state {
	c := *s
	c.config, c.live = maps.Clone(s.config), maps.Clone(s.live)
	c.txns, c.domains = maps.Clone(s.txns), maps.Clone(s.domains)
	c.extra = append([]string(nil), s.extra...)
	return &c
}

// files are the paths of all files that the version needs.
func (s *state) files() map[string]bool {
	paths := map[string]bool{}
	for path, f := range s.live {
		paths[path] = true
		if f.Vector != nil && f.Vector.file != "" {
			paths[f.Vector.file] = true
		}
	}
	for _, path := range s.extra {
		paths[path] = true
	}
	return paths
}

// version is one version of the source.
type version struct {
	*state
	commit     []byte
	modified   time.Time
	inCommit   int64    // the in-commit timestamp; 0 if it has none
	changeData []string // paths of its change data files
}

// time is what the commit says of its own time, in milliseconds.
func (v version) time() int64 {
	if v.inCommit != 0 {
		return v.inCommit
	}
	return v.modified.UnixMilli()
}
