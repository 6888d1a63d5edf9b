package remote_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// What each call does without a table, as New says.
func TestNilTable(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.mustPush(store)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := storeOnly(t, store, nil)
	for name, c := range map[string]struct {
		call func() error
		want error
	}{
		"push":         {func() error { _, err := r.Push(ctx); return err }, remote.ErrNoTable},
		"base":         {func() error { _, err := r.Base(ctx); return err }, remote.ErrNoTable},
		"safe version": {func() error { _, err := r.SafeVersion(ctx); return err }, remote.ErrNoTable},
		"repair":       {func() error { _, err := r.Repair(ctx, false); return err }, remote.ErrNoTable},
		"init":         {func() error { _, err := r.Init(ctx); return err }, remote.ErrReadOnly},
		"pull":         {func() error { _, err := r.Pull(ctx); return err }, remote.ErrReadOnly},
		"follow":       {func() error { return r.Follow(ctx) }, remote.ErrNoTable},
		"wait":         {func() error { return r.WaitFor(ctx, 0) }, remote.ErrNoTable},
		"status":       {func() error { _, err := r.Status(ctx); return err }, nil},
		"lag":          {func() error { _, err := r.Lag(ctx); return err }, nil},
		"verify":       {func() error { _, err := r.Verify(ctx, remote.VerifyOptions{}); return err }, nil},
		"prune":        {func() error { _, err := r.Prune(ctx, remote.PruneOptions{}); return err }, nil},
		"consolidate":  {func() error { _, err := r.Consolidate(ctx); return err }, nil},
		"pin":          {func() error { return r.Pin(ctx, "a", deltalog.Version(0)) }, nil},
	} {
		err := c.call()
		require.ErrorIs(t, err, c.want, name)
		if c.want != nil {
			require.ErrorIs(t, err, remote.ErrReadOnly, name)
		}
	}
	require.NoError(t, ctx.Err(), "nothing waited for the table to come")
}
