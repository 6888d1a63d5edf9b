package deltalog

import "fmt"

// Newest versions of the protocol; both name their features one by one.
const maxWriterVersion = 7

// fitsCheckpoint reports whether all that a feature adds to the state of a
// table has its place in a V1 checkpoint as it is written here. Not among them:
// what is unknown, what moves metadata elsewhere, and tables whose log belongs to
// a catalog or points at another table, since their checkpoints are not ours to
// write.
func fitsCheckpoint(feature string) bool {
	switch feature {
	case "appendOnly", "invariants", "checkConstraints", "generatedColumns", "allowColumnDefaults",
		"changeDataFeed", "identityColumns", "collations", "collations-preview",
		"columnMapping", "deletionVectors", "timestampNtz", "timestampNanos",
		"typeWidening", "typeWidening-preview", "variantType", "variantType-preview",
		"variantShredding", "variantShredding-preview", "geospatial", "geospatial-preview",
		"v2Checkpoint", "rowTracking", "domainMetadata", "clustering", "liquid",
		"inCommitTimestamp", "inCommitTimestamp-preview", "vacuumProtocolCheck", "materializePartitionColumns",
		"icebergCompatV1", "icebergCompatV2", "icebergCompatV3", "icebergWriterCompatV1", "icebergWriterCompatV3",
		"checkpointProtection":
		return true
	}
	return false
}

// checkCheckpoint returns an error wrapping ErrUnsupported, and naming what it
// is, if a checkpoint of a table with this protocol may lack something. Whoever
// writes to a log must know all features, not only those that readers must.
func (p Protocol) checkCheckpoint() error {
	if err := p.Check(); err != nil {
		return err
	}
	if p.MinWriterVersion > maxWriterVersion {
		return fmt.Errorf("%w: writer version %d", ErrUnsupported, p.MinWriterVersion)
	}
	for _, features := range [][]string{p.ReaderFeatures, p.WriterFeatures} {
		for _, name := range features {
			if !fitsCheckpoint(name) {
				return fmt.Errorf("%w: feature %q", ErrUnsupported, name)
			}
		}
	}
	return nil
}
