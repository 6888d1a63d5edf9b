package sluice_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	// A table with one commit, which no file goes with.
	log := filepath.Join(dir, "pond", "_delta_log")
	commit := `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"pond","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}}
`
	if err := os.MkdirAll(log, 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(log, "00000000000000000000.json"), []byte(commit), 0o644); err != nil {
		panic(err)
	}

	store := storage.NewMemory()
	for _, step := range []struct{ mode, folder string }{{"push", "pond"}, {"init", "replica"}} {
		table, err := deltalog.OpenDir(filepath.Join(dir, step.folder))
		if err != nil {
			panic(err)
		}
		mode, err := remote.ParseMode(step.mode)
		if err != nil {
			panic(err)
		}
		rep, err := remote.New(table, store, &remote.Options{Mode: mode})
		if err != nil {
			panic(err)
		}
		report, err := rep.Run(ctx)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: %d version\n", report.Mode, report.Versions)
	}
	// Output:
	// push: 1 version
	// init: 1 version
}
