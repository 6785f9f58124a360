package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/grpcapi"
	"github.com/contrailmq/contrail/broker/namesrv"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/broker/registrar"
	"github.com/contrailmq/contrail/broker/remoting"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/vfs"
	"github.com/contrailmq/contrail/tracing/telemetry"
)

// broker is this node's member of one broker group.
type broker struct {
	name   string
	dir    string
	listen string
	svc    *service.Service
	front  atomic.Pointer[remoting.Server] // nil until its port is open: who asks a node may be faster than its start
	grpc   atomic.Pointer[grpcapi.Member]  // likewise
	notes  *notes.Log
	store  netip.AddrPort // what clients dial
	roll   atomic.Pointer[registrar.Registrar]

	registering sync.Mutex
	stops       []func(context.Context) error // of its parts, in the order of their start
	endShipper  func()                        // nil: nothing of it is shipped

	reigns  reigns
	ledTerm uint64 // in which this member led as far as was noted; the shard's loop owns it
}

func (n *node) startBrokers(ctx context.Context) error {
	if err := n.lockDir(); err != nil {
		return err
	}
	if n.conf.Replication.on() {
		return n.startMembers(ctx)
	}
	store, err := n.conf.advertised()
	if err != nil {
		return err
	}
	b := &broker{name: n.conf.Broker, dir: filepath.Join(n.conf.Dir, n.conf.Broker), listen: n.conf.Remoting.Listen, store: store}
	n.brokers.add(b)
	n.onStop(n.stopBrokers)
	if err := n.openBroker(ctx, b, n.serviceOptions(b)); err != nil {
		return err
	}
	return n.startFront(b)
}

// openBroker recovers a group's log.
func (n *node) openBroker(ctx context.Context, b *broker, o service.Options) error {
	var err error
	if b.notes, err = notes.Open(notes.Options{FS: vfs.OS{}, Dir: filepath.Join(b.dir, "notes")}); err != nil {
		return err
	}
	b.onStop(func(context.Context) error { return b.notes.Close() })
	began := time.Now()
	if b.svc, err = service.Open(ctx, o); err != nil {
		telemetry.Recovered(began, o.Dir, 0, err)
		return err
	}
	telemetry.Recovered(began, o.Dir, b.svc.Shard().Applied(), nil)
	b.onStop(func(context.Context) error { return b.svc.Close() })
	n.log.Info("log recovered", "dir", o.Dir, "took", time.Since(began).Round(time.Millisecond), "entry", b.svc.Shard().Applied())
	return nil
}

// lockDir makes sure that no second process uses the data folder.
func (n *node) lockDir() error {
	if err := (vfs.OS{}).MkdirAll(n.conf.Dir); err != nil {
		return fmt.Errorf("dir: %w", err)
	}
	lock, err := vfs.OS{}.Lock(filepath.Join(n.conf.Dir, "LOCK"))
	if err != nil {
		return fmt.Errorf("dir: %s: %w", n.conf.Dir, err)
	}
	n.onStop(func(context.Context) error { return lock.Close() })
	return nil
}

func (n *node) serviceOptions(b *broker) service.Options {
	c := &n.conf
	levels, _ := c.Timers.levels() // checked
	return service.Options{
		DelayLevels: levels, MaxDelay: time.Duration(c.Timers.MaxDelay), Aliases: c.Timers.Aliases, Transactions: c.Transactions.settings(c.Log.KeepFor),
		Cluster: c.Cluster, Broker: b.name, NodeID: c.Node, Version: version, Roles: c.Roles, NameServer: c.nameServers(b.store),
		StoreHost: b.store, FS: vfs.OS{}, Dir: filepath.Join(b.dir, "log"), SegmentBytes: c.Log.SegmentBytes, Durable: c.Log.Ack == "fdatasync",
		RetentionAge: time.Duration(c.Log.KeepFor), RetentionBytes: c.Log.KeepBytes, MaxMessage: c.Log.MaxMessage,
		AutoCreateTopic: c.Log.AutoTopic, AutoCreateGroup: c.Log.AutoGroup, TraceTopic: c.Log.TraceTopic, Log: n.log,
		Delivered: b.delivered, Times: b.times, Happened: b.happened, Progress: b.progress, Sealed: telemetry.Sealed,
	}
}

// portStats are the counters of the port, none when it is not open yet.
func (b *broker) portStats() *rpc.Stats {
	if front := b.front.Load(); front != nil {
		return front.Stats()
	}
	return new(rpc.Stats)
}

func (n *node) startFront(b *broker) error {
	refused := newRefusals(b.notes).refused
	front, err := remoting.Start(b.svc, remoting.Options{
		Cluster: n.conf.Cluster, Broker: b.name, Listen: b.listen, Log: n.log, Leader: n.leaderOf(b),
		BeforeWrite: b.notes.Flush, Answered: n.latency.Observe, Happened: b.groupHappened, Refused: refused,
		Whole: n,
	})
	if err != nil {
		return fmt.Errorf("%w (remoting.listen)", err)
	}
	b.front.Store(front)
	b.grpc.Store(n.grpcMember(b, refused))
	b.onStop(front.Shutdown)
	n.log.Info("broker listens", "broker", b.name, "address", front.Addr(), "clientsDial", b.store, "ack", n.conf.Log.Ack)
	if !strings.HasPrefix(b.listen, "127.") {
		n.log.Warn("the broker has no access control yet: whoever reaches its port may send and consume", "address", b.listen)
	}
	m := namesrv.Member{Cluster: n.conf.Cluster, Broker: b.name, Addr: b.store.String(), ID: b.svc.BrokerID(), Term: b.svc.Shard().Term()}
	roll := registrar.Start(m, n.nameServers(), b.svc.Topics, n.log)
	b.roll.Store(roll)
	b.svc.OnTopicChange(roll.Changed)
	first := b == n.brokers.first() // a node starts and stops once, however many groups it has a member of
	if first {
		b.happened("start", "", "", "node "+n.conf.Node+" started, version "+version)
	}
	b.onStop(func(context.Context) error {
		if first {
			b.happened("stop", "", "", "node "+n.conf.Node+" stops")
		}
		roll.Close()
		return nil
	})
	return nil
}

// nameServers are those that this node's brokers register with.
func (n *node) nameServers() (servers []registrar.NameServer) {
	if n.names != nil {
		servers = append(servers, registrar.Local{Server: n.names})
	}
	for _, a := range n.conf.NameServer.Addresses {
		servers = append(servers, registrar.NewRemote(a))
	}
	return servers
}

// nameServers is what the console tells people to put into their clients.
func (c *config) nameServers(store netip.AddrPort) string {
	if c.Replication.on() {
		var all []string
		for _, n := range c.Replication.Nodes {
			all = append(all, n.NameServer)
		}
		return strings.Join(all, ";")
	}
	if !c.is(roleNamesrv) {
		return strings.Join(c.NameServer.Addresses, ";")
	}
	_, port, _ := net.SplitHostPort(c.NameServer.Listen)
	return net.JoinHostPort(store.Addr().String(), port)
}

// delivered notes what an answer hands out; the front flushes before it writes the answer.
func (b *broker) delivered(d *service.Delivery) {
	n := notes.Delivery{
		Topic: d.Topic, Group: d.Group, Client: d.Identity.ClientID, Language: d.Identity.Language, Version: d.Identity.Version,
		Subscription: d.Subscription, QueueID: d.QueueID, From: d.From, To: d.To, RequestedMicros: d.RequestedMicros,
		SentMicros: d.SentMicros, WaitedMicros: d.WaitedMicros, Messages: uint32(d.Messages), Filtered: uint32(d.Filtered),
		Bytes: uint64(d.Bytes), Attempt: 1, Skipped: d.Skipped,
	}
	if d.Client != nil {
		n.Addr, n.Protocol = d.Client.AddrText(), d.Client.Protocol
	}
	b.notes.NoteDelivery(&n)
}

func (b *broker) times(index uint64, formed, synced, committed, answered int64, slowest uint64) {
	b.notes.NoteEntryTimes(notes.EntryTimes{
		Index: index, AppendedMicros: formed, SyncedMicros: synced, CommittedMicros: committed, AckedMicros: answered, Slowest: slowest,
	})
}

func (b *broker) happened(kind, topic, group, text string) {
	b.notes.NoteHappening(&notes.Happening{AtMicros: time.Now().UnixMicro(), Kind: kind, Topic: topic, Group: group, Text: text, Count: 1})
}

func (b *broker) groupHappened(h group.Happening) {
	b.notes.NoteHappening(&notes.Happening{
		AtMicros: time.Now().UnixMicro(), Kind: h.Kind, Group: h.Group, Client: h.ClientID, Addr: h.Addr, Text: h.Text, Count: 1,
	})
}

var errNoBroker = errors.New("this node has no broker")
