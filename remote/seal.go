package remote

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pondworks/sluice/bundle"
)

// noSum stands in place of the digest while it is calculated.
var noSum = []byte(strings.Repeat("0", 2*sha256.Size))

// seal adds the field "sum" to a JSON object that has others: the sha256 of the
// result with zeros in place of the digest. Nothing else would tell a wrong bit in a
// lineage or in the hash of a commit from another history, which is for people to
// look into.
func seal(object []byte) []byte {
	end := bytes.LastIndexByte(object, '}')
	end = len(bytes.TrimRight(object[:end], " \n"))
	sep := ","
	if object[1] == '\n' { // a field to a line
		sep = ",\n  "
	}
	before := fmt.Appendf(bytes.Clone(object[:end]), "%s\"sum\": \"", sep)
	sealed := slices.Concat(before, noSum, []byte{'"'}, object[end:])
	copy(sealed[len(before):], sumOf(sealed).String())
	return sealed
}

func sumOf(object []byte) bundle.Digest { return sha256.Sum256(object) }

// checkSeal refuses an object that is not as it was sealed. Those of releases before
// the seal have none.
func checkSeal(object []byte) error {
	var is struct {
		Sum *bundle.Digest `json:"sum"`
	}
	if err := json.Unmarshal(object, &is); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if is.Sum == nil {
		return nil
	}
	at := bytes.LastIndex(object, []byte(is.Sum.String()))
	if at < 0 {
		return fmt.Errorf("%w: its sum is written in another way", ErrCorrupt)
	}
	plain := bytes.Clone(object)
	copy(plain[at:], noSum)
	if got := sumOf(plain); got != *is.Sum {
		return fmt.Errorf("%w: its sum is %s, it says %s", ErrCorrupt, got, is.Sum)
	}
	return nil
}
