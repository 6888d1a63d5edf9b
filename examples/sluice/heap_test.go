package main

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHeapLimit(t *testing.T) {
	assert.EqualValues(t, heapLimit, limitFor(10<<20))
	assert.EqualValues(t, heapLimit, limitFor(heapLimit-1), "what may fit is held to it")
	assert.EqualValues(t, 250<<20, limitFor(200<<20), "a limit below what is live could not be kept")
}

func TestAfterEachCollection(t *testing.T) {
	live := make(chan uint64, 1)
	afterEachCollection(func() {
		select {
		case live <- liveHeap():
		default:
		}
	})
	held := make([]byte, 32<<20)
	for range 2 {
		runtime.GC()
		select {
		case got := <-live:
			assert.Greater(t, got, uint64(len(held)))
		case <-time.After(time.Minute):
			require.Fail(t, "not called")
		}
	}
	runtime.KeepAlive(held)
}
