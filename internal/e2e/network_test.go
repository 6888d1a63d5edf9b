package e2e

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/badline"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/s3"
)

// network is an S3 service behind a bad line: that of SLUICE_TEST_S3, which
// .ci/run starts, else one in this process.
type network struct {
	*badline.Line
	via storage.Store // over the line
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	key, secret := os.Getenv("SLUICE_TEST_S3_KEY"), os.Getenv("SLUICE_TEST_S3_SECRET")
	endpoint := os.Getenv("SLUICE_TEST_S3")
	if endpoint == "" {
		server := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
		t.Cleanup(server.Close)
		endpoint, key, secret = server.URL, "key", "secret"
		t.Setenv("SLUICE_TEST_S3_KEY", key)
		t.Setenv("SLUICE_TEST_S3_SECRET", secret)
	}
	makeBucket(t, endpoint, "network")
	line, err := badline.New(strings.TrimPrefix(endpoint, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, line.Close()) })
	via, err := storage.OpenConfig(t.Context(), storage.Config{
		Scheme: "s3", Bucket: "network", Prefix: fmt.Sprintf("%s/%d", t.Name(), time.Now().UnixNano()),
		Key: storage.NewSecret(key), Secret: storage.NewSecret(secret),
		Params: url.Values{"endpoint": {"http://" + line.Addr()}},
	}, s3.Driver())
	require.NoError(t, err)
	return &network{line, via}
}

func (n *network) replicator(t *testing.T, dir string, opts *remote.Options) *remote.Replicator {
	t.Helper()
	table, err := deltalog.OpenDir(dir)
	require.NoError(t, err)
	r, err := remote.New(table, n.via, opts)
	require.NoError(t, err)
	return r
}

// insist runs a call again, in a new process as it were, until it succeeds: after a
// failure that is always safe, and it always gets on.
func insist(t *testing.T, call func() error) {
	t.Helper()
	var err error
	for range 30 {
		if err = call(); err == nil {
			return
		}
		require.ErrorIs(t, err, remote.ErrUnavailable)
	}
	require.NoError(t, err, "30 times")
}

// Connections are reset, now in a request and now in a reply: streams go on where
// they broke, or a bundle that is larger than what comes between two resets would
// never arrive.
func TestNetworkResets(t *testing.T) {
	n := newNetwork(t)
	source, replica := t.TempDir(), t.TempDir()
	n.Set(badline.Fault{Cut: 1_000_000})
	const versions, each, size = 24, 4, 100_000
	for from := 0; from < versions; from += each {
		writeTable(t, source, from, each, size)
		insist(t, func() error {
			_, err := n.replicator(t, source, nil).Push(t.Context())
			return err
		})
	}
	pushCuts := n.Fired()
	require.Positive(t, pushCuts)
	before := n.Carried()
	n.Set(badline.Fault{Cut: 150_000})
	insist(t, func() error {
		_, err := n.replicator(t, replica, nil).Init(t.Context())
		return err
	})
	requireSameFiles(t, source, replica)
	t.Logf("%d connections were cut under the pushes, %d under the init, which received %d bytes for %d", pushCuts, n.Fired()-pushCuts, n.Carried()-before, versions*size)
	require.Greater(t, n.Fired()-pushCuts, int64(versions*size/150_000/2))
}

// What changes on its way to a service of this machine, where no signature has its hash, its
// checksum tells: the service takes none of it, and the same push goes through later.
func TestNetworkChangesBytes(t *testing.T) {
	endpoint := os.Getenv("SLUICE_TEST_S3")
	if endpoint == "" {
		t.Skip("SKIPPED: SLUICE_TEST_S3 names no service that checks checksums; .ci/run starts one")
	}
	makeBucket(t, endpoint, "changed")
	server, err := url.Parse(endpoint)
	require.NoError(t, err)
	var changes atomic.Bool
	var changed, unsigned atomic.Int64
	changes.Store(true)
	line := httptest.NewServer(&httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(server)
		r.Out.Host = r.In.Host // which is signed
		if r.In.Header.Get("X-Amz-Checksum-Crc32") == "" {
			return
		}
		if r.In.Header.Get("X-Amz-Content-Sha256") == "UNSIGNED-PAYLOAD" {
			unsigned.Add(1)
		}
		if changes.Load() && r.In.ContentLength > 100_000 {
			changed.Add(1)
			r.Out.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.In.Body, 50_000), &flipped{r: r.In.Body}))
		}
	}})
	t.Cleanup(line.Close)
	for name, sizes := range map[string][]int{"one request": {1 << 20}, "parts": {6 << 20, 6 << 20, 6 << 20}} {
		t.Run(name, func(t *testing.T) {
			changes.Store(true)
			before, signedBefore := changed.Load(), unsigned.Load()
			source, replica := t.TempDir(), t.TempDir()
			for v, size := range sizes {
				writeTable(t, source, v, 1, size)
			}
			via, err := storage.OpenConfig(t.Context(), storage.Config{
				Scheme: "s3", Bucket: "changed", Prefix: fmt.Sprintf("%s/%d", t.Name(), time.Now().UnixNano()),
				Key: storage.NewSecret(os.Getenv("SLUICE_TEST_S3_KEY")), Secret: storage.NewSecret(os.Getenv("SLUICE_TEST_S3_SECRET")),
				Params: url.Values{"endpoint": {line.URL}},
			}, s3.Driver())
			require.NoError(t, err)
			n := network{via: via}
			_, err = n.replicator(t, source, nil).Push(t.Context())
			require.ErrorContains(t, err, "BadDigest")
			require.Greater(t, changed.Load(), before)
			require.Greater(t, unsigned.Load(), signedBefore)
			for info, err := range via.List(t.Context(), "backups/", "") {
				require.NoError(t, err)
				require.Fail(t, "something was stored", info.Key)
			}

			changes.Store(false)
			_, err = n.replicator(t, source, nil).Push(t.Context())
			require.NoError(t, err)
			_, err = n.replicator(t, replica, nil).Init(t.Context())
			require.NoError(t, err)
			requireSameFiles(t, source, replica)
		})
	}
}

// flipped is a reader whose first byte is another.
type flipped struct {
	r    io.Reader
	done bool
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if n > 0 && !f.done {
		p[0] ^= 1
		f.done = true
	}
	return n, err
}

func TestNetworkSlow(t *testing.T) {
	n := newNetwork(t)
	source, replica := t.TempDir(), t.TempDir()
	writeTable(t, source, 0, 10, 50_000)
	n.Set(badline.Fault{Latency: 2 * time.Millisecond, Rate: 4_000_000})
	_, err := n.replicator(t, source, nil).Push(t.Context())
	require.NoError(t, err)
	_, err = n.replicator(t, replica, nil).Init(t.Context())
	require.NoError(t, err)
	requireSameFiles(t, source, replica)
}

// calls are all that ask a store for something.
var calls = map[string]func(context.Context, *remote.Replicator) error{
	"push":        func(ctx context.Context, r *remote.Replicator) error { _, err := r.Push(ctx); return err },
	"init":        func(ctx context.Context, r *remote.Replicator) error { _, err := r.Init(ctx); return err },
	"pull":        func(ctx context.Context, r *remote.Replicator) error { _, err := r.Pull(ctx); return err },
	"base":        func(ctx context.Context, r *remote.Replicator) error { _, err := r.Base(ctx); return err },
	"status":      func(ctx context.Context, r *remote.Replicator) error { _, err := r.Status(ctx); return err },
	"wait":        func(ctx context.Context, r *remote.Replicator) error { return r.WaitFor(ctx, 1) },
	"follow":      func(ctx context.Context, r *remote.Replicator) error { return r.Follow(ctx) },
	"consolidate": func(ctx context.Context, r *remote.Replicator) error { _, err := r.Consolidate(ctx); return err },
	"prune": func(ctx context.Context, r *remote.Replicator) error {
		_, err := r.Prune(ctx, remote.PruneOptions{KeepVersions: 1})
		return err
	},
	"pin":    func(ctx context.Context, r *remote.Replicator) error { return r.Pin(ctx, "p", 0) },
	"repair": func(ctx context.Context, r *remote.Replicator) error { _, err := r.Repair(ctx, false); return err },
	"verify": func(ctx context.Context, r *remote.Replicator) error {
		_, err := r.Verify(ctx, remote.VerifyOptions{Data: true})
		return err
	},
	"versions": func(ctx context.Context, r *remote.Replicator) error {
		for _, err := range r.Versions(ctx) {
			if err != nil {
				return err
			}
		}
		return nil
	},
}

// A server that takes connections and says nothing holds no caller past its context,
// whatever the call; nor does one that hangs in the middle.
func TestNetworkHangs(t *testing.T) {
	n := newNetwork(t)
	source := t.TempDir()
	writeTable(t, source, 0, 3, 50_000)
	_, err := n.replicator(t, source, nil).Push(t.Context())
	require.NoError(t, err)
	writeTable(t, source, 3, 2, 50_000)
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			n.Set(badline.Fault{Freeze: 1})
			defer n.Set(badline.Fault{})
			fired := n.Fired()
			dir := source
			if name == "init" || name == "pull" {
				dir = t.TempDir()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			err := call(ctx, n.replicator(t, dir, nil))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotErrorIs(t, err, remote.ErrCorrupt)
			require.NotErrorIs(t, err, remote.ErrGap)
			require.Less(t, time.Since(began), 5*time.Second)
			require.Greater(t, n.Fired(), fired)
		})
	}
	replica := t.TempDir()
	for name, call := range map[string]func(context.Context) error{
		"push": func(ctx context.Context) error { return calls["push"](ctx, n.replicator(t, source, nil)) },
		"init": func(ctx context.Context) error { return calls["init"](ctx, n.replicator(t, replica, nil)) },
	} {
		n.Set(badline.Fault{Freeze: 60_000})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		require.ErrorIs(t, call(ctx), context.DeadlineExceeded, name)
		cancel()
	}
	n.Set(badline.Fault{})
	require.NoError(t, calls["push"](t.Context(), n.replicator(t, source, nil)))
	require.NoError(t, calls["init"](t.Context(), n.replicator(t, replica, nil)))
	requireSameFiles(t, source, replica)
}

// Both sides follow over a line that resets connections all the time.
func TestNetworkFollow(t *testing.T) {
	n := newNetwork(t)
	source, replica := t.TempDir(), t.TempDir()
	writeTable(t, source, 0, 1, 20_000)
	require.NoError(t, calls["push"](t.Context(), n.replicator(t, source, nil)))
	n.Set(badline.Fault{Cut: 100_000})
	pusher := n.replicator(t, source, nil)
	puller := n.replicator(t, replica, &remote.Options{Mode: remote.ModeInit, SwitchToPull: true, SyncInterval: 10 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for _, r := range []*remote.Replicator{pusher, puller} {
		go func() { ended <- r.Follow(ctx) }()
	}
	const versions = 15
	for v := 1; v < versions; v++ {
		writeTable(t, source, v, 1, 20_000)
		pusher.Notify()
		require.NoError(t, pusher.WaitFor(t.Context(), deltalog.Version(v)))
	}
	require.NoError(t, puller.WaitFor(t.Context(), versions-1))
	stop()
	for range 2 {
		require.ErrorIs(t, <-ended, context.Canceled)
	}
	require.Positive(t, n.Fired())
	requireSameFiles(t, source, replica)
}
