package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

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
	run, err := source.Push(t.Context(), node)
	require.NoError(t, err)
	require.EqualValues(t, 10, run.Report.Last)

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
	run, err = replica.Pull(t.Context(), node)
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
