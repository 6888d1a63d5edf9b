package telemetry_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	otrace "go.opentelemetry.io/otel/trace"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/remote/telemetry"
	"github.com/pondworks/sluice/storage"
)

// flaky is a store that can be down, and notes the spans that it is called within.
type flaky struct {
	storage.Store
	down   atomic.Bool
	inSpan atomic.Int64
}

func (s *flaky) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if otrace.SpanContextFromContext(ctx).IsValid() {
		s.inSpan.Add(1)
	}
	if s.down.Load() {
		return fmt.Errorf("%w: down", storage.ErrDenied) // not worth a retry
	}
	return s.Store.Create(ctx, key, r, size)
}

func commit(t *testing.T, dir string, v deltalog.Version, at time.Time) {
	t.Helper()
	text := `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":[],"configuration":{}}}
`
	name := filepath.Join(dir, v.CommitPath())
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	require.NoError(t, os.Chtimes(name, at, at))
}

// sums are the values of all metrics by name and attributes.
func sums(t *testing.T, reader *metric.ManualReader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	values := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		require.Equal(t, "github.com/pondworks/sluice/remote", scope.Scope.Name)
		for _, m := range scope.Metrics {
			key := func(set attribute.Set) string { return m.Name + " " + set.Encoded(attribute.DefaultEncoder()) }
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					values[key(p.Attributes)] += float64(p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					values[key(p.Attributes)] = float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					values[key(p.Attributes)] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					values[key(p.Attributes)] += float64(p.Count)
				}
			default:
				t.Errorf("%s: %T", m.Name, data)
			}
		}
	}
	return values
}

func TestMetricsAndSpans(t *testing.T) {
	reader, spans := metric.NewManualReader(), tracetest.NewSpanRecorder()
	tel, err := telemetry.New(&telemetry.Options{
		Meters:  metric.NewMeterProvider(metric.WithReader(reader)),
		Tracers: trace.NewTracerProvider(trace.WithSpanProcessor(spans)),
	})
	require.NoError(t, err)
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	dir, store := t.TempDir(), &flaky{Store: storage.NewMemory()}
	table, err := deltalog.OpenDir(dir)
	require.NoError(t, err)
	name := attribute.String("table", "pond")
	rep, err := remote.New(table, store, &remote.Options{Observe: tel.Observe(name), Clock: func() time.Time { return now }})
	require.NoError(t, err)
	stop, err := tel.WatchLag(rep, name)
	require.NoError(t, err)

	commit(t, dir, 0, now.Add(-time.Hour))
	commit(t, dir, 1, now.Add(-time.Minute))
	got := sums(t, reader)
	require.InDelta(t, 2, got["sluice.lag.versions sluice.op=push,table=pond"], 0)
	require.InDelta(t, 3600, got["sluice.lag.age sluice.op=push,table=pond"], 0)
	report, err := rep.Push(t.Context())
	require.NoError(t, err)
	got = sums(t, reader)
	for key, want := range map[string]float64{
		"sluice.calls sluice.op=push,table=pond":                                     1,
		"sluice.call.duration sluice.op=push,table=pond":                             1,
		"sluice.versions sluice.op=push,table=pond":                                  2,
		"sluice.bytes sluice.op=push,table=pond":                                     float64(report.Bytes),
		"sluice.requests sluice.op=push,sluice.request=put,table=pond":               float64(report.Requests.Put),
		"sluice.store.bytes network.io.direction=transmit,sluice.op=push,table=pond": float64(report.Requests.Sent),
		"sluice.store.bytes network.io.direction=receive,sluice.op=push,table=pond":  float64(report.Requests.Received),
		"sluice.files.absent sluice.op=push,table=pond":                              0,
		"sluice.lag.versions sluice.op=push,table=pond":                              0,
		"sluice.lag.bytes sluice.op=push,table=pond":                                 0,
		"sluice.lag.age sluice.op=push,table=pond":                                   0,
	} {
		is, there := got[key]
		require.True(t, there, "%s in %v", key, got)
		require.InDelta(t, want, is, 0, key)
	}
	require.NotZero(t, store.inSpan.Load(), "the store is called within the span")

	store.down.Store(true)
	commit(t, dir, 2, now.Add(-30*time.Second))
	_, err = rep.Push(t.Context())
	require.ErrorIs(t, err, remote.ErrDenied)
	got = sums(t, reader)
	require.InDelta(t, 1, got["sluice.calls error.type=denied,sluice.op=push,table=pond"], 0)
	require.InDelta(t, 1, got["sluice.lag.versions sluice.op=push,table=pond"], 0)
	require.InDelta(t, 30, got["sluice.lag.age sluice.op=push,table=pond"], 0)

	ended := spans.Ended()
	require.Len(t, ended, 2)
	require.Equal(t, "sluice push", ended[0].Name())
	require.Contains(t, ended[0].Attributes(), attribute.Int("sluice.versions", 2))
	require.Contains(t, ended[0].Attributes(), attribute.Int64("sluice.version.last", 1))
	require.Equal(t, codes.Unset, ended[0].Status().Code)
	require.Equal(t, codes.Error, ended[1].Status().Code)
	require.Contains(t, ended[1].Attributes(), attribute.String("error.type", "denied"))

	require.NoError(t, stop())
	_, watched := sums(t, reader)["sluice.lag.versions sluice.op=push,table=pond"]
	require.False(t, watched)
}

// Nothing is configured: everything goes nowhere.
func TestDefaultsAreTheGlobalProviders(t *testing.T) {
	tel, err := telemetry.New(nil)
	require.NoError(t, err)
	ctx, end := tel.Observe()(t.Context(), "pull")
	require.NotNil(t, ctx)
	end(remote.Report{}, remote.ErrGap)
}
