package grpcapi

import (
	"context"
	"testing"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestCallsAreCounted by method and status, under the names of gRFC A66.
func TestCallsAreCounted(t *testing.T) {
	reader := metric.NewManualReader()
	m, err := newMeters(metric.NewMeterProvider(metric.WithReader(reader)))
	if err != nil {
		t.Fatal(err)
	}
	call := func(name string, err error) {
		_, _ = m.unary(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: name}, func(context.Context, any) (any, error) { return nil, err })
	}
	call(pb.MessagingService_SendMessage_FullMethodName, nil)
	call(pb.MessagingService_SendMessage_FullMethodName, nil)
	call(pb.MessagingService_SendMessage_FullMethodName, status.Error(codes.DeadlineExceeded, ""))
	call(pb.MessagingService_AckMessage_FullMethodName, context.Canceled)
	call("/somebody.Else/Calls", nil)
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, one := range all.ScopeMetrics[0].Metrics {
		switch d := one.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				method, _ := p.Attributes.Value("grpc.method")
				got[one.Name+" "+method.AsString()] = p.Value
			}
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				method, _ := p.Attributes.Value("grpc.method")
				code, _ := p.Attributes.Value("grpc.status")
				got[one.Name+" "+method.AsString()+" "+code.AsString()] = int64(p.Count)
			}
		}
	}
	want := map[string]int64{
		"grpc.server.call.started apache.rocketmq.v2.MessagingService/SendMessage":                    3,
		"grpc.server.call.started apache.rocketmq.v2.MessagingService/AckMessage":                     1,
		"grpc.server.call.started other":                                                              1,
		"grpc.server.call.duration apache.rocketmq.v2.MessagingService/SendMessage OK":                2,
		"grpc.server.call.duration apache.rocketmq.v2.MessagingService/SendMessage DEADLINE_EXCEEDED": 1,
		"grpc.server.call.duration apache.rocketmq.v2.MessagingService/AckMessage CANCELLED":          1,
		"grpc.server.call.duration other OK":                                                          1,
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: %d, expected %d", name, got[name], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
}
