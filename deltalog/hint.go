package deltalog

import (
	"context"
	"encoding/json"
	"io"
)

// LastCheckpointPath is where readers look first for the newest checkpoint,
// relative to the table's root (Delta protocol, "Last Checkpoint File").
const LastCheckpointPath = LogDir + "/_last_checkpoint"

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
	if json.Unmarshal(b, &h) != nil || h.Version < 0 {
		return hint{}, nil
	}
	return h, nil
}

// NextHint returns what the hint file should say once the checkpoint info is
// there, nil if it should stay as it is. A hint at a checkpoint that is not
// there would keep some engines from opening the table, so one that leads
// nowhere is replaced, and the caller writes it last of all.
func NextHint(ctx context.Context, log LogFiles, info CheckpointInfo) ([]byte, error) {
	last, err := ReadLastCheckpoint(ctx, log)
	if err != nil {
		return nil, err
	}
	if last > info.Version {
		l, err := listFrom(ctx, log, last)
		if err != nil || l.hasCheckpoint(last) {
			return nil, err
		}
	}
	return json.Marshal(hint{Version: info.Version, Size: info.Actions, Bytes: info.Size, AddFiles: info.AddFiles})
}
