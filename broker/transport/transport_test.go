package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// node is a transport whose callbacks keep what they are told.
type node struct {
	*Transport
	mu          sync.Mutex
	messages    map[string][]*pb.Message
	asides      []string
	unreachable map[string]int
	lines       []string
}

// Handle makes node a slog.Handler that keeps the lines.
func (n *node) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&b, " %v", a); return true })
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, b.String())
	return nil
}

func (n *node) Enabled(context.Context, slog.Level) bool { return true }
func (n *node) WithAttrs([]slog.Attr) slog.Handler       { return n }
func (n *node) WithGroup(string) slog.Handler            { return n }

func quick() limits {
	l := defaults()
	l.ping, l.silence, l.backoffMin, l.backoffMax = 50*time.Millisecond, 2*time.Second, 10*time.Millisecond, 50*time.Millisecond
	return l
}

func options(id uint64) Options {
	return Options{Cluster: "test", Node: id, Incarnation: 100 + id, Listen: "127.0.0.1:0", Key: []byte("secret")}
}

func boot(t testing.TB, o Options, l limits) *node {
	t.Helper()
	n := &node{messages: map[string][]*pb.Message{}, unreachable: map[string]int{}}
	o.Log = slog.New(n)
	o.Message = func(group string, m *pb.Message) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.messages[group] = append(n.messages[group], m)
	}
	o.Aside = func(group string, from uint64, kind uint8, body []byte) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.asides = append(n.asides, fmt.Sprintf("%s %d %d %s", group, from, kind, body))
	}
	o.Unreachable = func(group string, to uint64) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.unreachable[fmt.Sprint(group, " ", to)]++
	}
	var err error
	if n.Transport, err = start(o, l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func (n *node) got(group string) []*pb.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.messages[group]
}

func (n *node) told(group string, to uint64) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.unreachable[fmt.Sprint(group, " ", to)]
}

func (n *node) logged(text string) bool { return n.count(text) > 0 }

func (n *node) count(text string) (times int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.lines {
		if strings.Contains(l, text) {
			times++
		}
	}
	return times
}

func (n *node) status(t testing.TB, id uint64) PeerStatus {
	t.Helper()
	for _, p := range n.Peers() {
		if p.ID == id {
			return p
		}
	}
	t.Fatalf("node %d is no peer", id)
	return PeerStatus{}
}

// until polls with a deadline.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// cluster starts nodes that know each other and waits until all are connected.
func cluster(t testing.TB, l limits, ids ...uint64) []*node {
	t.Helper()
	var nodes []*node
	addrs := map[uint64]string{}
	for _, id := range ids {
		n := boot(t, options(id), l)
		nodes, addrs[id] = append(nodes, n), n.Addr()
	}
	for _, n := range nodes {
		n.SetPeers(addrs)
	}
	for _, n := range nodes {
		until(t, "all connected", func() bool {
			for _, p := range n.Peers() {
				if !p.Connected || !p.Inbound {
					return false
				}
			}
			return len(n.Peers()) == len(ids)-1
		})
	}
	return nodes
}

func heartbeat(from, to, term uint64) *pb.Message {
	return &pb.Message{Type: pb.MsgHeartbeat.Enum(), From: new(from), To: new(to), Term: new(term)}
}

func appending(from, to, index uint64, datas ...[]byte) *pb.Message {
	m := &pb.Message{Type: pb.MsgApp.Enum(), From: new(from), To: new(to), Term: new(uint64(3)), LogTerm: new(uint64(2)),
		Index: new(index), Commit: new(index)}
	for i, d := range datas {
		m.Entries = append(m.Entries, &pb.Entry{Term: new(uint64(3)), Index: new(index + uint64(i) + 1), Type: pb.EntryNormal.Enum(), Data: d})
	}
	return m
}

// everyKind is a message of each of raft's types, and the odd ones.
func everyKind(from, to uint64) []*pb.Message {
	var ms []*pb.Message
	for typ := range pb.MessageType_name {
		ms = append(ms, &pb.Message{Type: pb.MessageType(typ).Enum(), From: new(from), To: new(to), Term: new(uint64(7)), Index: new(uint64(9)),
			Vote: new(uint64(2)), Reject: new(true), RejectHint: new(uint64(11)), Context: []byte("context")})
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	return append(ms,
		appending(from, to, 10, big, nil, []byte{}, []byte("small"), big[:700], big[5:]),
		appending(from, to, 20),
		&pb.Message{To: new(to)},
		&pb.Message{To: new(to), Entries: []*pb.Entry{{}, {Type: pb.EntryConfChangeV2.Enum()}}},
		&pb.Message{Type: pb.MsgSnap.Enum(), From: new(from), To: new(to), Term: new(uint64(7)), Snapshot: &pb.Snapshot{Data: big[:5000],
			Metadata: &pb.SnapshotMetadata{Index: new(uint64(5)), Term: new(uint64(4)), ConfState: &pb.ConfState{Voters: []uint64{1, 2, 3}}}}},
		&pb.Message{Type: pb.MsgSnap.Enum(), To: new(to), Snapshot: &pb.Snapshot{}, Context: big[:1000]},
	)
}

func equal(t *testing.T, got, want []*pb.Message) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d messages came, %d were sent", len(got), len(want))
	}
	for i := range want {
		if !proto.Equal(got[i], want[i]) {
			t.Fatalf("message %d, %v, came as\n%.300v, sent was\n%.300v", i, want[i].GetType(), got[i], want[i])
		}
	}
}

func TestMessagesOfAllTypesArriveInOrderPerGroup(t *testing.T) {
	nodes := cluster(t, quick(), 1, 2, 3)
	want := map[string][]*pb.Message{}
	for i, from := range nodes {
		for j, to := range nodes {
			if i == j {
				continue
			}
			group := fmt.Sprintf("%d to %d", i+1, j+1)
			want[group] = everyKind(uint64(i+1), uint64(j+1))
			from.Send(group, want[group])
			if !from.Aside(group, uint64(j+1), 5, []byte("body")) {
				t.Fatal("aside dropped")
			}
			until(t, group, func() bool { return len(to.got(group)) == len(want[group]) })
			equal(t, to.got(group), want[group])
		}
	}
	for _, n := range nodes {
		until(t, "two asides each", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return len(n.asides) == 2 })
		n.mu.Lock()
		if len(n.unreachable) > 0 || n.Counts().Malformed > 0 {
			t.Errorf("told of %v, %+v", n.unreachable, n.Counts())
		}
		n.mu.Unlock()
	}
	nodes[1].mu.Lock()
	defer nodes[1].mu.Unlock()
	if got := nodes[1].asides[0]; got != "1 to 2 1 5 body" {
		t.Errorf("aside came as %q", got)
	}
}

func TestManyGroupsKeepTheirOrder(t *testing.T) {
	nodes := cluster(t, quick(), 1, 2)
	const each = 500
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range uint64(each) {
				nodes[0].Send(fmt.Sprint("g", g), []*pb.Message{appending(1, 2, i, make([]byte, i), nil)})
			}
		})
	}
	wg.Wait()
	for g := range 4 {
		group := fmt.Sprint("g", g)
		until(t, group, func() bool { return len(nodes[1].got(group)) == each })
		for i, m := range nodes[1].got(group) {
			if m.GetIndex() != uint64(i) || len(m.Entries[0].Data) != i {
				t.Fatalf("message %d of %s is %d", i, group, m.GetIndex())
			}
		}
	}
	p := nodes[0].status(t, 2)
	if p.SentMessages != 4*each || p.QueuedBytes != 0 || p.QueuedMessages != 0 || p.Dropped != 0 {
		t.Errorf("%+v", p)
	}
	q := nodes[1].status(t, 1)
	if q.ReceivedMessages != 4*each || q.ReceivedBytes != p.SentBytes {
		t.Errorf("sent %+v, received %+v", p, q)
	}
}

func TestRoundTripIsMeasured(t *testing.T) {
	nodes := cluster(t, quick(), 1, 2)
	until(t, "a pong", func() bool { return nodes[0].status(t, 2).RoundTrip > 0 })
}

func TestWhatIsForNobodyIsCounted(t *testing.T) {
	n := boot(t, options(1), quick())
	n.SetPeers(map[uint64]string{1: n.Addr()})
	n.Send("g", []*pb.Message{heartbeat(1, 1, 1), heartbeat(1, 9, 1), {}})
	if n.Aside("g", 1, 0, nil) || n.Aside("g", 9, 0, nil) {
		t.Error("an aside to nobody was queued")
	}
	if c := n.Counts(); c.Astray != 5 {
		t.Errorf("%+v", c)
	}
	if len(n.Peers()) != 0 {
		t.Errorf("a node is its own peer: %+v", n.Peers())
	}
}

func TestPeerMayRestartOnItsAddress(t *testing.T) {
	nodes := cluster(t, quick(), 1, 2)
	addr := nodes[1].Addr()
	nodes[0].Send("g", []*pb.Message{heartbeat(1, 2, 1)})
	until(t, "arrived", func() bool { return len(nodes[1].got("g")) == 1 })
	_ = nodes[1].Close()
	until(t, "told", func() bool { return nodes[0].told("g", 2) > 0 })
	o := options(2)
	o.Listen = addr
	again := boot(t, o, quick())
	until(t, "connected again", func() bool { return nodes[0].status(t, 2).Connected })
	until(t, "arrived", func() bool {
		nodes[0].Send("g", []*pb.Message{heartbeat(1, 2, 2)})
		return len(again.got("g")) > 0
	})
	if p := nodes[0].status(t, 2); p.Connects != 2 || p.LastError == "" {
		t.Errorf("%+v", p)
	}
}

func TestPeerIsFoundAtItsNewAddressAtOnce(t *testing.T) {
	l := quick()
	l.backoffMin, l.backoffMax = time.Hour, time.Hour
	a, b := boot(t, options(1), l), boot(t, options(2), l)
	a.SetPeers(map[uint64]string{2: "127.0.0.1:1"})
	until(t, "refused", func() bool { return a.status(t, 2).LastError != "" })
	a.SetPeers(map[uint64]string{2: b.Addr()})
	until(t, "connected", func() bool { return a.status(t, 2).Connected })
	o := options(2)
	c := boot(t, o, l)
	a.SetPeers(map[uint64]string{2: c.Addr()})
	until(t, "connected elsewhere", func() bool { p := a.status(t, 2); return p.Connected && p.Connects == 2 })
	if p := a.status(t, 2); p.LastError != errMoved.Error() {
		t.Errorf("%+v", p)
	}
	c.SetPeers(map[uint64]string{1: a.Addr()})
	until(t, "connected back", func() bool { return len(a.heardNodes()) == 1 })
	a.SetPeers(nil)
	until(t, "not heard any more", func() bool { return c.status(t, 1).LastError != "" })
	until(t, "left", func() bool { return len(a.Peers()) == 0 && len(c.heardNodes()) == 0 })
}

// A peer that is back dials, and is dialled at once.
func TestPeerThatDialsIsDialledBackAtOnce(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, o := quick(), options(2)
	o.Listen = free.Addr().String()
	free.Close()
	l.backoffMin, l.backoffMax = time.Hour, time.Hour
	a := boot(t, options(1), l)
	a.SetPeers(map[uint64]string{2: o.Listen})
	until(t, "refused", func() bool { return a.status(t, 2).LastError != "" })
	b := boot(t, o, l)
	b.SetPeers(map[uint64]string{1: a.Addr()})
	until(t, "connected", func() bool { return a.status(t, 2).Connected })
}

func (n *node) heardNodes() (ids []uint64) {
	n.Transport.mu.Lock()
	defer n.Transport.mu.Unlock()
	for id := range n.heard {
		ids = append(ids, id)
	}
	return ids
}

// What was queued for a connection that ended is not sent on the next one.
func TestQueueEndsWithItsConnection(t *testing.T) {
	l := quick()
	l.backoffMin, l.backoffMax = 300*time.Millisecond, 300*time.Millisecond
	a := boot(t, options(1), l)
	a.SetPeers(map[uint64]string{2: "127.0.0.1:1"})
	until(t, "refused", func() bool { return a.status(t, 2).LastError != "" })
	a.Send("g", []*pb.Message{heartbeat(1, 2, 1)})
	if !a.Aside("other", 2, 1, nil) {
		t.Error("aside dropped")
	}
	until(t, "told", func() bool { return a.told("g", 2) > 0 && a.told("other", 2) > 0 })
	if p := a.status(t, 2); p.QueuedBytes != 0 || p.Dropped != 2 {
		t.Errorf("%+v", p)
	}
}

func TestKeyIsNeededBeyondLoopback(t *testing.T) {
	o := options(1)
	o.Listen, o.Key = "0.0.0.0:0", nil
	o.Message, o.Aside, o.Unreachable = func(string, *pb.Message) {}, func(string, uint64, uint8, []byte) {}, func(string, uint64) {}
	if _, err := Start(o); err == nil || !strings.Contains(err.Error(), "no cluster key") || !strings.Contains(err.Error(), ":") {
		t.Errorf("started: %v", err)
	}
	o.Listen = "127.0.0.1:0"
	n, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	_ = n.Close()
	_ = n.Close()
	n.Send("g", []*pb.Message{heartbeat(1, 2, 1)})
	n.SetPeers(map[uint64]string{2: "127.0.0.1:1"})
	if _, err := Start(Options{}); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("options with four mistakes: %v", err)
	}
}

// refusedPair is two nodes, changed by fa and fb, of which the first was refused by the second or refuses it.
func refusedPair(t *testing.T, l limits, fa, fb func(*Options)) (a, b *node) {
	t.Helper()
	oa, ob := options(1), options(2)
	fa(&oa)
	fb(&ob)
	a, b = boot(t, oa, l), boot(t, ob, l)
	a.SetPeers(map[uint64]string{2: b.Addr()})
	a.Send("g", []*pb.Message{heartbeat(1, 2, 1)})
	until(t, "refused", func() bool { return a.status(t, 2).LastError != "" && a.told("g", 2) > 0 })
	return a, b
}

func TestStrangersAreRefusedAndTheReasonIsNamed(t *testing.T) {
	nothing := func(*Options) {}
	vet := func(o *Options) {
		o.Vet = func(node, incarnation uint64) error {
			return fmt.Errorf("node %d was wiped: incarnation %d", node, incarnation)
		}
	}
	for name, c := range map[string]struct {
		a, b           func(*Options)
		logged, inside string // by whom refuses; what the dialler's status says
		dialler        bool   // refuses
	}{
		"key":        {nothing, func(o *Options) { o.Key = []byte("other") }, "proof of the cluster key is wrong", "proof of the cluster key", true},
		"no key":     {nothing, func(o *Options) { o.Key = nil }, "proof of the cluster key is wrong", "proof of the cluster key", true},
		"cluster":    {nothing, func(o *Options) { o.Cluster = "b" }, `its cluster is "test", ours "b"`, "another cluster", false},
		"node":       {nothing, func(o *Options) { o.Node = 3 }, "it looks for node 2, this is node 3", "another node", false},
		"acceptor":   {nothing, vet, "node 1 was wiped: incarnation 101", "not accepted", false},
		"dialler":    {vet, nothing, "node 2 was wiped: incarnation 102", "node 2 was wiped", true},
		"both wiped": {vet, vet, "was wiped", "was wiped", true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := refusedPair(t, quick(), c.a, c.b)
			who := b
			if c.dialler {
				who = a
			}
			until(t, c.logged, func() bool { return who.logged(c.logged) })
			if p := a.status(t, 2); !strings.Contains(p.LastError, c.inside) || p.Connected {
				t.Errorf("status is %+v", p)
			}
			until(t, "tried again", func() bool { return b.Counts().Refused >= 3 })
			if n := who.count(c.logged); n != 1 {
				t.Errorf("logged %d times", n)
			}
			if b.Counts().Accepted != 0 || len(b.got("g")) != 0 {
				t.Errorf("accepted: %+v", b.Counts())
			}
		})
	}
}

// A node that dials an acceptor which echoes what it is sent must not take its own proof for the other's.
func TestProofIsNotReflected(t *testing.T) {
	id := identity{cluster: "test", node: 1, key: []byte("k")}
	d, a := id.hello(2, forMessages), id.hello(1, forMessages)
	x, y := d.append(nil), a.append(nil)
	binding := make([]byte, 32)
	one, two := id.prove(roleDialler, binding, x, y), id.prove(roleAcceptor, binding, x, y)
	if bytes.Equal(one, two) || bytes.Equal(id.prove(roleAcceptor, binding, y, x), one) {
		t.Error("proofs of two roles are equal")
	}
	echo := id.hello(1, forMessages)
	if err := id.check(&echo, 2); err == nil {
		t.Error("a node accepts itself")
	}
}

// Every field of a hello changes the proof.
func TestProofCoversTheHello(t *testing.T) {
	id := identity{cluster: "test", node: 1, key: []byte("k")}
	base := id.hello(2, forMessages)
	seen := map[string]bool{}
	for _, f := range []func(*hello){func(*hello) {}, func(h *hello) { h.node++ }, func(h *hello) { h.to++ }, func(h *hello) { h.incarnation++ },
		func(h *hello) { h.nonce[31]++ }, func(h *hello) { h.cluster = "tesu" }, func(h *hello) { h.version++ }} {
		h := base
		f(&h)
		seen[string(id.prove(roleDialler, nil, h.append(nil), base.append(nil)))] = true
		seen[string(id.prove(roleDialler, nil, base.append(nil), h.append(nil)))] = true
	}
	if len(seen) != 13 { // twice six changes, and none
		t.Errorf("%d different proofs", len(seen))
	}
}

var errTest = errors.New("test")

var _ net.Listener = (*failing)(nil)

// failing is a listener that fails once before it works.
type failing struct {
	net.Listener
	once sync.Once
}

func (f *failing) Accept() (net.Conn, error) {
	var err error
	if f.once.Do(func() { err = errTest }); err != nil {
		return nil, err
	}
	return f.Listener.Accept()
}

func TestAcceptingGoesOnAfterAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := options(2)
	o.Listener = &failing{Listener: l}
	a, b := boot(t, options(1), quick()), boot(t, o, quick())
	a.SetPeers(map[uint64]string{2: b.Addr()})
	until(t, "connected", func() bool { return a.status(t, 2).Connected })
	if !b.logged("accept failed err=test") {
		t.Error("the error was not logged")
	}
}
