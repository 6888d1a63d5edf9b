package remote

import (
	"time"

	"github.com/pondworks/sluice/deltalog"
)

// Report says what one call did. After an error it says what was done before.
type Report struct {
	Mode string `json:"mode"` // push, init, pull
	// First and Last are the versions that this call moved, both inclusive;
	// meaningful only if Versions > 0.
	First deltalog.Version `json:"first_version"`
	Last  deltalog.Version `json:"last_version"`
	// Versions counts the versions that this call moved; of a push those below which
	// nothing is missing, also where it failed: others may have gone up ahead.
	Versions int `json:"versions"`
	// Present counts the versions of a push that another pusher, or an earlier
	// attempt, had stored already with the same content.
	Present int `json:"present"`
	// Remaining counts the versions that Options.MaxVersions or Options.Settle
	// left for the next push.
	Remaining int `json:"remaining"`
	// Files and Bytes count the table's files that moved, commits among them,
	// before compression.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Absent counts files that the source no longer had when their version was
	// pushed; the bundles record their paths.
	Absent int `json:"absent"`
	// Base is the version of the base that an init or a pull began with, or that
	// a push took, or found where it was to take one; nil if there was none.
	Base *deltalog.Version `json:"base,omitempty"`
	// Requests counts what was asked of the store.
	Requests Requests `json:"requests"`
	// Duration is the wall time of the call, in JSON in nanoseconds.
	Duration time.Duration `json:"duration_ns"`
}

// Requests counts requests to the store and the bytes of objects they moved,
// compressed, as this library issues them; an SDK may split large objects.
type Requests struct {
	Put      int64 `json:"put"`
	Get      int64 `json:"get"`
	List     int64 `json:"list"`
	Sent     int64 `json:"sent_bytes"`
	Received int64 `json:"received_bytes"`
}
