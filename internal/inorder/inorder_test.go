package inorder

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// Later ones are done first; all of a batch are under way at once.
func TestSeq(t *testing.T) {
	for _, limit := range []int{1, 2, 7, 100} {
		synctest.Test(t, func(t *testing.T) {
			const n = 20
			begin := time.Now()
			var running, most atomic.Int64
			got := slices.Collect(Seq(t.Context(), limit, slices.Values(numbers(n)), func(_ context.Context, x int) int {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(time.Duration(n-x) * time.Second)
				running.Add(-1)
				return x
			}))
			require.Equal(t, numbers(n), got)
			require.EqualValues(t, min(limit, n), most.Load())
			if limit > n {
				require.Equal(t, n*time.Second, time.Since(begin))
			}
		})
	}
	for range Seq(t.Context(), 3, slices.Values([]int(nil)), func(context.Context, int) int { return 0 }) {
		t.Fatal("of nothing it yields nothing")
	}
}

// Who leaves the loop finds nothing under way any more.
func TestSeqStops(t *testing.T) {
	var begun, ended atomic.Int64
	for x := range Seq(t.Context(), 4, slices.Values(numbers(1000)), func(ctx context.Context, x int) int {
		begun.Add(1)
		defer ended.Add(1)
		if x > 10 {
			<-ctx.Done()
		}
		return x
	}) {
		if x == 10 {
			break
		}
	}
	require.Equal(t, begun.Load(), ended.Load())
	require.LessOrEqual(t, begun.Load(), int64(14))
}
