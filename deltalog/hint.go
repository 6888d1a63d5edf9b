package deltalog

import (
	"encoding/json"
	"io"
)

// hintPath is where readers look first for the newest checkpoint (Delta
// protocol, "Last Checkpoint File").
const hintPath = LogDir + "/_last_checkpoint"

// hint is what that file says. Readers take the number of parts for granted.
type hint struct {
	Version  Version `json:"version"`
	Size     int64   `json:"size"`            // actions in the checkpoint
	Parts    int     `json:"parts,omitempty"` // files of a multi-part checkpoint
	Bytes    int64   `json:"sizeInBytes,omitempty"`
	AddFiles int64   `json:"numOfAddFiles,omitempty"`
}

// maxHint bounds, in bytes, what is read of the hint file; it holds a few
// numbers and at most a schema.
const maxHint = 16 << 20

// readHint reads the hint file. One that makes no sense is as good as none: it
// is only a hint.
func readHint(r io.Reader) (h hint, err error) {
	b, err := io.ReadAll(io.LimitReader(r, maxHint))
	if err != nil {
		return hint{}, err
	}
	if json.Unmarshal(b, &h) != nil {
		return hint{}, nil
	}
	return h, nil
}
