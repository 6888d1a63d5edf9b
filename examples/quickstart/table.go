package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
)

// row is what the table holds.
type row struct {
	ID   int64  `parquet:"id" json:"id"`
	Name string `parquet:"name" json:"name"`
}

// table is a minimal writer of a Delta table: it only appends.
type table struct {
	dir        string
	next       int
	postCommit func()
}

const schema = `{"type":"struct","fields":[` +
	`{"name":"id","type":"long","nullable":false,"metadata":{}},` +
	`{"name":"name","type":"string","nullable":false,"metadata":{}}]}`

// commit writes the rows as a Parquet file and then the commit that names it,
// by exclusive create, and calls the hook.
func (t *table) commit(rows []row) error {
	log := filepath.Join(t.dir, "_delta_log")
	if err := os.MkdirAll(log, 0o755); err != nil {
		return err
	}
	name := fmt.Sprintf("part-00000-%s-c000.snappy.parquet", uuid.NewString())
	if err := parquet.WriteFile(filepath.Join(t.dir, name), rows, parquet.Compression(&parquet.Snappy)); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(t.dir, name))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(log, fmt.Sprintf("%020d.json", t.next)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(f)
	for _, action := range t.actions(name, info.Size(), len(rows)) {
		if err := enc.Encode(action); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	t.next++
	t.postCommit()
	return nil
}

type object map[string]any

func (t *table) actions(name string, size int64, rows int) []object {
	now := time.Now().UnixMilli()
	actions := []object{{"commitInfo": object{"timestamp": now, "operation": "WRITE"}}}
	if t.next == 0 {
		actions = append(actions,
			object{"protocol": object{"minReaderVersion": 1, "minWriterVersion": 2}},
			object{"metaData": object{"id": uuid.NewString(), "format": object{"provider": "parquet", "options": object{}},
				"schemaString": schema, "partitionColumns": []string{}, "configuration": object{}, "createdTime": now}})
	}
	return append(actions, object{"add": object{"path": name, "partitionValues": object{}, "size": size,
		"modificationTime": now, "dataChange": true, "stats": fmt.Sprintf(`{"numRecords":%d}`, rows)}})
}
