package remoting

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/namesrv"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/vfs"
	"github.com/contrailmq/contrail/broker/wire"
)

const testGroup = "broker-a"

// trio is a broker group of three members, each with its port, and one name server, in this process.
type trio struct {
	t       *testing.T
	names   *namesrv.Server
	members [4]*oneOfThree // by id
	closing sync.WaitGroup
}

type oneOfThree struct {
	trio  *trio
	id    uint64
	svc   *service.Service
	front *Server
	heard chan func()
	down  atomic.Bool
	stop  sync.Once
	// elsewhere overrides who leads, as this member's front is told.
	elsewhere atomic.Pointer[string]
	registers chan shard.Status
}

func startTrio(t *testing.T) *trio {
	t.Helper()
	g := &trio{t: t}
	var err error
	if g.names, err = namesrv.Start(namesrv.Options{Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	for id := uint64(1); id <= 3; id++ {
		g.members[id] = &oneOfThree{trio: g, id: id, heard: make(chan func(), 10_000), registers: make(chan shard.Status, 1000)}
	}
	for _, m := range g.members[1:] {
		m.start()
	}
	t.Cleanup(g.close)
	g.await("a leader with its system topics", func() bool {
		l := g.leader()
		if l == nil {
			return false
		}
		_, ok := l.svc.Group("CID_RMQ_SYS_TRANS") // what is made last
		return ok
	})
	g.follow()
	return g
}

func (m *oneOfThree) start() {
	g := m.trio
	var err error
	m.svc, err = service.Open(context.Background(), service.Options{
		Cluster: "DefaultCluster", Broker: testGroup, NodeID: strconv.Itoa(int(m.id)), StoreHost: netip.MustParseAddrPort("10.0.0.1:10911"),
		FS: vfs.NewMem(), Dir: "log", SegmentBytes: 8 << 20, Durable: true, AutoCreateTopic: true, AutoCreateGroup: true,
		Log: slog.New(slog.DiscardHandler), MemberID: m.id, Voters: []uint64{1, 2, 3}, Nodes: []uint64{1, 2, 3}, Send: m.send, Aside: m.aside,
		Led: func(st shard.Status) { m.registers <- st },
	})
	if err != nil {
		g.t.Fatal(err)
	}
	m.front, err = Start(m.svc, Options{
		Cluster: "DefaultCluster", Broker: testGroup, Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Leader: m.leads,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	m.svc.OnTopicChange(func(changed []catalog.Topic) {
		_ = g.names.Topics(namesrv.Member{Cluster: "DefaultCluster", Broker: testGroup, Addr: m.addr(), Term: m.svc.Shard().Term()}, changed)
	})
	go m.hear()
	go m.register()
}

// hear is the network's end at this member: all comes in order.
func (m *oneOfThree) hear() {
	for f := range m.heard {
		if !m.down.Load() {
			f()
		}
	}
}

func (m *oneOfThree) tell(to uint64, f func(*service.Service)) {
	o := m.trio.members[to]
	if m.down.Load() || o.down.Load() {
		return
	}
	select {
	case o.heard <- func() { f(o.svc) }:
	default: // lost
	}
}

func (m *oneOfThree) send(messages []*pb.Message) {
	for _, one := range messages {
		one := proto.Clone(one).(*pb.Message)
		m.tell(one.GetTo(), func(s *service.Service) { s.Shard().Receive(one) })
	}
}

func (m *oneOfThree) aside(to uint64, kind shard.AsideKind, body []byte) {
	body = slices.Clone(body)
	m.tell(to, func(s *service.Service) { s.Shard().Aside(m.id, kind, body) })
}

// register tells the name server as which broker id this member is to be known.
func (m *oneOfThree) register() {
	for st := range m.registers {
		if m.down.Load() {
			continue
		}
		id := int64(m.id)
		if st.Leads {
			id = 0
		}
		_ = m.trio.names.Register(namesrv.Member{Cluster: "DefaultCluster", Broker: testGroup, ID: id, Addr: m.addr(), Term: st.Term}, m.svc.Topics())
	}
}

func (m *oneOfThree) addr() string { return m.front.Addr().String() }

// leads is Options.Leader.
func (m *oneOfThree) leads() (string, bool) {
	if p := m.elsewhere.Load(); p != nil {
		return *p, true
	}
	id := m.svc.Leader()
	if id == 0 {
		return "", false
	}
	return m.trio.members[id].addr(), true
}

// end stops a member as a crash does: nothing that it says is heard any more.
func (m *oneOfThree) end() {
	m.stop.Do(func() {
		m.down.Store(true)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = m.front.Shutdown(ctx)
		m.trio.closing.Add(1)
		go func() { // its last offsets wait for a majority
			defer m.trio.closing.Done()
			_ = m.svc.Close()
		}()
	})
}

func (g *trio) close() {
	for _, m := range g.members[1:] {
		m.end()
	}
	g.closing.Wait()
	for _, m := range g.members[1:] {
		close(m.registers)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = g.names.Shutdown(ctx)
}

func (g *trio) await(what string, ok func() bool) {
	g.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("no %s", what)
		}
	}
}

func (g *trio) alive() (out []*oneOfThree) {
	for _, m := range g.members[1:] {
		if !m.down.Load() {
			out = append(out, m)
		}
	}
	return out
}

// leader is who leads, or nil.
func (g *trio) leader() *oneOfThree {
	for _, m := range g.alive() {
		if m.svc.Leads() {
			return m
		}
	}
	return nil
}

// follow waits until all members know the leader and have applied what it has.
func (g *trio) follow() *oneOfThree {
	g.t.Helper()
	var l *oneOfThree
	g.await("members that follow one leader", func() bool {
		if l = g.leader(); l == nil {
			return false
		}
		for _, m := range g.alive() {
			if m.svc.Leader() != l.id || m.svc.Shard().Applied() < l.svc.Shard().Applied() {
				return false
			}
		}
		return true
	})
	return l
}

// followers are the others than the leader.
func (g *trio) followers() (out []*oneOfThree) {
	l := g.follow()
	for _, m := range g.alive() {
		if m != l {
			out = append(out, m)
		}
	}
	return out
}

func (m *oneOfThree) client() *client {
	c := &client{t: m.trio.t, c: rpc.Client{Addr: m.addr(), Timeout: 40 * time.Second}}
	m.trio.t.Cleanup(c.c.Close)
	return c
}

// route is the addresses of the group in a topic's route, by broker id.
func (g *trio) route(topic string) map[string]string {
	c := rpc.Client{Addr: g.names.Addr().String(), Timeout: 10 * time.Second}
	defer c.Close()
	f, err := c.Do(wire.RouteInfo, []rpc.Field{{Name: "topic", Value: topic}}, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	var r namesrv.Route
	if f.Code != 0 || json.Unmarshal(f.Body, &r) != nil || len(r.Brokers) == 0 {
		return nil
	}
	return r.Brokers[0].Addrs
}

// raw is a connection whose frames the test makes itself.
type raw struct {
	t *testing.T
	c net.Conn
}

func (m *oneOfThree) raw() raw {
	m.trio.t.Helper()
	c, err := net.Dial("tcp", m.addr())
	if err != nil {
		m.trio.t.Fatal(err)
	}
	m.trio.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(40 * time.Second))
	return raw{m.trio.t, c}
}

func (r raw) ask(typ uint8, opaque, code int32, body string, fields ...string) {
	r.t.Helper()
	w := wire.Request(nil, typ, opaque, code)
	for i := 0; i < len(fields); i += 2 {
		w.String(fields[i], fields[i+1])
	}
	if _, err := r.c.Write(append(w.End(len(body)), body...)); err != nil {
		r.t.Fatal(err)
	}
}

func (r raw) answer() *wire.Frame {
	r.t.Helper()
	f, err := readFrame(r.c)
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

func readFrame(c io.Reader) (*wire.Frame, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	b := make([]byte, int(head[0])<<24|int(head[1])<<16|int(head[2])<<8|int(head[3]))
	if _, err := io.ReadFull(c, b); err != nil {
		return nil, err
	}
	f := &wire.Frame{}
	return f, f.Decode(b)
}

func views(t *testing.T, body []byte) (out []message.View) {
	t.Helper()
	for len(body) > 0 {
		v, err := message.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
		body = body[len(v):]
	}
	return out
}
