package remote_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// TestRandomLosses takes objects from stores of all shapes, by a seed: SLUICE_SEED, else always
// other ones. What is restored is what the source had or nothing, Verify tells of what cannot be,
// and a base of a source that has everything can be begun with.
func TestRandomLosses(t *testing.T) {
	seed, healed := number(t, "SLUICE_SEED", rand.Uint64N(1<<32)), 0
	worlds := number(t, "SLUICE_LOSSES", 20)
	for i := range worlds {
		t.Run(fmt.Sprint("SLUICE_SEED=", seed+i), func(t *testing.T) { healed += loseSome(t, seed+i) })
	}
	t.Logf("%d of %d stores healed by themselves", healed, worlds)
	require.Greater(t, healed, int(worlds)/3)
}

func loseSome(t *testing.T, seed uint64) (healed int) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	w := &manyWorld{pond: newPond(t), t: t, rnd: rnd, store: storage.NewMemory(), live: map[string]string{}, dead: map[string]string{},
		at: map[deltalog.Version]map[string]string{}, lacking: map[deltalog.Version]bool{}, pushed: -1}
	defer func() {
		if t.Failed() {
			for _, did := range w.did {
				t.Log(did)
			}
		}
	}()
	w.step()
	w.pushAll()
	for range 14 {
		switch n := rnd.IntN(10); {
		case n < 4:
			for range 1 + rnd.IntN(3) {
				w.step()
			}
		case n < 7:
			w.pushAll()
		case n == 7:
			w.cleanLog()
		case n == 8:
			_, err := w.pusher(w.store).Base(t.Context())
			w.say("base: %v", err)
		case rnd.IntN(2) == 0:
			w.retain()
		}
	}
	w.pushAll()
	w.lose()
	w.requireNothingElse()
	if rnd.IntN(2) == 0 {
		w.retain()
		w.requireNothingElse()
	}
	return w.heal()
}

// lose takes some objects from the store.
func (w *manyWorld) lose() {
	var keys []string
	for key := range objects(w.t, w.store) {
		if strings.HasPrefix(key, "backups/") && !strings.Contains(key, "pin-") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	w.rnd.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, key := range keys[:min(len(keys), 1+w.rnd.IntN(3))] {
		lose(w.t, w.store, key)
		w.say("lost %s", key)
	}
}

// requireNothingElse restores what can be: it is what the source had. Where a plain restore fails
// Verify must tell why.
func (w *manyWorld) requireNothingElse() {
	found, err := storeOnly(w.t, w.store, nil).Verify(w.t.Context(), remote.VerifyOptions{Data: true})
	aside := func(f remote.Finding) bool { return f.Kind == remote.FindingLeftover } // of which nothing proves that it is not an upload under way
	silent := err == nil && found.Err() == nil && !slices.ContainsFunc(found.Findings, aside)
	for _, o := range []remote.Options{{}, {History: remote.HistoryLive}, {AcrossGap: true}, {AcrossGap: true, History: remote.HistoryLive}} {
		tip, err := w.restoredAt(o)
		w.say("init %v %v: %d, %v", o.AcrossGap, o.History, tip, err)
		if silent {
			require.NoError(w.t, err)
		}
	}
}

// restoredAt restores the newest version, and makes sure that it is what the source had.
func (w *manyWorld) restoredAt(o remote.Options) (deltalog.Version, error) {
	dir := filepath.Join(w.t.TempDir(), "replica")
	defer func() { require.NoError(w.t, os.RemoveAll(dir)) }()
	o.Durability = remote.DurabilityRelaxed
	if err := initIn(w.t, dir, w.store, o); err != nil {
		return -1, err
	}
	tip, err := openTable(w.t, dir).Tip(w.t.Context())
	require.NoError(w.t, err)
	w.requireAt(dir, tip)
	return tip, nil
}

// heal pushes what comes next, and takes a base. Then that can be begun with. It returns 1 if
// the push and the base came through, and Repair had not to be called, which may need a person.
func (w *manyWorld) heal() int {
	w.step()
	push := func() error {
		_, err := replicator(w.t, w.dir, w.store, nil).Push(w.t.Context())
		return err
	}
	err := push()
	w.say("push: %v", err)
	if err == nil {
		_, err = replicator(w.t, w.dir, w.store, nil).Base(w.t.Context())
		w.say("base: %v", err)
	}
	if err != nil {
		return 0
	}
	tip, err := w.restoredAt(remote.Options{AcrossGap: true, History: remote.HistoryLive})
	require.NoError(w.t, err)
	require.Equal(w.t, w.next-1, tip)
	return 1
}
