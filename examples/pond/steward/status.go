package steward

import (
	"context"
	"time"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
)

// NodeStatus compares a pond with the store of one of its nodes.
type NodeStatus struct {
	Node  string `json:"node"`
	Mode  string `json:"mode"`
	Place string `json:"place"` // no secret in it
	remote.Status
	Bundles int64 `json:"bundles"`
	Stored  int64 `json:"stored_bytes"`
	// LastRun is nil if it never ran.
	LastRun *Run `json:"last_run,omitempty"`
	// Requests are those of all recorded runs, Month those of the last 30 days.
	Requests remote.Requests `json:"requests"`
	Month    remote.Requests `json:"requests_30_days"`
	// Billed says whether the place is one that sends bills; Cost is then about
	// what a month costs at Prices, in US dollars.
	Billed bool    `json:"billed"`
	Cost   float64 `json:"month_usd"`
	Prices Prices  `json:"assumed_prices"`
	// SyncInterval is what the configuration says, 0 if nothing.
	SyncInterval time.Duration `json:"sync_interval_ns"`
}

// Status looks at the pond, at a store of a node and at the records of past runs.
func (p *Pond) Status(ctx context.Context, n Node, s Store, prices Prices) (NodeStatus, error) {
	c, err := n.Config()
	if err != nil {
		return NodeStatus{}, err
	}
	st := NodeStatus{Node: n.Path, Mode: c.Mode.String(), Place: s.place.String(), SyncInterval: c.SyncInterval,
		Prices: prices, Billed: s.place.Scheme != "file" && s.place.Scheme != "mem"}
	if err := p.addRuns(&st, n, s); err != nil {
		return st, err
	}
	if st.Status, err = s.Replicator.Status(ctx); err != nil {
		return st, err
	}
	if err := addStored(ctx, &st, s.Replicator); err != nil {
		return st, err
	}
	if st.Billed {
		st.Cost = prices.month(st.Stored, st.Month)
	}
	return st, nil
}

// addRuns adds up the runs of a store. Those of no store are of a time when the node
// had only one, or of all, which could not be opened.
func (p *Pond) addRuns(st *NodeStatus, n Node, s Store) error {
	runs, err := p.Runs(n)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Store != "" && r.Store != s.place.String() {
			continue
		}
		st.LastRun = &r
		st.Requests = sum(st.Requests, r.Report.Requests)
		if time.Since(r.Time) < 30*24*time.Hour {
			st.Month = sum(st.Month, r.Report.Requests)
		}
	}
	return nil
}

// addStored adds up what is in the store.
func addStored(ctx context.Context, st *NodeStatus, r *remote.Replicator) error {
	bundle := deltalog.Version(-1)
	for v, err := range r.Versions(ctx) {
		if err != nil {
			return err
		}
		if v.Bundle != bundle { // it may carry several versions
			bundle = v.Bundle
			st.Bundles++
			st.Stored += v.Size
		}
	}
	return nil
}

// Prices are what a place takes, in US dollars.
type Prices struct {
	GigabyteMonth float64 `json:"usd_gb_month"`  // stored
	ThousandPuts  float64 `json:"usd_1000_puts"` // and lists
	ThousandGets  float64 `json:"usd_1000_gets"`
	GigabyteOut   float64 `json:"usd_gb_out"` // read
}

// ListPrices are those of S3 Standard in us-east-1, read from inside that region,
// where bytes are free.
var ListPrices = Prices{GigabyteMonth: 0.023, ThousandPuts: 0.005, ThousandGets: 0.0004}

// month is about what a month costs with so many bytes stored and such requests.
func (p Prices) month(stored int64, q remote.Requests) float64 {
	return float64(stored)/1e9*p.GigabyteMonth + float64(q.Put+q.List)/1000*p.ThousandPuts +
		float64(q.Get)/1000*p.ThousandGets + float64(q.Received)/1e9*p.GigabyteOut
}

// Preview is what the next push would send.
type Preview struct {
	Node     string           `json:"node"`
	Store    string           `json:"store,omitempty"` // where the node has several
	First    deltalog.Version `json:"first_version"`   // meaningful only if Versions > 0
	Last     deltalog.Version `json:"last_version"`
	Versions int64            `json:"versions"`
	Files    int              `json:"files"` // commits among them
	Bytes    int64            `json:"bytes"` // before compression
}

// Preview looks at what the next push to a store would send. It changes nothing.
func (p *Pond) Preview(ctx context.Context, s Store) (Preview, error) {
	pre := Preview{Node: s.Node, Store: s.Name}
	st, err := s.Replicator.Status(ctx)
	if err != nil || st.Ahead == 0 {
		return pre, err
	}
	pre.First, pre.Last, pre.Versions = *st.Local-deltalog.Version(st.Ahead)+1, *st.Local, st.Ahead
	for v := pre.First; v <= pre.Last; v++ {
		files, bytes, err := p.FS.NewIn(ctx, v)
		if err != nil {
			return pre, err
		}
		pre.Files += files
		pre.Bytes += bytes
	}
	return pre, nil
}
