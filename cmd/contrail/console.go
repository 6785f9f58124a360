package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/metrics"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/tracing/telemetry"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/server"
	"github.com/contrailmq/contrail/ui/web"
)

// consoleBroker is the broker as the console asks for it.
type consoleBroker struct {
	*service.Service
	connections func() int64
}

// InspectNode implements server.Broker: connections are the front's to count.
func (b consoleBroker) InspectNode() inspect.Node {
	n := b.Service.InspectNode()
	n.Connections = int(b.connections())
	return n
}

// Message implements server.Broker.
func (b consoleBroker) Message(_ context.Context, topic string, position int64) ([]byte, error) {
	raw, err := b.ViewByPosition(topic, position)
	if err != nil {
		return nil, err
	}
	return raw, nil
}

// Find implements server.Broker.
func (b consoleBroker) Find(ctx context.Context, topic, key string, unique bool) ([][]byte, error) {
	body, _, _, refused := b.Query(ctx, service.QueryRequest{Topic: topic, Key: key, Unique: unique, EndMillis: math.MaxInt64})
	if refused != nil {
		if refused.Code == service.CodeQueryNotFound {
			return nil, nil
		}
		return nil, refused
	}
	var out [][]byte
	for len(body) > 0 {
		v, err := message.Parse(body)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		body = body[len(v):]
	}
	return out, nil
}

func (n *node) startConsole() error {
	if len(n.brokers) == 0 {
		return errNoBroker
	}
	b := n.brokers[0]
	page, built := web.FS()
	if !built {
		n.log.Warn("this program was built without the console's page; the API is there (make build)")
	}
	var reader trail.Reader
	if n.trail != nil {
		reader = n.trail.store
	}
	m, err := n.metrics(b)
	if err != nil {
		return err
	}
	console, err := server.New(server.Options{
		Broker: consoleBroker{b.svc, b.front.Stats().Conns.Load}, Trail: reader, Static: page, Metrics: m.Handler(), Hosts: n.conf.Console.Hosts, Log: n.log, Version: version,
		Served: telemetry.Served,
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", n.conf.Console.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("console.listen: %w", err), console.Close())
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		n.log.Warn("the console has no access control yet: whoever reaches it can read messages", "address", l.Addr())
	}
	h := server.HTTPServer(console)
	go func() {
		if err := h.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			n.log.Error("the console ended", "err", err)
		}
	}()
	n.onStop(func(ctx context.Context) error { return errors.Join(console.Close(), h.Shutdown(ctx)) })
	n.log.Info("console listens", "page", "http://"+l.Addr().String()+"/")
	return nil
}

// metrics are this process's, in RocketMQ's names and our own.
func (n *node) metrics(b *broker) (*metrics.Metrics, error) {
	o := metrics.Options{Source: b.svc, Front: b.numbers, Latency: &b.latency, Version: version, Revision: revision()}
	if n.trail != nil {
		o.Trail = func() metrics.Trail {
			s := n.trail.store.Status()
			return metrics.Trail{
				StoreUp: s.StoreUp, ShippedToMicros: s.ShippedToMicros, LagMicros: s.LagMicros, LagEntries: s.LagEntries,
				RowsShipped: s.RowsShipped, RowsNotRecorded: s.RowsNotRecorded,
			}
		}
	}
	m, err := metrics.New(o)
	if err != nil {
		return nil, err
	}
	return m, m.Registerer().Register(n.own)
}

func (b *broker) numbers() metrics.Front {
	s := b.front.Stats()
	return metrics.Front{
		Connections: s.Conns.Load(), ConnectionsMax: rpc.ConnsMax, InboundBytes: s.Inbound.Load(), InboundBytesMax: rpc.InboundMax,
		HeldPulls: int64(b.svc.Held()), HeldPullsMax: service.PollsMax, PendingBytes: int64(b.svc.Shard().Pending()),
		PendingBytesMax: shard.PendingBytes, Accepted: s.Accepted.Load(), Refused: s.Refused.Load(), Malformed: s.Malformed.Load(),
		TimedOut: s.TimedOut.Load(), OverBudget: s.OverBudget.Load(), Stalled: s.Stalled.Load(), Frames: s.Frames.Load(),
		BytesIn: s.BytesIn.Load(), BytesOut: s.BytesOut.Load(), Writes: s.Writes.Load(),
	}
}
