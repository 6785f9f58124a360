package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/identity"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/broker/plan"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/transport"
	"github.com/contrailmq/contrail/broker/vfs"
	"github.com/contrailmq/contrail/tracing/trail"
)

const (
	balanceEvery = time.Second
	settledFor   = 5 * time.Second // that a node must be heard of before it gets its group back
	handOverFor  = 3 * time.Second // that a stop waits for others to lead
)

// members is this node's part in the cluster.
type members struct {
	net    *transport.Transport
	groups atomic.Pointer[map[string]*broker] // that take messages
	trail  atomic.Pointer[trailStore]         // whose engine other nodes may use
	who    *identity.Identity
}

// startMembers opens this node's member of every broker group, then lets the nodes talk.
func (n *node) startMembers(ctx context.Context) error {
	r := &n.conf.Replication
	key, err := r.key()
	if err != nil {
		return err
	}
	who, err := identity.Open(vfs.OS{}, n.conf.Dir, r.ID)
	if err != nil {
		return err
	}
	m := &members{}
	m.groups.Store(&map[string]*broker{})
	n.members = m
	m.net, err = transport.Start(transport.Options{
		Cluster: n.conf.Cluster, Node: r.ID, Incarnation: who.Incarnation(), Listen: r.node(r.ID).Listen, Key: key, Vet: who.Vet,
		Message: m.message, Aside: m.aside, Unreachable: m.unreachable, Stream: n.serveStream, Log: n.log,
	})
	if err != nil {
		return fmt.Errorf("%w (replication.nodes: listen)", err)
	}
	n.onStop(func(context.Context) error { return m.net.Close() })
	m.who = who
	if err := n.agreed.load(n.conf.Dir); err != nil {
		return err
	}
	n.onStop(n.stopBrokers)
	for _, name := range r.groups() {
		b, err := n.newMember(name, r.node(r.ID).Brokers[name])
		if err != nil {
			return err
		}
		n.brokers.add(b)
		if err := n.openMember(ctx, b, r.founders()); err != nil {
			return err
		}
	}
	n.hear(n.brokers.all())
	n.meet()
	n.balance()
	for _, b := range n.brokers.all() {
		if err := n.startFront(b); err != nil {
			return err
		}
		b.register() // it may have changed before there was somebody to tell
	}
	n.onStop(n.handOver)
	return nil
}

func (n *node) newMember(name, addr string) (*broker, error) {
	store, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("broker group %s: this node's address: %w", name, err)
	}
	return &broker{name: name, dir: filepath.Join(n.conf.Dir, name), listen: addr, store: store}, nil
}

// openMember recovers this node's member of a group that founders began.
func (n *node) openMember(ctx context.Context, b *broker, founders []uint64) error {
	o, name, who := n.serviceOptions(b), b.name, n.members.who
	if err := who.Check(name, founders, noLog(o.Dir)); err != nil {
		return fmt.Errorf("%s: %w (replication.founders: %v)", o.Dir, err, founders)
	}
	o.MemberID, o.Voters = n.conf.Replication.ID, founders
	for _, p := range n.conf.Replication.Nodes {
		o.Nodes = append(o.Nodes, p.ID)
	}
	o.Send = func(ms []*pb.Message) { n.members.net.Send(name, ms) }
	o.Aside = func(to uint64, kind shard.AsideKind, body []byte) { n.members.net.Aside(name, to, uint8(kind), body) }
	o.Led = func(st shard.Status) { n.led(b, st) }
	if err := n.openBroker(ctx, b, o); err != nil {
		return err
	}
	return who.Opened(name, founders)
}

// noLog says that a member's folder has neither a log nor the note that a damaged one was put aside.
func noLog(dir string) bool {
	names, err := vfs.OS{}.List(dir)
	return err != nil && errors.Is(err, fs.ErrNotExist) || err == nil && !slices.ContainsFunc(names, func(name string) bool {
		return strings.HasSuffix(name, ".seg") || name == "repair"
	})
}

// hear lets messages to these members in.
func (n *node) hear(brokers []*broker) {
	groups := map[string]*broker{}
	for _, b := range brokers {
		groups[b.name] = b
	}
	n.members.groups.Store(&groups)
}

// meet tells the transport where the other nodes are.
func (n *node) meet() {
	peers := map[uint64]string{}
	for _, p := range n.conf.Replication.Nodes {
		if p.ID != n.conf.Replication.ID {
			peers[p.ID] = p.Listen
		}
	}
	n.members.net.SetPeers(peers)
}

func (m *members) message(group string, msg *pb.Message) {
	if b := (*m.groups.Load())[group]; b != nil {
		b.svc.Shard().Receive(msg)
	}
}

func (m *members) aside(group string, from uint64, kind uint8, body []byte) {
	if b := (*m.groups.Load())[group]; b != nil {
		b.svc.Shard().Aside(from, shard.AsideKind(kind), body)
	}
}

func (m *members) unreachable(group string, node uint64) {
	if b := (*m.groups.Load())[group]; b != nil {
		b.svc.Shard().Unreachable(node)
	}
}

// leaderOf gives the address of the member that leads b's group.
func (n *node) leaderOf(b *broker) func() (string, bool) {
	r := &n.conf.Replication
	if !r.on() {
		return nil
	}
	return func() (string, bool) {
		addr := n.memberAddr(b.name, b.svc.Leader())
		return addr, addr != ""
	}
}

// led tells of changes of leadership. It is called by the shard's loop.
func (n *node) led(b *broker, st shard.Status) {
	b.register()
	b.reigns.note(st.Term, st.Lead)
	if st.Leads {
		n.log.Info("this member leads", "broker", b.name, "term", st.Term)
	}
	b.leaderChanged(&n.conf.Replication, st)
}

// leaderChanged notes what this member sees: who leads, or that nobody does. The shard's loop calls it.
func (b *broker) leaderChanged(r *replication, st shard.Status) {
	own, term := r.name(st.ID), strconv.FormatUint(st.Term, 10)
	if b.ledTerm != 0 && (!st.Leads || st.Term != b.ledTerm) {
		b.noteLeader(trail.StateStops, own, own+" leads "+b.name+" no more", b.ledTerm)
	}
	b.ledTerm = 0
	switch {
	case st.Leads:
		b.ledTerm = st.Term
		b.noteLeader(trail.StateLeads, own, own+" leads "+b.name+" in term "+term, st.Term)
	case st.Lead == st.ID: // voted in, and not there yet
	case st.Lead == 0:
		b.noteLeader(trail.StateNobody, "", own+" knows nobody who leads "+b.name, st.Term)
	default:
		b.noteLeader(trail.StateFollows, r.name(st.Lead), own+" follows "+r.name(st.Lead)+" in "+b.name+", term "+term, st.Term)
	}
}

func (b *broker) noteLeader(state, leader, text string, term uint64) {
	b.notes.NoteHappening(&notes.Happening{
		AtMicros: time.Now().UnixMicro(), Kind: trail.KindLeaderChange, Text: text, Count: 1, Detail: trail.LeaderChange(b.name, state, leader, term),
	})
}

// reigns remembers who led in which term, as far as this member knew; the newest reignsMax of them.
type reigns struct {
	mu     sync.Mutex
	leader map[uint64]uint64
	terms  []uint64
}

const reignsMax = 1000

func (r *reigns) note(term, leader uint64) {
	if term == 0 || leader == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leader == nil {
		r.leader = map[uint64]uint64{}
	}
	if _, ok := r.leader[term]; !ok {
		r.terms = append(r.terms, term)
	}
	r.leader[term] = leader
	if len(r.terms) > reignsMax {
		delete(r.leader, r.terms[0])
		r.terms = r.terms[1:]
	}
}

func (r *reigns) of(term uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leader[term]
}

// serveStream gives another node this node's trail engine.
func (n *node) serveStream(_ uint64, c net.Conn) {
	defer c.Close()
	if t := n.members.trail.Load(); t != nil {
		if e := t.engine.Load(); e != nil {
			if err := e.ServeStream(context.Background(), c); err != nil {
				n.log.Debug("trail stream ended", "err", err)
			}
		}
	}
}

// register tells the name servers under which id this member is. Its start and the shard's loop may call it at once: each looks at what
// is true now, and who looks later tells later.
func (b *broker) register() {
	roll := b.roll.Load()
	if roll == nil {
		return
	}
	b.registering.Lock()
	defer b.registering.Unlock()
	st := b.svc.Shard().Status()
	id := int64(st.ID)
	if st.Leads {
		id = 0
	}
	roll.SetID(id, st.Term)
}

// balance gives groups back to the nodes that shall lead them, once those have what this node has.
func (n *node) balance() {
	since := map[string]*wish{}
	stop := rpc.Repeat(balanceEvery, func(now time.Time) {
		for _, b := range n.brokers.all() {
			st := b.svc.Shard().Status()
			if !st.Leads {
				delete(since, b.name)
				continue
			}
			if since[b.name] == nil {
				since[b.name] = &wish{}
			}
			want := n.leaderFor(b.name, st.Members.Voters)
			settled := settledFor
			if n.drained() {
				settled = 0
			}
			if since[b.name].due(now, settled, st.CanLead(want)) {
				n.log.Info("the group's leader moves", "broker", b.name, "to", want)
				b.svc.Shard().Transfer(want)
			}
		}
	})
	n.onStop(func(context.Context) error { stop(); return nil })
}

// wish is that another node leads, as long as this one does. Each try holds up the group for an election time-out when the other does
// not take the office, as one whose log was damaged does not: so tries become rarer.
type wish struct {
	ready time.Time // since when the other could
	tries int
}

const triesMax = 7 // then one in about ten minutes

func (w *wish) due(now time.Time, settled time.Duration, ready bool) bool {
	switch {
	case !ready:
		w.ready = time.Time{}
	case w.ready.IsZero():
		w.ready = now
	case now.Sub(w.ready) >= settled<<w.tries:
		w.ready, w.tries = time.Time{}, min(w.tries+1, triesMax)
		return true
	}
	return false
}

// handOver lets other nodes lead before this one stops, so that no request fails.
func (n *node) handOver(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, handOverFor)
	defer cancel()
	for _, b := range n.brokers.all() {
		st := b.svc.Shard().Status()
		if to := successor(n.plan(), &st); to != 0 {
			b.svc.Shard().Transfer(to)
		}
	}
	for n.leadsAny() && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// successor is a member that could lead now, one that is not drained if there is one; 0: none.
func successor(p plan.Plan, st *shard.Status) (to uint64) {
	for _, peer := range st.Peers {
		if _, drained := p.Drained[peer.ID]; st.CanLead(peer.ID) && (to == 0 || !drained) {
			to = peer.ID
		}
	}
	return to
}

func (n *node) leadsAny() bool {
	for _, b := range n.brokers.all() {
		if st := b.svc.Shard().Status(); st.Leads && len(st.Peers) > 0 {
			return true
		}
	}
	return false
}
