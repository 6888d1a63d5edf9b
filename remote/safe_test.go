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
