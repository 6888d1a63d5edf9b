package pondfs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/pondworks/sluice/deltalog"
)

// Info is what a commit says of its transaction, in its commitInfo.
type Info struct {
	Pond   string // the pond that made it: its own id, not that of the table
	TxnSeq int64  // its number among the transactions of that pond
	What   string // for people: "put /data/a.csv"
}

// object is a JSON object.
type object map[string]any

func (i Info) action(operation string, now time.Time) object {
	return object{"commitInfo": object{
		"timestamp": now.UnixMilli(), "operation": operation, "operationParameters": object{"what": i.What},
		"engineInfo": "pond", "isBlindAppend": operation == "WRITE", "pond": i.Pond, "txn_seq": i.TxnSeq,
	}}
}

// tableActions begin a table.
func tableActions(id string, now time.Time) []object {
	return []object{
		{"protocol": object{"minReaderVersion": 1, "minWriterVersion": 2}},
		{"metaData": object{
			"id": id, "format": object{"provider": "parquet", "options": object{}}, "schemaString": schema,
			"partitionColumns": []string{"part_id"}, "configuration": object{"delta.checkpointInterval": "10"}, "createdTime": now.UnixMilli(),
		}},
	}
}

func removeAction(a addAction, now time.Time) object {
	return object{"remove": object{
		"path": a.path, "deletionTimestamp": now.UnixMilli(), "dataChange": false,
		"extendedFileMetadata": true, "partitionValues": a.PartitionValues, "size": a.size,
	}}
}

// publish makes version v of these actions. It wraps fs.ErrExist if another
// writer was first.
func (f *FS) publish(v deltalog.Version, actions []object) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, a := range actions {
		if err := enc.Encode(a); err != nil {
			return err
		}
	}
	return createNew(filepath.Join(f.dir, filepath.FromSlash(v.CommitPath())), b.Bytes())
}

// Info reads what the commit of a version says of its transaction, and when it
// was made. A commit that another program made may say nothing.
func (f *FS) Info(ctx context.Context, v deltalog.Version) (info Info, made time.Time, err error) {
	file, err := f.table.OpenCommit(ctx, v)
	if err != nil {
		return Info{}, time.Time{}, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	dec := json.NewDecoder(file)
	for {
		var line struct {
			CommitInfo *struct {
				Operation  string `json:"operation"`
				Parameters struct {
					What string `json:"what"`
				} `json:"operationParameters"`
				Pond   string `json:"pond"`
				TxnSeq int64  `json:"txn_seq"`
			} `json:"commitInfo"`
		}
		err := dec.Decode(&line)
		if err == io.EOF {
			return Info{}, file.Modified, nil
		}
		if err != nil {
			return Info{}, file.Modified, fmt.Errorf("commit %d: %w", int64(v), err)
		}
		if c := line.CommitInfo; c != nil {
			info := Info{Pond: c.Pond, TxnSeq: c.TxnSeq, What: c.Parameters.What}
			if info.What == "" {
				info.What = c.Operation
			}
			return info, file.Modified, nil
		}
	}
}
