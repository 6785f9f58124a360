package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

const (
	refusedEvery = time.Minute // between lines about the same refusal
	brokenEvery  = time.Second
	batchBytes   = 1 << 20  // of raft messages that are written with one deadline
	asideBatch   = 64 << 10 // of asides, or one of them, before raft's lane is looked at again
)

var errMoved = errors.New("the peer has another address")

// peer is another node and what waits for it. Its run goroutine dials and writes.
type peer struct {
	t       *Transport
	id      uint64
	ctx     context.Context
	stop    context.CancelFunc
	wake    chan struct{} // something was queued
	hurry   chan struct{} // the next attempt need not wait
	traffic traffic

	mu           sync.Mutex
	addr         string
	leave        context.CancelCauseFunc // ends the current attempt or connection
	raft, asides lane
	groups       map[string]struct{} // that queued something since the last connection ended
	ended        bool
	connected    bool
	since        time.Time
	lastError    string
	lastErrorAt  time.Time
}

func (t *Transport) newPeer(id uint64, addr string) *peer {
	l := &t.limits
	p := &peer{t: t, id: id, addr: addr, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), since: time.Now(),
		groups: map[string]struct{}{},
		raft:   lane{maxBytes: l.queueBytes, maxMessages: l.queueMessages},
		asides: lane{maxBytes: l.asideBytes, maxMessages: l.queueMessages}}
	p.ctx, p.stop = context.WithCancel(t.ctx)
	t.wg.Add(1)
	go p.run()
	return p
}

// lives says that the peer has dialled this node: if it is not connected, there is no need to wait any longer.
func (p *peer) lives() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.connected {
		signal(p.hurry)
	}
}

// signal makes a channel of one token have it.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// move gives the peer an address.
func (p *peer) move(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.addr == addr {
		return
	}
	p.addr = addr
	signal(p.hurry)
	if p.leave != nil {
		p.leave(errMoved)
	}
}

// send queues a raft message; false: it was dropped.
func (p *peer) send(group string, m *pb.Message) bool {
	return p.push(&p.raft, item{group: group, m: m, size: messageSize(group, m)})
}

func (p *peer) push(l *lane, it item) bool {
	if it.size > FrameMax || len(it.group) > groupMax {
		p.t.complain.Warn("too large", brokenEvery, "message dropped: it is too large", "peer", p.id, "group", it.group, "bytes", it.size,
			"limit", FrameMax, "group_limit", groupMax)
		p.traffic.dropped.Add(1)
		return false
	}
	p.mu.Lock()
	ok := !p.ended && l.push(it)
	if ok {
		p.groups[it.group] = struct{}{}
	}
	p.mu.Unlock()
	if !ok {
		p.traffic.dropped.Add(1)
		return false
	}
	signal(p.wake)
	return true
}

// next takes what is to be written next, and says from which lane.
func (p *peer) next(dst []item) ([]item, *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if dst = p.raft.take(dst, batchBytes); len(dst) > 0 {
		return dst, &p.raft
	}
	return p.asides.take(dst, asideBatch), &p.asides
}

// written says that what next took is the kernel's now.
func (p *peer) written(l *lane, items []item) {
	n := 0
	for i := range items {
		n += items[i].size
	}
	p.mu.Lock()
	l.settle(items)
	p.mu.Unlock()
	p.traffic.sentBytes.Add(int64(n))
	p.traffic.sentMessages.Add(int64(len(items)))
}

// run keeps a connection to the peer.
func (p *peer) run() {
	defer p.t.wg.Done()
	defer p.end()
	l, wait := &p.t.limits, p.t.limits.backoffMin
	for {
		began := time.Now()
		err := p.once()
		if p.ctx.Err() != nil {
			return
		}
		p.lost(err)
		if time.Since(began) > l.backoffMax+l.handshake { // it was a good one
			wait = l.backoffMin
		}
		if p.rest(wait - rand.N(wait/4+1)) {
			wait = l.backoffMin
		} else {
			wait = min(2*wait, l.backoffMax)
		}
	}
}

// rest waits before the next attempt; true: there is no need to wait.
func (p *peer) rest(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
	case <-p.hurry:
		return true
	}
	return false
}

// once connects and writes until the connection ends.
func (p *peer) once() error {
	ctx, leave := context.WithCancelCause(p.ctx)
	defer leave(nil)
	p.mu.Lock()
	p.leave = leave
	addr := p.addr
	p.mu.Unlock()
	err := p.talk(ctx, addr)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (p *peer) talk(ctx context.Context, addr string) error {
	d := net.Dialer{Timeout: p.t.limits.handshake, KeepAliveConfig: keepAlive}
	raw, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	unsent(raw)
	conn := raw
	if p.t.tls != nil {
		conn = tls.Client(raw, p.tlsFor(addr))
	}
	if err := p.shake(conn); err != nil {
		return err
	}
	p.met(addr)
	return p.serve(ctx, conn)
}

// tlsFor names the server that the certificate must be for, unless the configuration does.
func (p *peer) tlsFor(addr string) *tls.Config {
	c := p.t.tls.Clone()
	if host, _, err := net.SplitHostPort(addr); err == nil && c.ServerName == "" {
		c.ServerName = host
	}
	return c
}

func (p *peer) shake(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(p.t.limits.handshake)); err != nil {
		return err
	}
	if err := p.t.id.dial(conn, p.id, forMessages); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// met notes that the connection is there.
func (p *peer) met(addr string) {
	p.traffic.connects.Add(1)
	p.mu.Lock()
	p.connected, p.since = true, time.Now()
	p.mu.Unlock()
	p.t.opts.Log.Info("node transport: connected", "peer", p.id, "addr", addr)
}

// lost drops what waits, notes why, and tells the groups.
func (p *peer) lost(err error) {
	p.mu.Lock()
	dropped := p.raft.drop() + p.asides.drop()
	groups, was, addr := p.groups, p.connected, p.addr
	p.groups = map[string]struct{}{}
	if was {
		p.connected, p.since = false, time.Now()
	}
	p.lastError, p.lastErrorAt = fmt.Sprint(err), time.Now()
	p.mu.Unlock()
	p.traffic.dropped.Add(int64(dropped))
	for g := range groups {
		p.t.opts.Unreachable(g, p.id)
	}
	if was {
		p.t.complain.Warn(fmt.Sprint("lost ", p.id), brokenEvery, "connection ended", "peer", p.id, "addr", addr, "dropped", dropped,
			"err", err)
	} else {
		p.t.complain.Warn(fmt.Sprint("dial ", p.id, reason(err)), refusedEvery, "cannot connect", "peer", p.id, "addr", addr, "err", err)
	}
}

// reason is an error's text without addresses, which differ each time.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + fmt.Sprint(op.Err)
	}
	return fmt.Sprint(err)
}

// end drops what waits; nobody is told, for nobody asks any more.
func (p *peer) end() {
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended, p.connected = true, false
	p.traffic.dropped.Add(int64(p.raft.drop() + p.asides.drop()))
}
