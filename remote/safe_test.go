package remote_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// H2: what is vacuumed up to the safe version is missed by no later push.
func TestSafeVersion(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	safe := func(dir string) (deltalog.Version, error) {
		return replicator(t, dir, store, nil).SafeVersion(t.Context())
	}
	source.churn(5, 2, 100)
	_, err := safe(source.dir)
	require.ErrorIs(t, err, remote.ErrEmptyStore)

	source.mustPush(store)
	source.churn(3, 2, 100)
	v, err := safe(source.dir)
	require.NoError(t, err)
	require.Equal(t, deltalog.Version(4), v, "5 to 7 are not pushed yet")
	st, err := replicator(t, source.dir, store, nil).Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, v, *st.Safe)

	other := newPond(t)
	for range 9 {
		other.append("other")
	}
	_, err = safe(other.dir)
	require.ErrorIs(t, err, remote.ErrDiverged)
	st, err = replicator(t, other.dir, store, nil).Status(t.Context())
	require.NoError(t, err)
	require.Nil(t, st.Safe)
}

// What was deleted since it was pushed, by a rule of the bucket, say, is not safe, whatever
// the head says: a vacuum would lose it on both sides.
func TestSafeVersionOfAStoreThatLostSomething(t *testing.T) {
	plain := func(p *pond, store storage.Store) { p.pushSingly(store) }
	packed := func(p *pond, store storage.Store) {
		p.pushSingly(store)
		consolidate(p.t, store)
		prune(p.t, store, remote.PruneOptions{Grace: -1, Delete: true})
	}
	pruned := func(p *pond, store storage.Store) {
		p.pushSingly(store)
		p.base(store)
		p.churn(2, 3, 100)
		p.pushSingly(store)
		pruneAll(p.t.(*testing.T), store)
	}
	afterGap := func(p *pond, store storage.Store) {
		p.pushSingly(store)
		p.churn(3, 3, 100)
		p.cleanUp(8)
		p.churn(1, 3, 100)
		p.pushSingly(store)
	}
	const nothing = deltalog.Version(-1)
	for name, c := range map[string]struct {
		push func(*pond, storage.Store)
		lost string
		want deltalog.Version
	}{
		"nothing":                     {plain, "none", 5},
		"all bundles":                 {plain, "/bundle.tar.zst", nothing},
		"the first bundle":            {plain, "version-000000/", nothing},
		"one in the middle":           {plain, "version-000003/", 2},
		"the newest":                  {plain, "version-000005/", 4},
		"nothing, with a pack":        {packed, "none", 5},
		"the pack":                    {packed, "/pack-", nothing},
		"nothing, with a floor":       {pruned, "none", 7},
		"the base at the floor":       {pruned, "/base.tar.zst", nothing},
		"nothing, with a gap":         {afterGap, "none", 9},
		"the base beside a gap":       {afterGap, "/base.tar.zst", 5},
		"the bundle that has the gap": {afterGap, "version-000008/bundle", 5},
		"what lies above the gap":     {afterGap, "version-000009/", 8},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(6, 3, 100)
			c.push(source, store)
			for _, key := range keysWith(t, store, c.lost) {
				require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
			}
			r := replicator(t, source.dir, store, nil)
			v, err := r.SafeVersion(t.Context())
			st, serr := r.Status(t.Context())
			require.NoError(t, serr)
			require.Equal(t, source.next-1, *st.Store, "as the head says")
			if c.want == nothing {
				require.ErrorIs(t, err, remote.ErrGap)
				require.Nil(t, st.Safe)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, v)
			require.Equal(t, c.want, *st.Safe)
		})
	}
}
