//go:build !unix

package deltalog

// openNonblocking is 0 where a folder holds no named pipes.
const openNonblocking = 0
