package rpc

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/contrailmq/contrail/broker/wire"
)

// Conn is one connection.
type Conn struct {
	Addr netip.AddrPort
	Data any // the handler's

	s    *Server
	conn net.Conn
	raw  syscall.RawConn // nil: answers are only written by the writer

	mu      sync.Mutex
	cond    sync.Cond // out has something, or room, or the connection ended
	out     []byte
	spare   []byte
	ended   bool
	writing bool
	corked  bool        // the reader is at work and will write what it answered itself
	held    int         // bytes of answers that wait or are being written
	full    atomic.Bool // so much waits that the connection is not read

	owed atomic.Int64 // requests that others will answer

	reserved int64 // of the inbound budget
	deadline time.Time
}

// Delivery is Reply for answers before whose write Options.BeforeWrite must have been called. It is called here, by who has
// the answer and outside the connection's lock: others, who only reply, never wait for it.
func (c *Conn) Delivery(f func(dst []byte) []byte) bool {
	if c.s.opts.BeforeWrite != nil {
		c.s.opts.BeforeWrite()
	}
	return c.Reply(f)
}

// Reply appends an answer: f appends whole frames to its argument. It never blocks; false: the connection is gone.
func (c *Conn) Reply(f func(dst []byte) []byte) bool {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return false
	}
	first, before := len(c.out) == 0, len(c.out)
	c.out = f(c.out)
	c.hold(len(c.out) - before)
	if first && !c.writing && !c.corked {
		c.writeNow()
	}
	over := len(c.out) > OutboundEnd
	if c.tooMuch() {
		c.full.Store(true)
	}
	c.ended = over
	c.mu.Unlock()
	if over {
		c.s.stats.OverBudget.Add(1)
		c.s.complain("connection closed: its answers are not read", "peer", c.Addr, "limit", OutboundEnd)
		c.End()
	}
	return !over
}

// hold counts bytes that wait, and with a negative number what was written. mu is held.
func (c *Conn) hold(n int) {
	n = max(n, -c.held) // a connection that is gone holds nothing
	c.held += n
	c.s.stats.Outbound.Add(int64(n))
}

// tooMuch says that the connection must not ask for more: because of what it does not read itself, or because all connections
// together do not read and this one has its share of it. mu is held.
func (c *Conn) tooMuch() bool {
	return len(c.out) > OutboundMax || c.held > outboundShare && c.s.stats.Outbound.Load() > OutboundAll
}

// cork makes answers wait until uncork, so that all that one read brought is answered with one write.
func (c *Conn) cork() {
	c.mu.Lock()
	c.corked = true
	c.mu.Unlock()
}

func (c *Conn) uncork() {
	c.mu.Lock()
	if c.corked = false; len(c.out) > 0 && !c.writing && !c.ended {
		c.writeNow()
	}
	c.mu.Unlock()
}

// writeNow writes what waits without blocking, which saves waking the writer; the writer does what the socket does not take.
// mu is held, the writer waits.
func (c *Conn) writeNow() {
	if c.raw == nil || len(c.out) > directMax {
		c.cond.Broadcast()
		return
	}
	var n int
	var err error
	if e := c.raw.Write(func(fd uintptr) bool { n, err = unix.Write(int(fd), c.out); return true }); e != nil || n < 0 || err != nil {
		n = 0 // the writer meets the error, or waits for room
	}
	c.s.stats.Writes.Add(1)
	c.s.stats.BytesOut.Add(int64(n))
	c.hold(-n)
	left := copy(c.out, c.out[n:])
	if c.out = c.out[:left]; left > 0 {
		c.cond.Broadcast()
		return
	}
	if cap(c.out) > keepOut {
		c.out = nil
	}
}

// Owe counts requests that will be answered after Frame returned, so that a shutdown waits for them; who has answered them
// takes them back with -n.
func (c *Conn) Owe(n int) { c.owed.Add(int64(n)) }

func (c *Conn) pending() bool {
	owed := c.owed.Load() > 0 // first: an answer is written before it is no longer owed
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended && (owed || c.corked || len(c.out) > 0 || c.writing)
}

// settle keeps a connection that is not read any more until what it asked is answered.
func (c *Conn) settle() {
	for c.pending() {
		time.Sleep(settleEvery)
	}
}

// End closes the connection.
func (c *Conn) End() {
	c.mu.Lock()
	c.ended = true
	c.cond.Broadcast()
	c.mu.Unlock()
	c.conn.Close()
}

// write sends what was answered, all that waits with one write.
func (c *Conn) write() {
	defer c.s.wg.Done()
	for {
		c.mu.Lock()
		c.writing = false
		for (len(c.out) == 0 || c.corked) && !c.ended {
			c.cond.Wait()
		}
		if c.ended {
			c.mu.Unlock()
			return
		}
		b := c.out
		c.out, c.spare, c.writing = c.spare[:0], nil, true
		c.cond.Broadcast() // a reader may wait for room
		c.mu.Unlock()
		if !c.send(b) {
			c.End()
			return
		}
		c.mu.Lock()
		c.hold(-len(b))
		c.cond.Broadcast() // a reader may wait for that, too
		if cap(b) <= keepOut {
			c.spare = b[:0]
		}
		c.mu.Unlock()
	}
}

func (c *Conn) send(b []byte) bool {
	_ = c.conn.SetWriteDeadline(time.Now().Add(WriteTimeout))
	n, err := c.conn.Write(b)
	c.s.stats.Writes.Add(1)
	c.s.stats.BytesOut.Add(int64(n))
	return err == nil
}

// read takes frames until the connection ends.
func (c *Conn) read() {
	defer c.s.wg.Done()
	defer c.finish()
	c.s.opts.Handler.Open(c)
	var (
		f     wire.Frame
		buf   = make([]byte, firstBytes)
		n     int
		since time.Time // when the unfinished frame began
	)
	for c.room() {
		if c.s.draining.Load() {
			c.settle()
			return
		}
		if err := c.expect(since); err != nil {
			return
		}
		m, err := c.conn.Read(buf[n:])
		n += m
		c.s.stats.BytesIn.Add(int64(m))
		if err != nil && c.s.draining.Load() {
			c.settle()
			return
		}
		if err != nil {
			c.readEnded(err, n > 0)
			return
		}
		filled := n == len(buf)
		rest, need, err := c.frames(&f, buf[:n])
		if err != nil {
			c.s.stats.Malformed.Add(1)
			c.s.complain("connection closed", "peer", c.Addr, "err", err)
			return
		}
		if len(rest) == n && !since.IsZero() {
			// nothing was finished: the frame's time goes on
		} else if since = time.Now(); len(rest) == 0 {
			since = time.Time{}
		}
		if buf, n = c.keep(buf, rest, need); buf == nil {
			c.s.stats.OverBudget.Add(1)
			c.s.complain("connection closed: unfinished frames of all connections exceed the budget", "peer", c.Addr, "limit", InboundMax)
			return
		}
		if filled && len(buf) < readBytes {
			buf = append(buf[:n], make([]byte, readBytes-n)...)
		}
	}
}

// frames handles the whole frames of b.
func (c *Conn) frames(f *wire.Frame, b []byte) (rest []byte, need int, err error) {
	c.cork()
	defer c.uncork()
	handled := false
	for {
		frame, after, need, err := wire.Split(b)
		if err == nil && frame != nil {
			err = f.Decode(frame)
		}
		if err != nil || frame == nil {
			if handled {
				c.s.opts.Handler.Flush(c)
			}
			return after, need, err
		}
		c.s.stats.Frames.Add(1)
		c.s.opts.Handler.Frame(c, f)
		handled = true
		b = after
		if c.full.Load() && !c.drained() {
			return nil, 0, nil
		}
	}
}

// drained waits amid the frames of one read until there is room for answers again; false: the connection has ended.
func (c *Conn) drained() bool {
	c.s.opts.Handler.Flush(c)
	c.uncork()
	ok := c.room()
	c.cork()
	return ok
}

// keep moves an unfinished frame to the front. The buffer grows only as bytes arrive, and only within the budget.
func (c *Conn) keep(buf, rest []byte, need int) ([]byte, int) {
	if len(rest) == 0 && len(buf) > readBytes {
		c.reserve(0)
		return make([]byte, readBytes), 0
	}
	if len(rest) < len(buf) {
		n := copy(buf, rest)
		if n < len(buf) {
			return buf, n
		}
	}
	size := min(max(2*len(buf), readBytes), max(need, readBytes))
	if size <= len(rest) {
		size = len(rest) + readBytes
	}
	if !c.reserve(int64(size)) {
		return nil, 0
	}
	bigger := make([]byte, size)
	return bigger, copy(bigger, rest)
}

// reserve sets how much of the inbound budget the connection holds.
func (c *Conn) reserve(n int64) bool {
	if c.s.stats.Inbound.Add(n-c.reserved) > InboundMax && n > c.reserved {
		c.s.stats.Inbound.Add(c.reserved - n)
		return false
	}
	c.reserved = n
	return true
}

// expect sets the read deadline: a started frame has FrameTimeout, a silent connection IdleTimeout. Setting it costs, so it
// is moved only when it is more than a second off.
func (c *Conn) expect(since time.Time) error {
	want := time.Now().Add(c.s.opts.IdleTimeout)
	if !since.IsZero() {
		want = since.Add(c.s.opts.FrameTimeout)
	}
	if d := want.Sub(c.deadline); d > -time.Second && d < time.Second {
		return nil
	}
	c.deadline = want
	return c.conn.SetReadDeadline(want)
}

func (c *Conn) readEnded(err error, unfinished bool) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.s.stats.TimedOut.Add(1)
		if unfinished { // an idle client is no news; it dials again when it has something to say
			c.s.complain("connection closed: a frame was not finished in time", "peer", c.Addr, "limit", c.s.opts.FrameTimeout)
		}
		return
	}
	if unfinished && errors.Is(err, io.EOF) {
		c.s.stats.Malformed.Add(1)
	}
}

// room waits while too many answers wait to be read by the peer.
func (c *Conn) room() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.tooMuch() && !c.ended {
		c.s.stats.Stalled.Add(1)
		c.cond.Wait()
	}
	c.full.Store(false)
	return !c.ended
}

func (c *Conn) finish() {
	c.End()
	c.mu.Lock()
	c.hold(-c.held)
	c.mu.Unlock()
	c.reserve(0)
	c.s.gone(c)
	c.s.opts.Handler.Close(c)
}
