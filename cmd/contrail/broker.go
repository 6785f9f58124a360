package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/metrics"
	"github.com/contrailmq/contrail/broker/namesrv"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/broker/registrar"
	"github.com/contrailmq/contrail/broker/remoting"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/vfs"
	"github.com/contrailmq/contrail/tracing/telemetry"
)

// broker is the broker role.
type broker struct {
	svc   *service.Service
	front *remoting.Server
	notes *notes.Log
	store netip.AddrPort // what clients dial

	latency metrics.RPCLatency
}

func (n *node) startBroker(ctx context.Context) error {
	b := &broker{}
	n.broker = b
	var err error
	if b.store, err = n.conf.advertised(); err != nil {
		return err
	}
	if err := n.lockDir(); err != nil {
		return err
	}
	if b.notes, err = notes.Open(notes.Options{FS: vfs.OS{}, Dir: n.conf.notesDir()}); err != nil {
		return err
	}
	n.onStop(func(context.Context) error { return b.notes.Close() })
	began := time.Now()
	if b.svc, err = service.Open(ctx, n.serviceOptions()); err != nil {
		telemetry.Recovered(began, n.conf.logDir(), 0, err)
		return err
	}
	telemetry.Recovered(began, n.conf.logDir(), b.svc.Shard().Applied(), nil)
	n.onStop(func(context.Context) error { return b.svc.Close() })
	n.log.Info("log recovered", "dir", n.conf.logDir(), "took", time.Since(began).Round(time.Millisecond), "entry", b.svc.Shard().Applied())
	return n.startFront()
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

func (n *node) serviceOptions() service.Options {
	c, b := &n.conf, n.broker
	return service.Options{
		Cluster: c.Cluster, Broker: c.Broker, NodeID: c.Node, Version: version, Roles: c.Roles, NameServer: c.nameServers(b.store),
		StoreHost: b.store, FS: vfs.OS{}, Dir: c.logDir(), SegmentBytes: c.Log.SegmentBytes, Durable: c.Log.Ack == "fdatasync",
		RetentionAge: time.Duration(c.Log.KeepFor), RetentionBytes: c.Log.KeepBytes, MaxMessage: c.Log.MaxMessage,
		AutoCreateTopic: c.Log.AutoTopic, AutoCreateGroup: c.Log.AutoGroup, TraceTopic: c.Log.TraceTopic, Log: n.log,
		Delivered: b.delivered, Times: b.times, Happened: b.happened, Sealed: telemetry.Sealed,
	}
}

func (n *node) startFront() error {
	b := n.broker
	var err error
	b.front, err = remoting.Start(b.svc, remoting.Options{
		Cluster: n.conf.Cluster, Broker: n.conf.Broker, Listen: n.conf.Remoting.Listen, Log: n.log,
		BeforeWrite: b.notes.Flush, Answered: b.latency.Observe, Happened: b.groupHappened, Refused: newRefusals(b.notes).refused,
	})
	if err != nil {
		return fmt.Errorf("%w (remoting.listen)", err)
	}
	n.onStop(b.front.Shutdown)
	n.log.Info("broker listens", "address", b.front.Addr(), "clientsDial", b.store, "ack", n.conf.Log.Ack)
	if !strings.HasPrefix(n.conf.Remoting.Listen, "127.") {
		n.log.Warn("the broker has no access control yet: whoever reaches its port may send and consume", "address", n.conf.Remoting.Listen)
	}
	var servers []registrar.NameServer
	if n.names != nil {
		servers = append(servers, registrar.Local{Server: n.names})
	}
	for _, a := range n.conf.NameServer.Addresses {
		servers = append(servers, registrar.NewRemote(a))
	}
	m := namesrv.Member{Cluster: n.conf.Cluster, Broker: n.conf.Broker, Addr: b.store.String()}
	r := registrar.Start(m, servers, b.svc.Topics, n.log)
	b.svc.OnTopicChange(r.Changed)
	b.happened("start", "", "", "node "+n.conf.Node+" started, version "+version)
	n.onStop(func(context.Context) error {
		b.happened("stop", "", "", "node "+n.conf.Node+" stops")
		r.Close()
		return nil
	})
	return nil
}

// nameServers is what the console tells people to put into their clients.
func (c *config) nameServers(store netip.AddrPort) string {
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

func (b *broker) times(index uint64, formed, synced, answered int64) {
	b.notes.NoteEntryTimes(notes.EntryTimes{Index: index, AppendedMicros: formed, SyncedMicros: synced, CommittedMicros: answered, AckedMicros: answered})
}

func (b *broker) happened(kind, topic, group, text string) {
	b.notes.NoteHappening(&notes.Happening{AtMicros: time.Now().UnixMicro(), Kind: kind, Topic: topic, Group: group, Text: text, Count: 1})
}

func (b *broker) groupHappened(h group.Happening) {
	b.notes.NoteHappening(&notes.Happening{
		AtMicros: time.Now().UnixMicro(), Kind: h.Kind, Group: h.Group, Client: h.ClientID, Addr: h.Addr, Text: h.Text, Count: 1,
	})
}
