package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

func (t *Transport) accept() {
	defer t.wg.Done()
	for {
		conn, err := t.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || t.ctx.Err() != nil {
				return
			}
			t.complain.Warn("accept", brokenEvery, "accept failed", "err", err)
			time.Sleep(50 * time.Millisecond) // out of descriptors: others must end first
			continue
		}
		t.admit(conn)
	}
}

// admit starts a connection, if it is not too many.
func (t *Transport) admit(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(t.conns) >= t.limits.conns {
		conn.Close()
		t.counts.refused.Add(1)
		t.complain.Warn("too many", refusedEvery, "connection refused: too many", "addr", conn.RemoteAddr(), "connections", len(t.conns),
			"limit", t.limits.conns)
		return
	}
	addr := conn.RemoteAddr().String()
	if t.tls != nil {
		conn = tls.Server(conn, t.tls)
	}
	c := newInbound(t, conn, addr)
	t.conns[c] = struct{}{}
	t.wg.Add(1)
	go c.run()
}

// run shakes hands and reads until the connection ends.
func (c *inbound) run() {
	defer c.t.wg.Done()
	defer c.gone()
	if err := c.shake(); err != nil {
		c.refused(err)
		return
	}
	c.t.counts.accepted.Add(1)
	if c.purpose == forStream {
		c.t.opts.Stream(c.node, c.stream)
		return
	}
	if p := c.t.peer(c.node); p != nil {
		p.lives()
	}
	if err := c.read(); err != nil {
		c.t.complain.Warn(fmt.Sprint("read ", c.node), brokenEvery, "connection from a peer closed", "peer", c.node, "addr", c.addr,
			"err", err)
	}
}

func (c *inbound) shake() error {
	if err := c.conn.SetDeadline(time.Now().Add(c.t.limits.handshake)); err != nil {
		return err
	}
	h, err := c.t.id.accept(c.conn)
	if err != nil {
		return err
	}
	if c.node, c.purpose = h.node, h.purpose; c.purpose != forMessages {
		return c.shakeStream()
	}
	c.succeed()
	if err := greet(c.conn, welcome); err != nil {
		return err
	}
	return c.conn.SetDeadline(time.Time{})
}

// refused logs why a connection did not begin, each reason of each node at most once a minute.
func (c *inbound) refused(err error) {
	c.t.counts.refused.Add(1)
	key := "handshake"
	var r *refusal
	if errors.As(err, &r) {
		key = fmt.Sprint("refused ", r.node, " ", byte(r.verdict))
	}
	c.t.complain.Warn(key, refusedEvery, "connection refused", "addr", c.addr, "err", err)
}

// succeed makes c the connection of its node, when the one before it, which was not found to be dead yet, is not read any more.
// The node is greeted after that, so of two connections the one that it dialled last stays.
func (c *inbound) succeed() {
	c.t.mu.Lock()
	old := c.t.heard[c.node]
	c.t.heard[c.node] = c
	c.t.mu.Unlock()
	if old != nil {
		old.conn.Close()
		<-old.done
	}
}

func (t *Transport) hears(node uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard[node] != nil
}

func (c *inbound) gone() {
	c.conn.Close()
	if c.stream != nil {
		c.stream.Close()
	}
	c.t.mu.Lock()
	delete(c.t.conns, c)
	if c.t.heard[c.node] == c {
		delete(c.t.heard, c.node)
	}
	c.t.mu.Unlock()
	close(c.done)
}
