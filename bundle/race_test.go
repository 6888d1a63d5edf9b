//go:build race

package bundle

// largeMember is smaller under the race detector, which slows hashing down
// twentyfold.
const largeMember = 24 << 20
