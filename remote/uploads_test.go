package remote

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestUploadsLetGo: a bundle that is through is told of, and let go of, when the
// next one starts, however few there are. Of a long backlog of small versions all plans
// were once held to the end.
func TestUploadsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var through []*plan
		up := newUploads(t.Context(), 4, 100, func(p *plan) { through = append(through, p) })
		finish := make(chan struct{})
		done := func(context.Context) error { return nil }
		waits := func(context.Context) error { <-finish; return nil }

		first, second, third, fourth := &plan{}, &plan{size: 1}, &plan{size: 2}, &plan{size: 3}
		require.NoError(t, up.start(first, 1, done))
		synctest.Wait()
		require.NoError(t, up.start(second, 1, waits))
		require.Equal(t, []*plan{first}, through)
		require.NoError(t, up.start(third, 1, done))
		synctest.Wait()
		require.NoError(t, up.start(fourth, 1, done))
		require.Equal(t, []*plan{first}, through, "the third is there, but not all below it")
		close(finish)
		require.NoError(t, up.wait(nil))
		require.Equal(t, []*plan{first, second, third, fourth}, through)
	})
}
