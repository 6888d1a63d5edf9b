package remote

import (
	"context"
	"sync"
	"time"
)

// lineage is that of the stores of a group: chosen once, when the first of them
// is made.
type lineage struct {
	turn chan struct{} // holds a token while nobody chooses
	id   string        // "" until it is chosen; only for who has the turn
}

func newLineage() *lineage {
	l := &lineage{turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

// lineagePatience is how long a new store waits for the others to tell their
// lineage: one that is down must not keep the others from being made.
const lineagePatience = 5 * time.Second

// choose returns the lineage of a new store: that of the stores which exist, else
// fresh, which is then that of all. Its error is that of ctx.
func (l *lineage) choose(ctx context.Context, members []*Replicator, fresh string) (string, error) {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { l.turn <- struct{}{} }()
	if l.id != "" {
		return l.id, nil
	}
	for _, id := range askLineages(ctx, members) {
		if id != "" {
			fresh = id
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return "", err // nobody may have had the time to answer
	}
	l.id = fresh
	return l.id, nil
}

// askLineages asks all stores at once: "" from those that do not exist, or do not
// answer.
func askLineages(ctx context.Context, members []*Replicator) []string {
	ctx, cancel := context.WithTimeout(ctx, lineagePatience)
	defer cancel()
	ids := make([]string, len(members))
	var asking sync.WaitGroup
	for i, r := range members {
		asking.Go(func() {
			id, err := r.newSession("push").readIdentity(ctx)
			if err != nil {
				r.log.Warn("the store cannot tell its lineage, that of new stores may differ from it", logError, opError("push", err))
			} else if id != nil {
				ids[i] = id.Lineage
			}
		})
	}
	asking.Wait()
	return ids
}
