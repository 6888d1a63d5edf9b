package deltalog

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// CheckpointKind says how the files of a checkpoint are named (Delta protocol,
// "Checkpoints").
type CheckpointKind string

// The kinds of checkpoint. A classic name may hold either spec, V1 or V2.
const (
	CheckpointClassic   CheckpointKind = "classic"    // N.checkpoint.parquet
	CheckpointMultiPart CheckpointKind = "multi-part" // N.checkpoint.<part>.<of>.parquet
	CheckpointUUID      CheckpointKind = "uuid"       // N.checkpoint.<uuid>.json or .parquet
)

// Checkpoint is the state of a table at one version, in files of its log.
type Checkpoint struct {
	Version Version
	Kind    CheckpointKind
	// Files are the paths of its files relative to the table's root, ascending:
	// those in the log's folder, then sidecars.
	Files []string
}

// checkpointID identifies a set of files that together are one checkpoint.
type checkpointID struct {
	version Version
	kind    CheckpointKind
	of      int    // how many files are named for it
	unique  string // tells apart the checkpoints of one version that have a uuid
}

// parseCheckpointName recognises the files of checkpoints of all kinds. Parts
// have numbers of ten digits.
func parseCheckpointName(name string) (c checkpointID, ok bool) {
	digits, rest, found := strings.Cut(name, ".checkpoint.")
	if !found {
		return c, false
	}
	if c.version, ok = ParseCommitName(digits + ".json"); !ok {
		return c, false
	}
	c.of = 1
	elements := strings.Split(rest, ".")
	switch format := elements[len(elements)-1]; {
	case len(elements) == 1:
		c.kind = CheckpointClassic
		return c, format == "parquet"
	case len(elements) == 2:
		c.kind, c.unique = CheckpointUUID, rest
		return c, len(elements[0]) == len("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") && (format == "parquet" || format == "json")
	case len(elements) == 3 && len(elements[0]) == 10 && len(elements[1]) == 10 && format == "parquet":
		part, err1 := strconv.Atoi(elements[0])
		of, err2 := strconv.Atoi(elements[1])
		c.kind, c.of = CheckpointMultiPart, of
		return c, err1 == nil && err2 == nil && 1 <= part && part <= of
	}
	return c, false
}

// namedCheckpoints returns the checkpoints all of whose files in the log's
// folder are among the names, ascending by version. Sidecars are not known yet.
// partial says that there is any file of a checkpoint, complete or not.
func namedCheckpoints(names []string) (complete []Checkpoint, partial bool) {
	sets := map[checkpointID][]string{}
	for _, name := range names {
		if id, ok := parseCheckpointName(name); ok {
			sets[id] = append(sets[id], LogDir+"/"+name)
		}
	}
	for id, files := range sets {
		if len(files) == id.of {
			slices.Sort(files)
			complete = append(complete, Checkpoint{id.version, id.kind, files})
		}
	}
	// Any checkpoint of a version is as right as another; the order only makes
	// the choice the same every time.
	slices.SortFunc(complete, func(a, b Checkpoint) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Files[0], b.Files[0]))
	})
	return complete, len(sets) > 0
}
