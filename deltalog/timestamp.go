package deltalog

import "time"

// CommitTimestamp returns the time that a commit states for itself, in
// milliseconds since 1970 UTC: its in-commit timestamp, else the modification
// time of its file (Delta protocol, "In-Commit Timestamps").
func CommitTimestamp(c *Commit, modified time.Time) int64 {
	if c.InCommitTimestamp != nil {
		return *c.InCommitTimestamp
	}
	return modified.UnixMilli()
}

// Monotone returns the time of a version as Delta counts it, given what its
// commit states (raw) and the time of the version before (previous), all in
// milliseconds since 1970 UTC. File times are made strictly increasing;
// in-commit timestamps are by their writers.
func Monotone(c *Commit, raw, previous int64) int64 {
	if c.InCommitTimestamp != nil {
		return raw
	}
	return max(raw, previous+1)
}
