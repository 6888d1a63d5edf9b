package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/s3"
)

// soakRestart is after how many commits the pusher is a fresh process.
const soakRestart = 100

// TestSoak pushes many commits one by one to a real S3 server while two replicas
// follow. Every call keeps to the table "Requests" of docs/ARCHITECTURE.md, the
// server sees no request that no report counts, and nobody meets an error or has
// anything to warn of.
func TestSoak(t *testing.T) {
	commits, err := strconv.Atoi(os.Getenv("SLUICE_SOAK_COMMITS"))
	endpoint := os.Getenv("SLUICE_TEST_S3")
	if err != nil || endpoint == "" {
		t.Skip("SKIPPED: SLUICE_SOAK_COMMITS says how many commits, SLUICE_TEST_S3 where; .ci/run sets both, .ci/nightly more")
	}
	makeBucket(t, endpoint, os.Getenv("SLUICE_TEST_S3_BUCKET"))
	s := &soak{t: t, prefix: fmt.Sprintf("soak-%d", time.Now().UnixNano()), calls: map[string]int{}}
	server := s.serve(endpoint)
	source, table := filepath.Join(t.TempDir(), "source"), 0

	var pusher *remote.Replicator
	commit := func() {
		if table%soakRestart == 0 {
			pusher = s.replicator(server, source, "pusher", remote.Options{})
			s.fresh = true
		}
		writeTable(t, source, table, 1, 1000+table%1000)
		table++
		_, err := pusher.Push(t.Context())
		require.NoError(t, err)
		s.fresh = false
	}
	commit()
	var replicas []string
	var followers []*remote.Replicator
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	for _, name := range []string{"full", "live"} {
		opts := remote.Options{Mode: remote.ModeInit, SwitchToPull: true, SyncInterval: 200 * time.Millisecond, Durability: remote.DurabilityRelaxed}
		if name == "live" {
			opts.History, opts.SyncInterval = remote.HistoryLive, 2*time.Second
		}
		dir := filepath.Join(t.TempDir(), name)
		r := s.replicator(server, dir, name, opts)
		replicas, followers = append(replicas, dir), append(followers, r)
		running.Go(func() {
			if err := r.Follow(ctx); !errors.Is(err, context.Canceled) {
				s.complain("%s: follow: %v", name, err)
			}
		})
	}
	begun := time.Now()
	for table < commits {
		commit()
		if table%soakRestart != 0 && table != commits {
			continue
		}
		for _, r := range followers { // so that their pulls end, and others find nothing new
			require.NoError(t, r.WaitFor(t.Context(), deltalog.Version(table-1)))
		}
	}
	took := time.Since(begun)
	s.passes.Lock() // between two of them, so that all that was counted was sent
	stop()
	s.passes.Unlock()
	running.Wait()

	for _, dir := range replicas {
		for v := range commits {
			for _, name := range []string{fmt.Sprintf("part-%05d.parquet", v), deltalog.Version(v).CommitPath()} {
				want, err := os.ReadFile(filepath.Join(source, name))
				require.NoError(t, err)
				got, err := os.ReadFile(filepath.Join(dir, name))
				require.NoError(t, err)
				require.Equal(t, want, got, name)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Logf("%d commits in %s; calls: %v", commits, took.Round(time.Second), s.calls)
	t.Logf("reports count %+v; the server saw %+v", s.reported, s.seen)
	require.Empty(t, s.complaints)
	require.Equal(t, s.seen, s.reported)
}

// counts are requests by kind.
type counts struct{ Put, Get, List int64 }

// soak counts what is asked and what the calls say that they asked, and gathers
// what went wrong.
type soak struct {
	t      *testing.T
	prefix string
	fresh  bool             // the pusher's next call is its first
	base   deltalog.Version // that it took last

	passes sync.RWMutex // held to read during each call
	pushed atomic.Int64 // versions

	mu         sync.Mutex
	reported   counts
	seen       counts
	calls      map[string]int
	complaints []string
}

func (s *soak) complain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complaints = append(s.complaints, fmt.Sprintf(format, args...))
}

// serve counts the requests on their way to the server.
func (s *soak) serve(endpoint string) string {
	to, err := url.Parse(endpoint)
	require.NoError(s.t, err)
	proxy := httputil.NewSingleHostReverseProxy(to) // keeps the host, which is signed
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 32}
	proxy.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		if r.Context().Err() == nil {
			s.complain("%s %s: %v", r.Method, r.URL.Path, err)
		}
		w.WriteHeader(http.StatusBadGateway)
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy.ServeHTTP(w, r)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen.add(r)
	}))
	s.t.Cleanup(front.Close)
	return front.URL
}

func (c *counts) add(r *http.Request) {
	switch {
	case r.Method == http.MethodPut || r.Method == http.MethodPost:
		c.Put++
	case r.URL.Query().Has("list-type"):
		c.List++
	default:
		c.Get++
	}
}

// replicator is one side, whose calls are held against the budget.
func (s *soak) replicator(server, dir, name string, opts remote.Options) *remote.Replicator {
	store, err := storage.OpenConfig(s.t.Context(), storage.Config{
		Scheme: "s3", Bucket: os.Getenv("SLUICE_TEST_S3_BUCKET"), Prefix: s.prefix,
		Key: storage.NewSecret(os.Getenv("SLUICE_TEST_S3_KEY")), Secret: storage.NewSecret(os.Getenv("SLUICE_TEST_S3_SECRET")),
		Params: url.Values{"endpoint": {server}, "region": {"us-east-1"}},
	}, s3.Driver())
	require.NoError(s.t, err)
	table, err := deltalog.OpenDir(dir)
	require.NoError(s.t, err)
	opts.Logger = slog.New(slog.NewTextHandler(warnings{s, name}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	opts.Observe = func(ctx context.Context, op string) (context.Context, func(remote.Report, error)) {
		fresh := name == "pusher" && s.fresh
		s.passes.RLock()
		return ctx, func(r remote.Report, err error) {
			defer s.passes.RUnlock()
			if ctx.Err() != nil {
				return // it was stopped before it began
			}
			s.judge(name, op, fresh, r, err)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.reported.Put += r.Requests.Put
			s.reported.Get += r.Requests.Get
			s.reported.List += r.Requests.List
		}
	}
	r, err := remote.New(table, store, &opts)
	require.NoError(s.t, err)
	return r
}

// warnings take what a side logs as a warning for a complaint.
type warnings struct {
	s    *soak
	name string
}

func (w warnings) Write(line []byte) (int, error) {
	if !strings.Contains(string(line), context.Canceled.Error()) {
		w.s.complain("%s: %s", w.name, line)
	}
	return len(line), nil
}

// judge compares a call with the budget. What the first push of all and bases cost
// is told apart.
func (s *soak) judge(name, op string, fresh bool, r remote.Report, err error) {
	kind, versions := name+" "+op, int64(r.Versions)
	if op == "push" {
		s.pushed.Add(versions)
	}
	most := counts{}
	switch {
	case op == "push" && r.First == 0:
		kind, most = "first push", counts{Put: 5, Get: 3, List: 1}
	case op == "push" && r.Base != nil:
		since := int64(*r.Base - s.base) // of these it pushed some itself
		s.base = *r.Base
		kind, most = "push with a base", counts{Put: 3, Get: 3 + 2*since, List: 1 + versions + int64(r.Last)/500}
	case op == "push" && fresh:
		kind, most = "push, fresh process", counts{Put: 2, Get: 3}
	case op == "push":
		most = counts{Put: 2}
	case op == "init": // beside a pusher, whose head may not be there yet: then manifests tell
		most = counts{Get: versions + 3 + min(versions, 64), List: 1}
	case r.Requests.List > 0 && versions == 0: // it came further than the head, which was on its way: then it lists all
		kind, most = kind+" ahead of the head", counts{Get: 4, List: 1 + s.pushed.Load()/900}
	default:
		most = counts{Get: versions + 2}
	}
	got := r.Requests
	if err != nil || got.Put > most.Put || got.Get > most.Get || got.List > most.List {
		s.complain("%s: %+v, at most %+v: %v", kind, r, most, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[kind]++
}
