package deltalog

import "time"

// CommitTimestamp returns the time that a commit states for itself, in
// milliseconds since 1970 UTC: its in-commit timestamp, else the modification
// time of its file (Delta protocol, "In-Commit Timestamps").
//
// Whether the table enables in-commit timestamps, its state says and not a
// commit alone. So a commit that states one is believed, even in a table that
// does not enable them, where engines go by the file; unless it is no time
// between the years 1970 and 9999.
func CommitTimestamp(c *Commit, modified time.Time) int64 {
	if statesTime(c) {
		return *c.InCommitTimestamp
	}
	return modified.UnixMilli()
}

// Monotone returns the time of a version as Delta counts it, given what its
// commit states (raw, of CommitTimestamp) and the time of the version before
// (previous), all in milliseconds since 1970 UTC. File times are made strictly
// increasing; in-commit timestamps are by their writers.
func Monotone(c *Commit, raw, previous int64) int64 {
	if statesTime(c) {
		return raw
	}
	return max(raw, previous+1)
}

// endOfTimes is the year 10000, in milliseconds: a time in JSON cannot have it
// (RFC 3339).
const endOfTimes = 253_402_300_800_000

func statesTime(c *Commit) bool {
	ms := c.InCommitTimestamp
	return ms != nil && *ms >= 0 && *ms < endOfTimes
}
