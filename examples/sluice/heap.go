package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapLimit is what a call holds, which remote.Options.Memory bounds, and some more: 64 MiB
// take some 75 in a push of large files to S3. The program's own pages are up to 40 MiB on top.
const heapLimit = 80 << 20

// stayBelow128MiB bounds the heap, as long as what is live fits. Below the limit the
// collector runs seldom: it took a fifth of the processor time of many small versions.
func stayBelow128MiB() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapLimit)
		afterEachCollection(func() { debug.SetMemoryLimit(limitFor(liveHeap())) })
	}
}

// limitFor returns the limit where so many bytes are live. The names of a commit of very many
// files do not fit below heapLimit: there the collector would run all the time, and such a push
// took twice the processor time.
func limitFor(live uint64) int64 {
	if live < heapLimit {
		return heapLimit
	}
	return int64(live + live/4)
}

// liveHeap returns the bytes that the last collection has left.
func liveHeap() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}

// afterEachCollection calls f after each, in a goroutine of the runtime.
func afterEachCollection(f func()) {
	collected := new([1]*byte) // no tiny allocation, which may outlive it
	runtime.AddCleanup(collected, func(f func()) {
		f()
		afterEachCollection(f)
	}, f)
}
