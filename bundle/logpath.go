package bundle

import (
	"strconv"
	"strings"
)

// sidecarDir is where the files lie that checkpoints of Delta's V2 name.
const sidecarDir = logDir + "/_sidecars/"

// checkMemberPath tests the path of a member that is no commit: a file of the
// table, or a part of a checkpoint.
func checkMemberPath(path string) error {
	if _, ok := parseCheckpointPath(path); ok {
		return nil
	}
	return CheckPath(path)
}

// IsCheckpointPath reports whether a file of a checkpoint that lies at path can be carried.
// The names that the Delta protocol gives can; a sidecar may have another.
func IsCheckpointPath(path string) bool {
	_, ok := parseCheckpointPath(path)
	return ok
}

// parseCheckpointPath recognises the files of checkpoints by the names that the
// Delta protocol gives them ("Checkpoints", "Sidecar Files"), and says of which
// version; 0 for a sidecar, which tells none. FORMAT.md P6 has it as one pattern.
func parseCheckpointPath(path string) (version int64, ok bool) {
	if name, ok := strings.CutPrefix(path, sidecarDir); ok {
		id, isParquet := strings.CutSuffix(name, ".parquet")
		return 0, isParquet && len(name) <= maxElement && isLogID(id)
	}
	name, ok := strings.CutPrefix(path, logDir+"/")
	number, rest, found := strings.Cut(name, ".checkpoint.")
	if !ok || !found || len(name) > maxElement || len(number) != 20 || strings.Trim(number, "0123456789") != "" {
		return 0, false
	}
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, false
	}
	id, isParquet := strings.CutSuffix(rest, ".parquet")
	if !isParquet {
		id, ok = strings.CutSuffix(rest, ".json")
	}
	return version, rest == "parquet" || ok && isLogID(id)
}

// isLogID allows the characters that names in a log are made of: letters, digits,
// points and hyphens, so that none is hidden, a temporary or a path.
func isLogID(id string) bool {
	return id != "" && id[0] != '.' &&
		strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}
