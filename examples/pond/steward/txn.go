package steward

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/pond/pondfs"
)

// State says how far a transaction came.
type State string

// The states, as they stand in control/txn.
const (
	Begun     State = "begun" // running, or its process was killed
	Committed State = "committed"
	Failed    State = "failed"
)

// Txn is one transaction of this pond. Its number, txn_seq, counts whatever this
// pond did: commits of its own, versions that it pulled, changes of its
// configuration, attempts that failed. The version counts the commits of the
// table. So both grow, but not together.
type Txn struct {
	Seq     int64             `json:"txn_seq"`
	Version *deltalog.Version `json:"version,omitempty"` // nil: it made none
	State   State             `json:"state"`
	What    string            `json:"what"` // for people
	Time    time.Time         `json:"time"`
	Error   string            `json:"error,omitempty"`
	// SourceSeq is the txn_seq that the version has in the pond that committed
	// it; nil if that was this pond.
	SourceSeq *int64 `json:"source_txn_seq,omitempty"`
	// Runs are what the factories did after it; recorded on their own.
	Runs []Run `json:"runs,omitempty"`
}

func (t *Txn) info(pond string) pondfs.Info {
	return pondfs.Info{Pond: pond, TxnSeq: t.Seq, What: t.What}
}

func (p *Pond) txnFile(seq int64) string { return p.control("txn", fmt.Sprintf("%09d.json", seq)) }

// begin takes the next number for a transaction of our own.
func (p *Pond) begin(what string) (*Txn, error) {
	for {
		last, err := p.lastSeq()
		if err != nil {
			return nil, err
		}
		txn := &Txn{Seq: last + 1, State: Begun, What: what, Time: time.Now().UTC()}
		if err := p.claim(txn); !errors.Is(err, fs.ErrExist) {
			return txn, err
		}
	}
}

// claim records a transaction under its number. It wraps fs.ErrExist if another
// process was first.
func (p *Pond) claim(txn *Txn) error {
	b, err := json.Marshal(txn)
	if err != nil {
		return err
	}
	return createNew(p.txnFile(txn.Seq), b)
}

// finish records what came of a transaction and returns what went wrong with it.
func (p *Pond) finish(txn *Txn, version deltalog.Version, failure error) error {
	if errors.Is(failure, pondfs.ErrNoChange) {
		return errors.Join(failure, os.Remove(p.txnFile(txn.Seq))) // it never was one
	}
	txn.State, txn.Version = Committed, &version
	if failure != nil {
		txn.State, txn.Version, txn.Error = Failed, nil, failure.Error()
	}
	err := p.record(txn)
	if failure == nil && err != nil {
		// The commit is there and says which transaction made it: the next Open
		// records it.
		p.opts.Logger.Warn("the transaction could not be recorded", "txn_seq", txn.Seq, "err", err)
		return nil
	}
	return errors.Join(failure, err)
}

func (p *Pond) record(txn *Txn) error {
	b, err := json.Marshal(txn)
	if err != nil {
		return err
	}
	return replace(p.txnFile(txn.Seq), b)
}

// note records a transaction that changes only control/.
func (p *Pond) note(what string) (*Txn, error) {
	txn, err := p.begin(what)
	if err != nil {
		return nil, err
	}
	txn.State = Committed
	return txn, p.record(txn)
}

// lastSeq returns the highest number that is taken, 0 if none is.
func (p *Pond) lastSeq() (int64, error) {
	entries, err := os.ReadDir(p.control("txn"))
	if err != nil {
		return 0, err
	}
	var last int64
	for _, e := range entries {
		if seq, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), ".json"), 10, 64); err == nil {
			last = max(last, seq)
		}
	}
	return last, nil
}

// Txn returns one transaction. It wraps fs.ErrNotExist.
func (p *Pond) Txn(seq int64) (*Txn, error) {
	b, err := os.ReadFile(p.txnFile(seq))
	if err != nil {
		return nil, err
	}
	txn := new(Txn)
	if err := json.Unmarshal(b, txn); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; remove it: it is made again from the table", p.txnFile(seq), err)
	}
	return txn, nil
}

// Log returns all transactions, the oldest first, with the runs that followed
// each.
func (p *Pond) Log() ([]Txn, error) {
	last, err := p.lastSeq()
	if err != nil {
		return nil, err
	}
	runs, err := p.runsByTxn()
	if err != nil {
		return nil, err
	}
	var log []Txn
	for seq := int64(1); seq <= last; seq++ {
		txn, err := p.Txn(seq)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		txn.Runs = runs[seq]
		log = append(log, *txn)
	}
	return log, nil
}
