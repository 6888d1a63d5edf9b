//go:build !race

package bundle

// largeMember is the size in bytes of a member that is large beside the memory
// allowed.
const largeMember = 256 << 20
