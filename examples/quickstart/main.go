// Command quickstart shows sluice at work without any service: it makes a small
// Delta table, pushes every commit from a post-commit hook, restores the table
// into another folder, commits more, and pulls.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func main() {
	dir, err := os.MkdirTemp("", "sluice-quickstart-")
	if err == nil {
		err = run(context.Background(), dir, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, out io.Writer) error {
	pond, replica := filepath.Join(dir, "pond"), filepath.Join(dir, "replica")
	store, err := storage.Open(ctx, "file://"+filepath.ToSlash(filepath.Join(dir, "backup")))
	if err != nil {
		return err
	}
	pusher, err := replicator(pond, store)
	if err != nil {
		return err
	}

	// The host: a table that calls its hook after each commit.
	table := &table{dir: pond, postCommit: func() {
		report, err := pusher.Push(ctx)
		if err != nil { // never fails the commit: the next push catches up
			fmt.Fprintln(out, "push:", err)
			return
		}
		fmt.Fprintf(out, "pushed version %d: %d files, %d bytes\n", report.Last, report.Files, report.Bytes)
	}}
	for _, rows := range [][]row{{{1, "heron"}, {2, "newt"}}, {{3, "carp"}}, {{4, "otter"}, {5, "frog"}}} {
		if err := table.commit(rows); err != nil {
			return err
		}
	}

	follower, err := replicator(replica, store)
	if err != nil {
		return err
	}
	report, err := follower.Init(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "restored versions %d to %d into an empty folder\n", report.First, report.Last)

	if err := table.commit([]row{{6, "dragonfly"}}); err != nil {
		return err
	}
	if report, err = follower.Pull(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "pulled %d new version, %d GET\n", report.Versions, report.Requests.Get)

	files, err := identical(pond, replica)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "source and replica are identical: %d files\n", files)
	fmt.Fprintf(out, "look at them in %s\n", dir)
	return nil
}

func replicator(folder string, store storage.Store) (*remote.Replicator, error) {
	table, err := deltalog.OpenDir(folder)
	if err != nil {
		return nil, err
	}
	return remote.New(table, store, nil)
}

// identical compares two folders byte by byte and counts their files.
func identical(a, b string) (files int, err error) {
	err = filepath.WalkDir(a, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(a, path)
		if err != nil {
			return err
		}
		one, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		two, err := os.ReadFile(filepath.Join(b, rel))
		if err == nil && !bytes.Equal(one, two) {
			err = fmt.Errorf("%s differs", rel)
		}
		files++
		return err
	})
	return files, err
}
