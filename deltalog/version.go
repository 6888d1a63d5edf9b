package deltalog

import (
	"log/slog"
	"strconv"
	"strings"
)

// Version numbers a table's commits, from 0.
type Version int64

// LogDir is the folder of a table's log, relative to the table's root.
const LogDir = "_delta_log"

// String returns the version as 20 digits, as commit files are named, so that
// text sorts as versions do. It is called for every file of a log.
func (v Version) String() string {
	const zeros = "00000000000000000000"
	digits := strconv.FormatInt(int64(v), 10)
	return zeros[len(digits):] + digits
}

// LogValue returns the version as a number: log lines are for people, who do not want its 20
// digits.
func (v Version) LogValue() slog.Value { return slog.Int64Value(int64(v)) }

var _ slog.LogValuer = Version(0)

// CommitPath returns the path of the version's commit file relative to the
// table's root: _delta_log/<20 digits>.json.
func (v Version) CommitPath() string { return LogDir + "/" + v.String() + ".json" }

// ParseCommitName returns the version of a commit file's name, without its
// folder. ok is false for every other name: Delta engines accept exactly 20
// digits and ".json" (Delta protocol, "Delta Log Entries").
func ParseCommitName(name string) (v Version, ok bool) {
	digits, isJSON := strings.CutSuffix(name, ".json")
	if !isJSON || len(digits) != 20 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return Version(n), err == nil
}

// ParseCommitPath is the inverse of CommitPath; ok is false for any other path.
func ParseCommitPath(path string) (v Version, ok bool) {
	name, inLog := strings.CutPrefix(path, LogDir+"/")
	v, ok = ParseCommitName(name)
	return v, ok && inLog
}
