// Package telemetry reports what a remote.Replicator does to OpenTelemetry: metrics
// and a span for each call that moves versions. It knows the API packages of
// OpenTelemetry alone; which SDK and exporter there is, if any, is the host's choice. A
// host that does not import this package links none of it.
//
//	telemetry, err := telemetry.New(nil)
//	rep, err := remote.New(table, store, &remote.Options{Observe: telemetry.Observe()})
//	stop, err := telemetry.WatchLag(rep)
//
// The span of a call is named "sluice push" (init, pull, base) and is in the context
// of all that the call does, so that spans of the storage driver lie below it.
//
// Metrics, all with the attribute sluice.op and what the host adds:
//
//	sluice.calls           {call}     calls that ended; of those that failed error.type tells why
//	sluice.call.duration   s          how long they took, with error.type likewise
//	sluice.versions        {version}  versions that were moved
//	sluice.bytes           By         bytes of table files and commits that were moved, before compression
//	sluice.files.absent    {file}     files that were gone before they were pushed
//	sluice.requests        {request}  requests to the store; sluice.request is put, get or list
//	sluice.store.bytes     By         bytes of objects; network.io.direction is transmit or receive
//	sluice.lag.versions    {version}  versions of the table that are not in the store yet (WatchLag)
//	sluice.lag.bytes       By         bytes of these
//	sluice.lag.age         s          how long ago the oldest of them was committed
//
// error.type is one of diverged, conflict, gap, not_empty, empty_store, corrupt,
// too_large, unsupported, no_table, extra_hook, read_only, unsafe, denied, unavailable,
// canceled, other.
package telemetry

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/pondworks/sluice/remote"
)

// scope is the name of the instrumentation.
const scope = "github.com/pondworks/sluice/remote"

// Options of New; nil means the defaults.
type Options struct {
	// Meters and Tracers are where metrics and spans go. Default: the global ones.
	Meters  metric.MeterProvider
	Tracers trace.TracerProvider
}

// Telemetry holds the instruments. One serves any number of Replicators.
type Telemetry struct {
	meter  metric.Meter
	tracer trace.Tracer

	calls, versions, bytes, absent metric.Int64Counter
	requests, stored               metric.Int64Counter
	duration                       metric.Float64Histogram

	lagVersions, lagBytes metric.Int64ObservableGauge
	lagAge                metric.Float64ObservableGauge
}

// New makes the instruments.
func New(opts *Options) (*Telemetry, error) {
	meters, tracers := otel.GetMeterProvider(), otel.GetTracerProvider()
	if opts != nil && opts.Meters != nil {
		meters = opts.Meters
	}
	if opts != nil && opts.Tracers != nil {
		tracers = opts.Tracers
	}
	t := &Telemetry{meter: meters.Meter(scope), tracer: tracers.Tracer(scope)}
	return t, t.instruments()
}

func (t *Telemetry) instruments() error {
	var failed error
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := t.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		failed = errors.Join(failed, err)
		return c
	}
	gauge := func(name, unit, what string) metric.Int64ObservableGauge {
		g, err := t.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(what))
		failed = errors.Join(failed, err)
		return g
	}
	t.calls = counter("sluice.calls", "{call}", "Calls that ended")
	t.versions = counter("sluice.versions", "{version}", "Versions that were moved")
	t.bytes = counter("sluice.bytes", "By", "Bytes of table files and commits that were moved, before compression")
	t.absent = counter("sluice.files.absent", "{file}", "Files that were gone before they were pushed")
	t.requests = counter("sluice.requests", "{request}", "Requests to the store")
	t.stored = counter("sluice.store.bytes", "By", "Bytes of objects sent to and received from the store")
	t.lagVersions = gauge("sluice.lag.versions", "{version}", "Versions of the table that are not in the store yet")
	t.lagBytes = gauge("sluice.lag.bytes", "By", "Bytes of table files and commits that are not in the store yet")
	var err error
	t.duration, err = t.meter.Float64Histogram("sluice.call.duration", metric.WithUnit("s"), metric.WithDescription("How long calls took"))
	failed = errors.Join(failed, err)
	t.lagAge, err = t.meter.Float64ObservableGauge("sluice.lag.age", metric.WithUnit("s"), metric.WithDescription("How long ago the oldest version that is not in the store was committed"))
	return errors.Join(failed, err)
}

// Observe returns what Options.Observe of a Replicator takes. attrs, such as the
// table's name, are added to everything; their values should be few.
func (t *Telemetry) Observe(attrs ...attribute.KeyValue) remote.ObserveFunc {
	return func(ctx context.Context, op string) (context.Context, func(remote.Report, error)) {
		all := append([]attribute.KeyValue{attribute.String("sluice.op", op)}, attrs...)
		ctx, span := t.tracer.Start(ctx, "sluice "+op, trace.WithAttributes(all...))
		return ctx, func(r remote.Report, err error) {
			t.record(context.WithoutCancel(ctx), all, r, err)
			endSpan(span, r, err)
		}
	}
}

// record adds one call to the metrics.
func (t *Telemetry) record(ctx context.Context, attrs []attribute.KeyValue, r remote.Report, err error) {
	with := func(more ...attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(append(append([]attribute.KeyValue{}, attrs...), more...)...))
	}
	outcome := with()
	if err != nil {
		outcome = with(attribute.String("error.type", errorType(err)))
	}
	t.calls.Add(ctx, 1, outcome)
	t.duration.Record(ctx, r.Duration.Seconds(), outcome)
	t.versions.Add(ctx, int64(r.Versions), with())
	t.bytes.Add(ctx, r.Bytes, with())
	t.absent.Add(ctx, int64(r.Absent), with())
	for kind, n := range map[string]int64{"put": r.Requests.Put, "get": r.Requests.Get, "list": r.Requests.List} {
		t.requests.Add(ctx, n, with(attribute.String("sluice.request", kind)))
	}
	for direction, n := range map[string]int64{"transmit": r.Requests.Sent, "receive": r.Requests.Received} {
		t.stored.Add(ctx, n, with(attribute.String("network.io.direction", direction)))
	}
}

// endSpan says on the span what came of the call.
func endSpan(span trace.Span, r remote.Report, err error) {
	span.SetAttributes(
		attribute.Int("sluice.versions", r.Versions), attribute.Int64("sluice.bytes", r.Bytes), attribute.Int("sluice.files", r.Files),
		attribute.Int64("sluice.requests", r.Requests.Put+r.Requests.Get+r.Requests.List))
	if r.Versions > 0 {
		span.SetAttributes(attribute.Int64("sluice.version.first", int64(r.First)), attribute.Int64("sluice.version.last", int64(r.Last)))
	}
	if err != nil {
		span.RecordError(err)
		span.SetAttributes(attribute.String("error.type", errorType(err)))
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// WatchLag makes the gauges of lag tell that of a Replicator that pushes, with the same
// attributes as Observe, whenever metrics are collected, until stop is called. That
// reads the commits which are not in the store yet; the store itself is asked only if this
// process never did. Where the lag cannot be told the gauges say nothing, and the error
// goes to the error handler of OpenTelemetry.
func (t *Telemetry) WatchLag(r *remote.Replicator, attrs ...attribute.KeyValue) (stop func() error, err error) {
	with := metric.WithAttributeSet(attribute.NewSet(append([]attribute.KeyValue{attribute.String("sluice.op", "push")}, attrs...)...))
	registered, err := t.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		lag, err := r.Lag(ctx)
		if err != nil {
			return err
		}
		o.ObserveInt64(t.lagVersions, lag.Versions, with)
		o.ObserveInt64(t.lagBytes, lag.Bytes, with)
		o.ObserveFloat64(t.lagAge, lag.Age.Seconds(), with)
		return nil
	}, t.lagVersions, t.lagBytes, t.lagAge)
	if err != nil {
		return nil, err
	}
	return registered.Unregister, nil
}
