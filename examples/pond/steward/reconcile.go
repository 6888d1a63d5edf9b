package steward

import (
	"context"
	"errors"
	"io/fs"

	"github.com/pondworks/sluice/deltalog"
)

// settled is how many of the newest versions must all be recorded before older
// ones are believed to be. Transactions that run at the same time take their numbers
// and their versions in different orders, so one that was killed may be missing
// below others that are there.
const settled = 32

// reconcile records, as a transaction each, the versions of the table that no
// transaction has: those that a pull applied, those of a process that was killed
// before it could record its own, and all of them if control/ was lost.
//
// Of several processes that do this at once exactly one records a version: who
// takes number n has seen all records below n, or failed to take it and looks
// again.
func (p *Pond) reconcile(ctx context.Context) error {
	for {
		seq, missing, err := p.missing(ctx)
		if err != nil || len(missing) == 0 {
			return err
		}
		for _, v := range missing {
			var taken bool
			if taken, err = p.recordVersion(ctx, seq+1, v); err != nil {
				break
			}
			if taken {
				seq++
			}
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

// missing returns the versions that no transaction has, in their order, and the
// highest transaction number.
func (p *Pond) missing(ctx context.Context) (seq int64, missing []deltalog.Version, err error) {
	tip, err := p.FS.Table().Tip(ctx)
	if err != nil {
		return 0, nil, err
	}
	start, err := p.FS.Table().Start(ctx)
	if err != nil {
		return 0, nil, err
	}
	if seq, err = p.lastSeq(); err != nil {
		return 0, nil, err
	}
	known := map[deltalog.Version]bool{}
	unbroken := tip // every version above it is known
	for s := seq; s > 0; s-- {
		txn, err := p.Txn(s)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		if txn.Version != nil {
			known[*txn.Version] = true
		}
		for known[unbroken] {
			unbroken--
		}
		if unbroken < start || unbroken <= tip-settled {
			return seq, nil, nil
		}
	}
	for v := start; v <= tip; v++ {
		if !known[v] {
			missing = append(missing, v)
		}
	}
	return seq, missing, nil
}

// recordVersion completes the transaction that made a version, if it was one of
// ours, or takes number seq for it. It wraps fs.ErrExist if that is taken.
func (p *Pond) recordVersion(ctx context.Context, seq int64, v deltalog.Version) (taken bool, err error) {
	info, made, err := p.FS.Info(ctx, v)
	if err != nil {
		return false, err
	}
	if info.Pond == p.ID {
		txn, err := p.Txn(info.TxnSeq)
		if errors.Is(err, fs.ErrNotExist) {
			return false, p.claim(&Txn{Seq: info.TxnSeq, Version: &v, State: Committed, What: info.What, Time: made.UTC()})
		}
		if err != nil {
			return false, err
		}
		switch {
		case txn.Version == nil:
			txn.State, txn.Version, txn.Error = Committed, &v, ""
			return false, p.record(txn)
		case *txn.Version == v: // recorded by itself, since missing looked
			return false, nil
		}
		// A copy of this pond went its own way, and made v.
	}
	txn := &Txn{Seq: seq, Version: &v, State: Committed, What: info.What, Time: made.UTC()}
	if info.TxnSeq > 0 {
		txn.SourceSeq = &info.TxnSeq
	}
	return true, p.claim(txn)
}
