package deltalog

import (
	"fmt"
	"slices"
)

// Protocol is what a protocol action demands of readers and writers.
type Protocol struct {
	MinReaderVersion int
	MinWriterVersion int
	ReaderFeatures   []string
	WriterFeatures   []string
}

// maxReaderVersion is the newest reader version; it names its features one by
// one (Delta protocol, "Table Features").
const maxReaderVersion = 3

// knownReaderFeature reports whether a table with this reader feature consists
// of the kinds of file that ScanCommit finds, so that copying those is copying
// the table. A copy of a catalog-managed table needs the catalog to be opened,
// and a redirecting one redirects; their bytes are copied all the same.
func knownReaderFeature(name string) bool {
	switch name {
	case "columnMapping", "deletionVectors", "timestampNtz", "timestampNanos",
		"typeWidening", "typeWidening-preview", "v2Checkpoint", "vacuumProtocolCheck",
		"variantType", "variantType-preview", "variantShredding", "variantShredding-preview",
		"geospatial", "geospatial-preview",
		"catalogManaged", "catalogOwned", "catalogOwned-preview", "coordinatedCommits-preview",
		"redirectReaderWriter-preview":
		return true
	}
	return false
}

// Catalog returns the feature by which the table belongs to a catalog, without which engines do not
// open a copy; "" if there is none.
func (p Protocol) Catalog() string {
	for _, name := range p.ReaderFeatures {
		switch name {
		case "catalogManaged", "catalogOwned", "catalogOwned-preview", "coordinatedCommits-preview":
			return name
		}
	}
	return ""
}

// movesMetadata reports whether the feature puts part of the log into files
// that ScanCommit does not find.
func movesMetadata(name string) bool {
	return name == "adaptiveMetadata" || name == "adaptiveMetadata-preview"
}

// Check returns an error wrapping ErrUnsupported, and naming what it is, if a
// reader must know a feature or version that this package does not: such a
// table may consist of files that it would miss. A feature only writers must
// know passes, for a copy writes nothing of its own.
func (p Protocol) Check() error {
	for _, name := range p.ReaderFeatures {
		if !knownReaderFeature(name) {
			return fmt.Errorf("%w: reader feature %q", ErrUnsupported, name)
		}
	}
	if i := slices.IndexFunc(p.WriterFeatures, movesMetadata); i >= 0 {
		return fmt.Errorf("%w: feature %q", ErrUnsupported, p.WriterFeatures[i])
	}
	if p.MinReaderVersion > maxReaderVersion {
		return fmt.Errorf("%w: reader version %d", ErrUnsupported, p.MinReaderVersion)
	}
	return nil
}
