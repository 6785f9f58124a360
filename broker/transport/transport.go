package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/complain"
)

// Silence is after how long of hearing nothing a connection is ended.
const Silence = 5 * time.Second

// Limits of a lane and of one node's port.
const (
	QueueBytes    = 64 << 20
	QueueMessages = 4096
	AsideBytes    = 16 << 20
	ConnsMax      = 64
	ReadingMax    = 256 << 20 // bytes of frames that are being read, over all connections
	StreamsMax    = 32        // of one node, in each direction
	StreamIdle    = 5 * time.Minute
	groupMax      = 255 // bytes of a group's name
)

// limits are the constants; tests make them small.
type limits struct {
	ping, silence, handshake, backoffMin, backoffMax, idle time.Duration
	queueBytes, queueMessages, asideBytes, conns, streams  int
	reading                                                int64
}

func defaults() limits {
	return limits{
		ping: time.Second, silence: Silence, handshake: 5 * time.Second, backoffMin: 50 * time.Millisecond, backoffMax: time.Second,
		queueBytes: QueueBytes, queueMessages: QueueMessages, asideBytes: AsideBytes, conns: ConnsMax, reading: ReadingMax,
		streams: StreamsMax, idle: StreamIdle,
	}
}

// Options of a node's transport.
type Options struct {
	Cluster     string       // both sides must name the same one
	Node        uint64       // this node: raft's member of every group
	Incarnation uint64       // drawn when the node's data folder was made: a node that was wiped has another one
	Listen      string       // ip:port
	Listener    net.Listener // for tests, in place of Listen
	// Key is the cluster key that both sides prove to have. It may be empty only where Listen is a loopback address.
	Key []byte
	// TLS, when given, is for both directions; it is used from version 1.3 on.
	TLS *tls.Config
	// Vet is asked at each handshake, in both directions, after the proof of the key; an error refuses the node.
	Vet func(node, incarnation uint64) error
	// Message takes a raft message that came. It may be kept, with all it points to.
	Message func(group string, m *pb.Message)
	// Aside takes an aside that came. The body may be kept.
	Aside func(group string, from uint64, kind uint8, body []byte)
	// Stream takes a stream that another node opened, and serves it: the stream ends when it returns. It must return soon after a
	// read or write of the stream fails. nil: no streams are taken.
	Stream func(node uint64, c net.Conn)
	// Unreachable says that something sent to node may be lost.
	Unreachable func(group string, node uint64)
	Log         *slog.Logger
}

// validate names all that is wrong.
func (o *Options) validate() error {
	var errs []error
	if o.Node == 0 {
		errs = append(errs, errors.New("node 0: nodes count from 1"))
	}
	if n := len(o.Cluster); n == 0 || n > clusterMax {
		errs = append(errs, fmt.Errorf("a cluster name of %d bytes: it has 1 to %d", n, clusterMax))
	}
	if o.Listen == "" && o.Listener == nil {
		errs = append(errs, errors.New("no address to listen on"))
	}
	if o.Message == nil || o.Aside == nil || o.Unreachable == nil {
		errs = append(errs, errors.New("one of Message, Aside and Unreachable is missing"))
	}
	return errors.Join(errs...)
}

// Transport is a node's end of all its connections to other nodes.
type Transport struct {
	opts     Options
	limits   limits
	id       identity
	listener net.Listener
	tls      *tls.Config
	started  time.Time
	counts   counts
	complain *complain.Log
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	peers atomic.Pointer[map[uint64]*peer] // the map itself never changes

	mu      sync.Mutex // of what follows, and of changing peers
	conns   map[*inbound]struct{}
	heard   map[uint64]*inbound // by node, of those whose handshake succeeded
	streams map[*stream]struct{}
	closed  bool
}

// Start opens the port. Nobody is dialled before SetPeers.
func Start(o Options) (*Transport, error) { return start(o, defaults()) }

func start(o Options, l limits) (*Transport, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("node transport: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	listener, err := listen(&o)
	if err != nil {
		return nil, fmt.Errorf("node transport: %w", err)
	}
	t := &Transport{opts: o, limits: l, listener: listener, started: time.Now(),
		id:       identity{cluster: o.Cluster, node: o.Node, incarnation: o.Incarnation, key: bytes.Clone(o.Key), vet: o.Vet},
		complain: complain.New(o.Log, "node transport: "),
		conns:    map[*inbound]struct{}{}, heard: map[uint64]*inbound{}, streams: map[*stream]struct{}{}}
	if o.TLS != nil {
		t.tls = o.TLS.Clone()
		t.tls.MinVersion = tls.VersionTLS13 // the proofs are bound to it
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.peers.Store(&map[uint64]*peer{})
	t.wg.Add(1)
	go t.accept()
	return t, nil
}

// keepAlive lets the kernel find dead peers, also where this package's pings do not flow yet.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: Silence, Interval: time.Second, Count: 5}

func listen(o *Options) (net.Listener, error) {
	l := o.Listener
	if l == nil {
		var err error
		lc := net.ListenConfig{KeepAliveConfig: keepAlive}
		if l, err = lc.Listen(context.Background(), "tcp", o.Listen); err != nil {
			return nil, err
		}
	}
	if addr, ok := l.Addr().(*net.TCPAddr); len(o.Key) == 0 && (!ok || !addr.IP.IsLoopback()) {
		l.Close()
		return nil, fmt.Errorf("no cluster key: without one only a loopback address may be listened on, not %s", l.Addr())
	}
	return l, nil
}

// Addr is where the node listens.
func (t *Transport) Addr() string { return t.listener.Addr().String() }

// SetPeers says which nodes there are and where; this node may be among them. Who is not named any more is not sent to; who
// has another address is dialled there at once. The connection of a node that was a peer and is none any more is ended; whether
// it may come again, Vet says.
func (t *Transport) SetPeers(addrs map[uint64]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	old, now := *t.peers.Load(), map[uint64]*peer{}
	for id, addr := range addrs {
		if id == t.opts.Node {
			continue
		}
		if p := old[id]; p != nil {
			p.move(addr)
			now[id] = p
			continue
		}
		now[id] = t.newPeer(id, addr)
	}
	for id, p := range old {
		if now[id] == nil {
			p.stop()
			if c := t.heard[id]; c != nil {
				c.conn.Close()
			}
		}
	}
	t.peers.Store(&now)
}

func (t *Transport) peer(id uint64) *peer { return (*t.peers.Load())[id] }

// Send queues raft messages for the nodes they are to. It never blocks; the messages and all they point to must not be
// changed any more. Messages of one group must be sent by one goroutine at a time to keep their order.
func (t *Transport) Send(group string, ms []*pb.Message) {
	var lost uint64 // the node that was last found not to take a message
	for _, m := range ms {
		to := m.GetTo()
		p := t.peer(to)
		if p == nil {
			t.counts.astray.Add(1)
			continue
		}
		if !p.send(group, m) && lost != to {
			lost = to
			t.opts.Unreachable(group, to)
		}
	}
}

// Aside queues something else for a node. It never blocks; false: it was dropped. True does not say that it will arrive. The
// body must not be changed any more. A raft message waits for the aside that is being written, so a body should be at most a
// megabyte.
func (t *Transport) Aside(group string, to uint64, kind uint8, body []byte) bool {
	p := t.peer(to)
	if p == nil {
		t.counts.astray.Add(1)
		return false
	}
	it := item{group: group, kind: kind, body: body, size: frameHead + len(group) + asideHead + len(body)}
	return p.push(&p.asides, it)
}

// Close ends all connections and waits for all goroutines. What is queued is dropped.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		t.wg.Wait()
		return nil
	}
	t.closed = true
	for p := range maps.Values(*t.peers.Load()) {
		p.stop()
	}
	for c := range t.conns {
		c.conn.Close()
	}
	for c := range t.streams {
		c.Conn.Close()
	}
	t.mu.Unlock()
	t.cancel()
	err := t.listener.Close()
	t.wg.Wait()
	return err
}
