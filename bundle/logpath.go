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
// version; 0 for a sidecar, which tells none.
func parseCheckpointPath(path string) (version int64, ok bool) {
	if name, ok := strings.CutPrefix(path, sidecarDir); ok {
		return 0, isLogName(name) && strings.HasSuffix(name, ".parquet")
	}
	name, ok := strings.CutPrefix(path, logDir+"/")
	if !ok || !isLogName(name) {
		return 0, false
	}
	number, rest, ok := strings.Cut(name, ".checkpoint.")
	if !ok || len(number) != 20 || strings.Trim(number, "0123456789") != "" {
		return 0, false
	}
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, false
	}
	id, isJSON := strings.CutSuffix(rest, ".json")
	return version, isJSON && id != "" || rest == "parquet" || strings.HasSuffix(rest, ".parquet")
}

// isLogName allows the characters that names in a log are made of: letters,
// digits, points and hyphens, so that none is hidden, a temporary or a path.
func isLogName(name string) bool {
	return name != "" && name[0] != '.' && len(name) <= maxElement &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}
