package deltalog

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/parquet-go/parquet-go"

	"github.com/pondworks/sluice/internal/inorder"
)

// CheckpointInfo says what a checkpoint holds that was written.
type CheckpointInfo struct {
	Version  Version
	Actions  int64 // rows
	AddFiles int64 // rows that are live files
	Size     int64 // bytes of the file
}

// A group of rows ends with the chunk that reaches one of these, since it is held in
// memory until it is complete.
const (
	groupRows  = 50_000
	groupBytes = 8 << 20 // of JSON
)

// WriteCheckpoint writes the state as a classic V1 checkpoint (Delta protocol,
// "Checkpoints"), in memory bounded by one group of rows and a few chunks of some 256 KiB,
// or of one action that is longer. The same state makes the same bytes. All tombstones
// are kept, expired ones too, which is legal and loses nothing; so are all transactions,
// and domain metadata that is not removed. Statistics are written as text, not as columns.
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
		err = out.parquet.Close()
	}
	if err != nil {
		return CheckpointInfo{}, fmt.Errorf("checkpoint of version %d: %w", int64(s.Version), err)
	}
	return CheckpointInfo{s.Version, out.actions, out.adds, out.to.n}, nil
}

type checkpointWriter struct {
	to      *sized
	parquet *parquet.GenericWriter[any]
	chunks  sync.Pool // of *chunk
	pending int       // bytes of JSON in the current group of rows
	rows    int       // in the current group
	actions int64
	adds    int64
}

func newCheckpointWriter(w io.Writer) *checkpointWriter {
	columns := actionColumns()
	schema := parquet.NewSchema("checkpoint", nodes(columns))
	places := placeIn(schema, columns, 0)
	to := &sized{w: w}
	return &checkpointWriter{
		to: to,
		// Version 1 of data pages is what readers of all ages know.
		parquet: parquet.NewGenericWriter[any](to, schema, parquet.Compression(&parquet.Snappy),
			parquet.DataPageVersion(1), parquet.DataPageStatistics(false), parquet.CreatedBy("sluice", "1", "")),
		chunks: sync.Pool{New: func() any { return &chunk{shredder: newShredder(places)} }},
	}
}

// state walks the state and writes it, while the next rows are made of it.
func (c *checkpointWriter) state(s *Snapshot) error {
	shred := func(_ context.Context, k *chunk) *chunk {
		k.shred()
		return k
	}
	for k := range inorder.Seq(context.Background(), chunksAhead, chunksOf(s, &c.chunks), shred) {
		if k.err != nil {
			return k.err
		}
		if err := c.write(k); err != nil {
			return err
		}
		k.reset()
		c.chunks.Put(k)
	}
	return nil
}

// write puts a chunk's values into the pages of their columns.
func (c *checkpointWriter) write(k *chunk) error {
	for i, column := range c.parquet.ColumnWriters() {
		if _, err := column.WriteRowValues(k.shredder.columns[i]); err != nil {
			return err
		}
	}
	c.actions += int64(k.shredder.rows)
	c.adds += int64(k.adds)
	c.rows += k.shredder.rows
	c.pending += len(k.json)
	if c.rows < groupRows && c.pending < groupBytes {
		return nil
	}
	c.rows, c.pending = 0, 0
	return c.parquet.Flush()
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
