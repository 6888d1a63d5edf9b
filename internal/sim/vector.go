package sim

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// z85 is the alphabet of ZeroMQ RFC 32, in which logs write uuids.
const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// vectorName returns the id in the log and the path of the deletion vector file
// with this uuid below an optional folder (Delta protocol, "Deletion Vector
// Descriptor Schema").
func vectorName(folder string, id [16]byte) (inLog, path string) {
	var b strings.Builder
	b.WriteString(folder)
	for i := 0; i < len(id); i += 4 {
		n := uint64(binary.BigEndian.Uint32(id[i:]))
		var group [5]byte
		for j := 4; j >= 0; j-- {
			group[j] = z85[n%85]
			n /= 85
		}
		b.Write(group[:])
	}
	path = fmt.Sprintf("deletion_vector_%x-%x-%x-%x-%x.bin", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	if folder != "" {
		path = folder + "/" + path
	}
	return b.String(), path
}
