package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// stream is a connection whose bytes are the business of who opened it and who takes it. One on which nothing moves for long is
// ended; a node that died is noticed by the kernel much earlier.
type stream struct {
	net.Conn
	t       *Transport
	node    uint64
	inbound bool
	moved   atomic.Int64 // when the deadline was moved last
	once    sync.Once
}

// open counts a stream, unless there are too many of its node, or the transport is closed.
func (t *Transport) open(c *stream) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.room(c); err != nil {
		return err
	}
	t.streams[c] = struct{}{}
	return nil
}

// room says whether there may be one more stream like c. mu is held.
func (t *Transport) room(c *stream) error {
	n := 0
	for o := range t.streams {
		if o.node == c.node && o.inbound == c.inbound {
			n++
		}
	}
	switch {
	case t.closed:
		return net.ErrClosed
	case n >= t.limits.streams:
		return fmt.Errorf("%d streams are open, the limit is %d", n, t.limits.streams)
	}
	return nil
}

// CloseWrite says that nothing more will be written, where the connection can.
func (c *stream) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return c.Close()
}

// Close ends the stream.
func (c *stream) Close() error {
	c.once.Do(func() {
		c.t.mu.Lock()
		defer c.t.mu.Unlock()
		delete(c.t.streams, c)
	})
	return c.Conn.Close()
}

// stir moves the deadline of what moves no more, at most once a second.
func (c *stream) stir() error {
	now := time.Now()
	was := c.moved.Load()
	if now.UnixNano()-was < int64(min(time.Second, c.t.limits.idle/4)) || !c.moved.CompareAndSwap(was, now.UnixNano()) {
		return nil
	}
	return c.Conn.SetDeadline(now.Add(c.t.limits.idle))
}

func (c *stream) Read(b []byte) (int, error) {
	if err := c.stir(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	if n > 0 {
		_ = c.stir() // the other direction may wait for it
	}
	return n, err
}

func (c *stream) Write(b []byte) (int, error) {
	if err := c.stir(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// shakeStream decides on a stream whose dialler is known, and gives the last verdict.
func (c *inbound) shakeStream() error {
	if c.purpose != forStream || c.t.opts.Stream == nil {
		return refuse(c.conn, &refusal{noStreams, c.node, "this node takes no streams"})
	}
	s := &stream{Conn: c.conn, t: c.t, node: c.node, inbound: true}
	if err := c.t.open(s); err != nil {
		return refuse(c.conn, &refusal{manyStreams, c.node, err.Error()})
	}
	c.stream = s
	c.t.mu.Lock()
	delete(c.t.conns, c) // it is counted among the streams: those must not take the place of what raft needs
	c.t.mu.Unlock()
	if err := greet(c.conn, welcome); err != nil {
		return err
	}
	return s.stir()
}

// Dial opens a stream to a node: a connection of its own, after the same handshake, which the other side's Stream takes. ctx bounds
// the opening. Read and Write fail when nothing moved for StreamIdle; Close ends it, and so does closing the transport.
func (t *Transport) Dial(ctx context.Context, node uint64) (net.Conn, error) {
	p := t.peer(node)
	if p == nil {
		return nil, fmt.Errorf("node transport: stream to node %d: it is no peer", node)
	}
	p.mu.Lock()
	addr := p.addr
	p.mu.Unlock()
	s := &stream{t: t, node: node}
	t.mu.Lock()
	err := t.room(s)
	t.mu.Unlock()
	if err == nil {
		err = s.connect(ctx, p, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("node transport: stream to node %d at %s: %w", node, addr, err)
	}
	return s, nil
}

func (c *stream) connect(ctx context.Context, p *peer, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, c.t.limits.handshake)
	defer cancel()
	d := net.Dialer{KeepAliveConfig: keepAlive}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	if c.Conn = conn; c.t.tls != nil {
		c.Conn = tls.Client(conn, p.tlsFor(addr))
	}
	if err := c.t.open(c); err != nil {
		conn.Close()
		return err
	}
	leave := context.AfterFunc(ctx, func() { conn.Close() })
	err = c.t.id.dial(c.Conn, c.node, forStream)
	if !leave() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = c.stir()
	}
	if err != nil {
		c.Close()
	}
	return err
}
