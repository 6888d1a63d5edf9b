package atomicfile

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// syncReports says whether syncfs reports failed writes: since Linux 5.8.
var syncReports = sync.OnceValue(func() bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	var major, minor int
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	return err == nil && (major > 5 || major == 5 && minor >= 8)
})
