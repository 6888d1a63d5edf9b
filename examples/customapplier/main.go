// Command customapplier is a host with a transaction table of its own: it wraps the
// table of its replica, so that every version that sluice applies becomes one of the
// host's transactions.
//
//	customapplier -table /var/replica -store s3://my-pond-backups/prod -txns /var/txns.jsonl
//
// Each run brings the replica up to date and prints what was recorded.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage/all"
)

func main() {
	table := flag.String("table", "", "folder of the replica")
	store := flag.String("store", "", "URL of the store that the source pushes to")
	txns := flag.String("txns", "", "file of the transaction table")
	flag.Parse()
	if *table == "" || *store == "" || *txns == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), *table, *store, *txns, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "customapplier:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, table, url, txns string, out io.Writer) error {
	store, err := all.Open(ctx, url)
	if err != nil {
		return err
	}
	dir, err := deltalog.OpenDir(table)
	if err != nil {
		return err
	}
	r := &recorder{Dir: dir, file: txns, out: out}
	if err := r.record(ctx); err != nil && !errors.Is(err, deltalog.ErrNoTable) {
		return err
	}
	rep, err := remote.New(r, store, nil)
	if err != nil {
		return err
	}
	_, err = rep.Init(ctx) // goes on with what is there
	return err
}

// txn is one line of the transaction table.
type txn struct {
	Seq       int64            `json:"seq"` // of the host, from 1
	Version   deltalog.Version `json:"version"`
	Operation string           `json:"operation"`
	Recorded  time.Time        `json:"recorded"`
}

// recorder is a table that records each version which becomes visible in it. That
// it embeds the folder, and does not only hold it, keeps what else sluice asks a
// table for, such as checkpoints.
type recorder struct {
	*deltalog.Dir
	file string
	out  io.Writer
}

var _ remote.LogApplier = (*recorder)(nil)

// Apply is called by one goroutine at a time, with versions in their order.
func (r *recorder) Apply(ctx context.Context, b deltalog.Batch) (int, error) {
	applied, err := r.Dir.Apply(ctx, b)
	if applied > 0 { // also if it failed half-way, or was interrupted
		err = errors.Join(err, r.record(context.WithoutCancel(ctx)))
	}
	return applied, err
}

// record records the versions that no transaction has. What it looks at is the
// table, not what was just applied: a process that was killed between the two leaves
// versions unrecorded, and the next one records them.
func (r *recorder) record(ctx context.Context) (err error) {
	tip, err := r.Tip(ctx)
	if err != nil {
		return err
	}
	start, err := r.Start(ctx)
	if err != nil {
		return err
	}
	last, err := r.last()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(r.file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Sync(), f.Close()) }()
	for v := max(last.Version+1, start); v <= tip; v++ {
		commit, err := r.commit(ctx, v)
		if err != nil {
			return err
		}
		last = txn{last.Seq + 1, v, commit.Operation, time.Now().UTC()}
		if err := json.NewEncoder(io.MultiWriter(f, r.out)).Encode(last); err != nil {
			return err
		}
	}
	return nil
}

// last is the newest transaction, with version -1 if there is none.
func (r *recorder) last() (t txn, err error) {
	t.Version = -1
	text, err := os.ReadFile(r.file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	for line := range bytes.Lines(text) {
		err = errors.Join(err, json.Unmarshal(line, &t))
	}
	return t, err
}

func (r *recorder) commit(ctx context.Context, v deltalog.Version) (*deltalog.Commit, error) {
	f, err := r.OpenCommit(ctx, v)
	if err != nil {
		return nil, err
	}
	c, err := deltalog.ScanCommit(f)
	return c, errors.Join(err, f.Close())
}
