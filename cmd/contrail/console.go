package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/metrics"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/tracing/telemetry"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
	"github.com/contrailmq/contrail/ui/server"
	"github.com/contrailmq/contrail/ui/web"
)

func (n *node) startConsole() error {
	if n.brokers.first() == nil {
		return errNoBroker
	}
	b := consoleBroker{n.brokers.all, n.memberAddr}
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
	l, err := net.Listen("tcp", n.conf.Console.Listen)
	if err != nil {
		return fmt.Errorf("console.listen: %w", err)
	}
	tools := admin{n.home().store.String()}
	console, err := server.New(server.Options{
		Broker: b, Cluster: consoleAdmin{n, tools}, Operator: consoleOperator{b, tools}, NoChanges: n.noChanges(l.Addr()), Trail: reader, Static: page, Metrics: m.Handler(), Hosts: n.conf.Console.Hosts, Log: n.log, Version: version,
		Served: telemetry.Served,
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if !onLoopback(l.Addr()) {
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

func onLoopback(addr net.Addr) bool {
	a, ok := addr.(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// noChanges says why the console changes nothing; "": it does.
func (n *node) noChanges(addr net.Addr) string {
	switch allow := n.conf.Console.AllowChanges; {
	case !n.conf.Console.Actions:
		return "console.actions is false: it is read-only"
	case allow != nil && !*allow:
		return "console.allowChanges is false"
	case allow == nil && !onLoopback(addr):
		return fmt.Sprintf("it listens on %s, where anybody may reach it, and there is no access control yet; console.allowChanges is not set", addr)
	}
	return ""
}

// consoleAdmin changes the cluster for the console, as the commands do.
type consoleAdmin struct {
	n *node
	admin
}

// Cluster and the like implement server.Cluster.
func (c consoleAdmin) Cluster() inspect.Cluster                  { return c.n.Cluster() }
func (c consoleAdmin) Change(change inspect.ClusterChange) error { return c.change(change) }
func (c consoleAdmin) MoveLeader(group string, member uint64) error {
	return c.moveLeader(group, member)
}
func (c consoleAdmin) ChangeMembers(group string, add, remove uint64) error {
	return c.members(group, add, remove)
}
func (c consoleAdmin) ChangeQueues(topic string, q api.QueuesChange) ([]string, error) {
	return c.topic(topic, queues{Read: q.Read, Write: q.Write, Groups: q.Groups})
}

// metrics are this process's, in RocketMQ's names and our own.
func (n *node) metrics(b consoleBroker) (*metrics.Metrics, error) {
	o := metrics.Options{Source: b, Front: n.frontNumbers, Latency: &n.latency, Waiting: b.waiting, Version: version, Revision: revision()}
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

// frontNumbers adds up the ports of all broker groups.
func (n *node) frontNumbers() (sum metrics.Front) {
	for _, b := range n.brokers.all() {
		s := b.portStats()
		sum.Connections += s.Conns.Load()
		sum.ConnectionsMax += rpc.ConnsMax
		sum.InboundBytes += s.Inbound.Load()
		sum.InboundBytesMax += rpc.InboundMax
		sum.HeldPulls += int64(b.svc.Held())
		sum.HeldPullsMax += service.PollsMax
		sum.PendingBytes += int64(b.svc.Shard().Pending())
		sum.PendingBytesMax += shard.PendingBytes
		sum.Accepted += s.Accepted.Load()
		sum.Refused += s.Refused.Load()
		sum.Malformed += s.Malformed.Load()
		sum.TimedOut += s.TimedOut.Load()
		sum.OverBudget += s.OverBudget.Load()
		sum.Stalled += s.Stalled.Load()
		sum.Frames += s.Frames.Load()
		sum.BytesIn += s.BytesIn.Load()
		sum.BytesOut += s.BytesOut.Load()
		sum.Writes += s.Writes.Load()
	}
	return sum
}

// memberAddr is what clients dial for a member of a broker group.
func (n *node) memberAddr(group string, member uint64) string {
	if r := &n.conf.Replication; r.on() {
		if p := r.node(member); p != nil && p.Brokers[group] != "" {
			return p.Brokers[group]
		}
		g, _ := n.plan().Group(group)
		return g.Addrs[member]
	}
	return n.brokers.first().store.String()
}
