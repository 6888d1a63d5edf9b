package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/pond/pondfs"
	"github.com/pondworks/sluice/examples/pond/steward"
	"github.com/pondworks/sluice/remote"
)

// TestCommitsDuringInit is "Concurrent Updates During Init" of the design with fewer
// versions: while a replica initialises from versions up to 10, the source commits
// five more, which pull mode catches up on.
func TestCommitsDuringInit(t *testing.T) {
	dir := t.TempDir()
	config := fmt.Sprintf("storage_type: local\npath: %s\n", filepath.Join(dir, "backup"))
	source, err := steward.Create(t.Context(), filepath.Join(dir, "source"), nil)
	require.NoError(t, err)
	made := 0
	commit := func() {
		made++
		_, err := source.Transact(t.Context(), "mkdir", func(tx *pondfs.Tx) error {
			return tx.Mkdir(fmt.Sprintf("/%d", made))
		})
		require.NoError(t, err)
	}
	for range 10 {
		commit()
	}
	node := steward.Node{Path: steward.DefaultNode, Text: []byte(config)}
	_, err = source.Mknod(t.Context(), node)
	require.NoError(t, err)
	runs, err := source.Push(t.Context(), node)
	require.NoError(t, err)
	require.EqualValues(t, 10, runs[0].Report.Last)

	file := filepath.Join(dir, "init.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config+"mode: init\nauto_switch_to_pull: true\n"), 0o600))
	c, err := remote.LoadConfig(file)
	require.NoError(t, err)
	var once sync.Once
	replica, report, err := steward.InitFromBackup(t.Context(), filepath.Join(dir, "replica"), c, &steward.Options{Progress: func(remote.Progress) {
		once.Do(func() {
			for range 5 {
				commit()
			}
		})
	}})
	require.NoError(t, err)
	require.EqualValues(t, 10, report.Last)

	node, err = replica.Node(steward.DefaultNode)
	require.NoError(t, err)
	run, err := replica.Pull(t.Context(), node)
	require.NoError(t, err)
	require.EqualValues(t, 11, run.Report.First)
	require.EqualValues(t, 15, run.Report.Last)

	// "each as separate txn_seq": one for every version, and one for the configuration.
	require.Len(t, log(t, replica), 17)
}

func log(t *testing.T, p *steward.Pond) []steward.Txn {
	t.Helper()
	log, err := p.Log()
	require.NoError(t, err)
	return log
}

// TestTransactionsAtOnce: numbers and versions are then taken in different orders.
// What was killed before it recorded its version, or lost its record, is recorded by
// the next command, once.
func TestTransactionsAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pond")
	_, err := steward.Create(t.Context(), path, nil)
	require.NoError(t, err)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			p, err := steward.Open(t.Context(), path, nil)
			if assert.NoError(t, err) {
				_, err = p.Transact(t.Context(), "mkdir", func(tx *pondfs.Tx) error { return tx.Mkdir(fmt.Sprintf("/%d", i)) })
				assert.NoError(t, err)
			}
		})
	}
	group.Wait()
	p, err := steward.Open(t.Context(), path, nil)
	require.NoError(t, err)
	whole := log(t, p)
	onceEach(t, whole, 9)

	for _, txn := range whole[1:] { // each of them, wherever it stands
		file := filepath.Join(path, "control", "txn", fmt.Sprintf("%09d.json", txn.Seq))
		record, err := os.ReadFile(file)
		require.NoError(t, err)
		begun, err := json.Marshal(steward.Txn{Seq: txn.Seq, State: steward.Begun, What: txn.What, Time: txn.Time})
		require.NoError(t, err)
		for _, left := range [][]byte{begun, nil} {
			require.NoError(t, os.Remove(file))
			if left != nil {
				require.NoError(t, os.WriteFile(file, left, 0o600))
			}
			p, err := steward.Open(t.Context(), path, nil)
			require.NoError(t, err)
			onceEach(t, log(t, p), 9)
			again, err := os.ReadFile(file)
			require.NoError(t, err)
			if left != nil {
				require.JSONEq(t, string(record), string(again))
			}
		}
	}
}

// onceEach checks that a pond's versions are recorded once each.
func onceEach(t *testing.T, log []steward.Txn, versions int) {
	t.Helper()
	seen := map[deltalog.Version]bool{}
	for _, txn := range log {
		require.NotNil(t, txn.Version, "transaction %d", txn.Seq)
		require.False(t, seen[*txn.Version], "version %d", *txn.Version)
		seen[*txn.Version] = true
	}
	require.Len(t, seen, versions)
}
