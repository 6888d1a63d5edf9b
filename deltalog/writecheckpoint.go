package deltalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// CheckpointInfo counts what a checkpoint holds, as the hint file states it.
type CheckpointInfo struct {
	Actions int64 // rows
	Adds    int64 // rows that are live files
}

// rowGroup bounds, in rows, what writing a checkpoint holds in memory.
const rowGroup = 50_000

// WriteCheckpoint writes the state as a classic checkpoint of the V1
// specification, which every reader of Delta takes, of tables with V2 checkpoints
// too ("Writers are always allowed to write V1"). It keeps all tombstones, since
// only the table's owner may judge them expired, every transaction, and every
// domain; statistics as JSON only. The same state gives the same bytes.
//
// It wraps ErrUnsupported, naming it, if the table has a feature that is not
// known here: such a checkpoint might leave out what it asks for (DELTA.md, H36).
func (s *Snapshot) WriteCheckpoint(w io.Writer) (CheckpointInfo, error) {
	var info CheckpointInfo
	if err := s.Protocol.checkCheckpoint(); err != nil {
		return info, err
	}
	out := parquet.NewGenericWriter[row](w,
		parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(rowGroup), parquet.CreatedBy("sluice", "1", ""))
	for action, err := range s.actions() {
		if err != nil {
			return info, err
		}
		r, err := parseRow(action)
		if err != nil {
			return info, err
		}
		if _, err := out.Write([]row{r}); err != nil {
			return info, err
		}
		info.Actions++
		if r.Add != nil {
			info.Adds++
		}
	}
	return info, out.Close()
}

// stated is an action, by its kind and the JSON of its value.
type stated struct {
	kind  string
	value []byte
}

// actions yields the actions of the state in the order of the checkpoint.
func (s *Snapshot) actions() iter.Seq2[stated, error] {
	return func(yield func(stated, error) bool) {
		if !yield(stated{"protocol", s.protocolJSON}, nil) || !yield(stated{"metaData", s.metadataJSON}, nil) {
			return
		}
		for t, err := range s.Transactions() {
			if !yield(stated{"txn", t.JSON}, err) || err != nil {
				return
			}
		}
		for d, err := range s.Domains() {
			if !yield(stated{"domainMetadata", d.JSON}, err) || err != nil {
				return
			}
		}
		for a, err := range s.Adds() {
			if !yield(stated{"add", a.JSON}, err) || err != nil {
				return
			}
		}
		for r, err := range s.Tombstones() {
			if !yield(stated{"remove", r.JSON}, err) || err != nil {
				return
			}
		}
	}
}

// parseRow makes a row of an action.
func parseRow(a stated) (row, error) {
	var r row
	line := slices.Concat([]byte(`{"`+a.kind+`":`), a.value, []byte(`}`))
	if err := json.NewDecoder(bytes.NewReader(line)).Decode(&r); err != nil {
		return r, fmt.Errorf("%w: action %q: %w", ErrUnsupported, a.kind, err)
	}
	return r.normal(), nil
}

// normal gives a row what readers insist on: maps and lists that are there and
// empty rather than absent; and says of an add that it changes no data, and of a
// protocol only those features that its versions let it have.
func (r row) normal() row {
	if r.Add != nil {
		r.Add.DataChange = false
		fill(&r.Add.PartitionValues)
	}
	if r.Remove != nil {
		r.Remove.DataChange = false
	}
	if m := r.Metadata; m != nil {
		fill(&m.Configuration)
		fill(&m.Format.Options)
		if m.PartitionColumns == nil {
			m.PartitionColumns = []string{}
		}
	}
	if p := r.Protocol; p != nil {
		p.ReaderFeatures = features(p.ReaderFeatures, p.MinReaderVersion == 3)
		p.WriterFeatures = features(p.WriterFeatures, p.MinWriterVersion == 7)
	}
	return r
}

func fill[V any](m *map[string]V) {
	if *m == nil {
		*m = map[string]V{}
	}
}

func features(names []string, allowed bool) []string {
	if !allowed {
		return nil
	}
	return append([]string{}, names...)
}

// checkCheckpoint returns an error wrapping ErrUnsupported if a table of this
// protocol may have something that WriteCheckpoint would not keep.
func (p Protocol) checkCheckpoint() error {
	if p.MinReaderVersion > maxReaderVersion || p.MinWriterVersion > 7 {
		return fmt.Errorf("%w: a checkpoint of protocol %d/%d", ErrUnsupported, p.MinReaderVersion, p.MinWriterVersion)
	}
	for _, name := range slices.Concat(p.ReaderFeatures, p.WriterFeatures) {
		if !slices.Contains(checkpointFeatures, strings.TrimSuffix(name, "-preview")) {
			return fmt.Errorf("%w: a checkpoint of a table with feature %q", ErrUnsupported, name)
		}
	}
	return nil
}

// checkpointFeatures are the features, preview or not, whose actions a classic
// checkpoint of ours keeps whole.
var checkpointFeatures = []string{
	"allowColumnDefaults", "appendOnly", "catalogManaged", "catalogOwned", "changeDataFeed", "checkConstraints", "checkpointProtection",
	"clustering", "collations", "columnMapping", "coordinatedCommits", "deletionVectors", "domainMetadata", "generatedColumns", "geospatial",
	"icebergCompatV1", "icebergCompatV2", "icebergCompatV3", "icebergWriterCompatV1", "identityColumns", "inCommitTimestamp", "invariants",
	"liquid", "managedCommit", "materializePartitionColumns", "redirectReaderWriter", "redirectWriterOnly", "rowTracking", "timestampNanos",
	"timestampNtz", "typeWidening", "v2Checkpoint", "vacuumProtocolCheck", "variantShredding", "variantType",
}
