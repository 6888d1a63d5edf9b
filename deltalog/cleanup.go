package deltalog

import (
	"slices"
	"strings"
)

// belowVersion returns those names in a log that belong to versions below v,
// oldest first, and before them the hint, which may point at one of them.
func belowVersion(names []string, v Version) []string {
	var old []string
	for _, name := range names {
		digits, _, _ := strings.Cut(name, ".")
		if of, ok := ParseCommitName(digits + ".json"); ok && of < v {
			old = append(old, name)
		}
	}
	slices.Sort(old)
	if len(old) > 0 && slices.Contains(names, lastCheckpointName) {
		old = slices.Insert(old, 0, lastCheckpointName)
	}
	return old
}

const lastCheckpointName = "_last_checkpoint"
