//go:build unix

package deltalog

import "syscall"

// openNonblocking keeps the opening of a named pipe from waiting for its other
// end. For regular files it changes nothing.
const openNonblocking = syscall.O_NONBLOCK
