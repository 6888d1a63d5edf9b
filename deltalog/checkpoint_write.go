package deltalog

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// CheckpointInfo says what a checkpoint holds that was written.
type CheckpointInfo struct {
	Version  Version
	Actions  int64 // rows
	AddFiles int64 // rows that are live files
	Size     int64 // bytes of the file
}

// A group of rows ends at whichever of these comes first, since it is held in
// memory until it is complete.
const (
	groupRows  = 50_000
	groupBytes = 8 << 20 // of JSON
)

// rowBatch is how many rows are handed to the parquet writer at once.
const rowBatch = 64

// WriteCheckpoint writes the state as a classic V1 checkpoint (Delta protocol,
// "Checkpoints"), in memory bounded by one group of rows. The same state makes
// the same bytes. All tombstones are kept, expired ones too, which is legal and
// loses nothing; so are all transactions, and domain metadata that is not
// removed. Statistics are written as text, not as columns.
//
// Wraps ErrUnsupported, naming it, if the protocol has a feature of which it is
// not known that such a checkpoint can hold all of its state; ErrCorrupt if an
// action lacks what readers of a checkpoint need; and what Adds wraps. After an
// error, what w got is of no use.
func (s *Snapshot) WriteCheckpoint(w io.Writer) (CheckpointInfo, error) {
	if err := s.Protocol.checkCheckpoint(); err != nil {
		return CheckpointInfo{}, fmt.Errorf("checkpoint of version %d: %w", int64(s.Version), err)
	}
	out := newCheckpointWriter(w)
	err := out.state(s)
	if err == nil {
		err = out.close()
	}
	if err != nil {
		return CheckpointInfo{}, fmt.Errorf("checkpoint of version %d: %w", int64(s.Version), err)
	}
	return CheckpointInfo{s.Version, out.actions, out.adds, out.to.n}, nil
}

type checkpointWriter struct {
	to       *sized
	parquet  *parquet.GenericWriter[any]
	places   []place
	shredder shredder
	batch    []parquet.Row
	pending  int // bytes of JSON in the current group of rows
	rows     int // in the current group
	actions  int64
	adds     int64
}

func newCheckpointWriter(w io.Writer) *checkpointWriter {
	columns := actionColumns()
	schema := parquet.NewSchema("checkpoint", nodes(columns))
	to := &sized{w: w}
	return &checkpointWriter{
		to: to,
		// Version 1 of data pages is what readers of all ages know.
		parquet: parquet.NewGenericWriter[any](to, schema, parquet.Compression(&parquet.Snappy),
			parquet.DataPageVersion(1), parquet.DataPageStatistics(false), parquet.CreatedBy("sluice", "1", "")),
		places:   placeIn(schema, columns, 0),
		shredder: shredder{columns: make([][]parquet.Value, len(schema.Columns()))},
	}
}

func (c *checkpointWriter) state(s *Snapshot) error {
	protocol, err := s.Protocol.json()
	if err != nil {
		return err
	}
	if err := c.action("protocol", protocol); err != nil {
		return err
	}
	if err := c.action("metaData", s.metadataJSON); err != nil {
		return err
	}
	for r, err := range s.state.all() {
		if err != nil {
			return err
		}
		if err := c.record(r); err != nil {
			return err
		}
	}
	return nil
}

func (c *checkpointWriter) record(r record) error {
	switch r.key[0] {
	case kindTxn:
		return c.action("txn", r.value)
	case kindDomain:
		_, ok, err := newDomain(r.value)
		if err != nil || !ok {
			return err
		}
		return c.action("domainMetadata", r.value)
	}
	if r.value[0] == fileRemoved {
		return c.action("remove", r.value[1:])
	}
	add, err := newAdd(r.value[1:])
	if err != nil {
		return err
	}
	c.adds++
	if err := c.action("add", add.JSON); err != nil {
		return fmt.Errorf("%s: %w", add.Path, err)
	}
	return nil
}

// action writes one row.
func (c *checkpointWriter) action(kind string, value []byte) error {
	row, err := c.shredder.row(nil, c.places, kind, value)
	if err != nil {
		return err
	}
	c.batch = append(c.batch, row)
	c.actions++
	c.rows++
	c.pending += len(value)
	if c.rows >= groupRows || c.pending >= groupBytes {
		return c.endGroup()
	}
	if len(c.batch) == rowBatch {
		return c.writeBatch()
	}
	return nil
}

func (c *checkpointWriter) writeBatch() error {
	_, err := c.parquet.WriteRows(c.batch)
	c.batch = c.batch[:0]
	return err
}

func (c *checkpointWriter) endGroup() error {
	c.rows, c.pending = 0, 0
	if err := c.writeBatch(); err != nil {
		return err
	}
	return c.parquet.Flush()
}

func (c *checkpointWriter) close() error {
	if err := c.writeBatch(); err != nil {
		return err
	}
	return c.parquet.Close()
}

// json returns the protocol as a checkpoint states it: lists of features are
// there exactly for the versions that have them (Delta protocol, "Table
// Features").
func (p *Protocol) json() ([]byte, error) {
	out := map[string]any{"minReaderVersion": p.MinReaderVersion, "minWriterVersion": p.MinWriterVersion}
	if p.MinReaderVersion == 3 {
		out["readerFeatures"] = append([]string{}, p.ReaderFeatures...)
	}
	if p.MinWriterVersion == 7 {
		out["writerFeatures"] = append([]string{}, p.WriterFeatures...)
	}
	return json.Marshal(out)
}
