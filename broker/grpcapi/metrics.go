package grpcapi

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// meters are grpc's own metrics of a server's calls, under the names and with the attributes of gRFC A66: grpc.server.call.started and
// grpc.server.call.duration. grpc-go's plugin makes attributes for each call and counts each message's bytes, which is a fifth of what a send costs here: the
// sizes are left out, the attributes are made once.
type meters struct {
	methods  map[string]*method
	duration metric.Float64Histogram
}

// method is one of the service's; others are counted as one.
type method struct {
	name    string
	started atomic.Int64
	ended   [codes.Unauthenticated + 1][]metric.RecordOption // by status
}

const otherMethod = "other"

// callSeconds are the bounds that A66 gives.
var callSeconds = []float64{
	0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1,
	0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 2, 5, 10, 20, 50, 100,
}

func newMeters(p metric.MeterProvider) (*meters, error) {
	m := &meters{methods: map[string]*method{}}
	for _, d := range pb.MessagingService_ServiceDesc.Methods {
		m.add(pb.MessagingService_ServiceDesc.ServiceName + "/" + d.MethodName)
	}
	for _, d := range pb.MessagingService_ServiceDesc.Streams {
		m.add(pb.MessagingService_ServiceDesc.ServiceName + "/" + d.StreamName)
	}
	m.add(otherMethod)
	meter := p.Meter("grpc-go", metric.WithInstrumentationVersion(grpc.Version))
	var err error
	if m.duration, err = meter.Float64Histogram("grpc.server.call.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(callSeconds...),
		metric.WithDescription("End-to-end time taken to complete a call from server transport's perspective.")); err != nil {
		return nil, fmt.Errorf("gRPC metrics: %w", err)
	}
	_, err = meter.Int64ObservableCounter("grpc.server.call.started", metric.WithUnit("{call}"), metric.WithDescription("Number of server calls started."), metric.WithInt64Callback(m.observe))
	if err != nil {
		return nil, fmt.Errorf("gRPC metrics: %w", err)
	}
	return m, nil
}

func (m *meters) add(name string) {
	k := &method{name: name}
	for code := range k.ended {
		k.ended[code] = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("grpc.method", name), attribute.String("grpc.status", canonical(codes.Code(code)))))}
	}
	m.methods["/"+name] = k
}

// canonical is a code's name in gRPC's specification: DEADLINE_EXCEEDED, say.
func canonical(c codes.Code) string {
	if c == codes.OK {
		return "OK"
	}
	var b strings.Builder
	for i, r := range c.String() {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	if c == codes.Canceled {
		return "CANCELLED"
	}
	return strings.ToUpper(b.String())
}

func (m *meters) observe(_ context.Context, o metric.Int64Observer) error {
	for _, k := range m.methods {
		if n := k.started.Load(); n > 0 {
			o.Observe(n, metric.WithAttributes(attribute.String("grpc.method", k.name)))
		}
	}
	return nil
}

func (m *meters) begin(name string) (*method, time.Time) {
	k := m.methods[name]
	if k == nil {
		k = m.methods["/"+otherMethod]
	}
	k.started.Add(1)
	return k, time.Now()
}

func (m *meters) end(ctx context.Context, k *method, began time.Time, err error) {
	st, ok := status.FromError(err)
	if !ok { // what the library makes of a handler's error
		st = status.FromContextError(err)
	}
	code := min(st.Code(), codes.Unauthenticated)
	m.duration.Record(ctx, time.Since(began).Seconds(), k.ended[code]...)
}

func (m *meters) unary(ctx context.Context, r any, i *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	k, began := m.begin(i.FullMethod)
	a, err := handle(ctx, r)
	m.end(ctx, k, began, err)
	return a, err
}

func (m *meters) stream(srv any, g grpc.ServerStream, i *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	k, began := m.begin(i.FullMethod)
	err := handle(srv, g)
	m.end(g.Context(), k, began, err)
	return err
}
