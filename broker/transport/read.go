package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const (
	readBytes = 64 << 10 // of a connection's buffer; a larger frame is read past it
	groupsMax = 1024     // names of groups that a connection remembers
)

// inbound is an accepted connection. All but conn and done belongs to its goroutine.
type inbound struct {
	t       *Transport
	conn    net.Conn
	addr    string
	node    uint64 // whose it is
	purpose uint8
	stream  *stream // for a stream: the same connection
	br      *bufio.Reader
	head    [frameHead + pingBody]byte
	pong    []byte
	groups  map[string]string // a name is allocated once
	heard   time.Time         // when the deadline was moved last
	done    chan struct{}     // closed when nothing of it is handed on any more
}

func newInbound(t *Transport, conn net.Conn, addr string) *inbound {
	return &inbound{t: t, conn: conn, addr: addr, groups: map[string]string{}, done: make(chan struct{})}
}

// read takes frames until the connection ends; nil: it ended as connections do.
func (c *inbound) read() error {
	c.br = bufio.NewReaderSize(hearing{c}, readBytes)
	for {
		n, err := io.ReadFull(c.br, c.head[:frameHead])
		if err != nil && (n > 0 || !errors.Is(err, io.EOF)) {
			return c.ended(err)
		}
		if err != nil {
			return nil
		}
		if err := c.frame(); err != nil {
			return c.ended(err)
		}
	}
}

// ended counts what is the peer's fault; a connection that was closed or reset is nobody's.
func (c *inbound) ended(err error) error {
	var broken net.Error
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	if !errors.As(err, &broken) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		c.t.counts.malformed.Add(1)
	}
	return c.t.silence(err)
}

// silence says what a time-out means.
func (t *Transport) silence(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("nothing was heard for %v: %w", t.limits.silence, err)
	}
	return err
}

// hearing reads the connection and keeps its deadline. While a long frame comes in, its sender gets no answer to a ping, so it
// is told now and then that it is heard.
type hearing struct{ *inbound }

func (c hearing) Read(b []byte) (int, error) {
	if now := time.Now(); now.Sub(c.heard) >= c.t.limits.ping {
		c.heard = now
		if err := c.conn.SetDeadline(now.Add(c.t.limits.silence)); err != nil {
			return 0, err
		}
		if err := c.answer(0); err != nil {
			return 0, err
		}
	}
	return c.conn.Read(b)
}

// answer writes a pong.
func (c *inbound) answer(clock uint64) error {
	c.pong = appendPing(c.pong[:0], kindPong, clock)
	_, err := c.conn.Write(c.pong)
	return err
}

// frame reads the rest of the frame whose header is there, and hands it on.
func (c *inbound) frame() error {
	h, err := parseHeader(c.head[:frameHead])
	if err != nil {
		return err
	}
	if h.kind == kindPing {
		return c.ping(h)
	}
	if h.kind == kindPong {
		return errors.New("a pong from the side that pings")
	}
	if err := c.reserve(int64(h.length)); err != nil {
		return err
	}
	defer c.t.counts.reading.Add(-int64(h.length))
	b := make([]byte, h.length) // the callee keeps it
	if _, err := io.ReadFull(c.br, b); err != nil {
		return err
	}
	if err := h.verify(c.head[:frameHead], b); err != nil {
		return err
	}
	if p := c.t.peer(c.node); p != nil {
		p.traffic.receivedBytes.Add(int64(frameHead + len(b)))
		p.traffic.receivedMessages.Add(1)
	}
	return c.deliver(h, c.group(b[:h.group]), b[h.group:])
}

func (c *inbound) ping(h frameHeader) error {
	if h.length != pingBody {
		return fmt.Errorf("a ping of %d bytes; it has %d", h.length, pingBody)
	}
	if _, err := io.ReadFull(c.br, c.head[frameHead:]); err != nil {
		return err
	}
	clock, err := parsePing(c.head[:], kindPing)
	if err != nil {
		return err
	}
	return c.answer(clock)
}

// reserve takes n bytes of what all connections may read at a time.
func (c *inbound) reserve(n int64) error {
	if sum := c.t.counts.reading.Add(n); sum > c.t.limits.reading {
		c.t.counts.reading.Add(-n)
		return fmt.Errorf("frames of %d bytes would be read at a time; the limit is %d", sum, c.t.limits.reading)
	}
	return nil
}

// group is the name as a string that is shared by all its frames.
func (c *inbound) group(b []byte) string {
	if s, ok := c.groups[string(b)]; ok {
		return s
	}
	if len(c.groups) >= groupsMax {
		clear(c.groups)
	}
	s := string(b)
	c.groups[s] = s
	return s
}

// deliver hands a frame's content to whom it is for.
func (c *inbound) deliver(h frameHeader, group string, b []byte) error {
	if h.kind == kindAside {
		if len(b) < asideHead {
			return errors.New("an aside without a kind")
		}
		c.t.opts.Aside(group, c.node, b[0], b[asideHead:])
		return nil
	}
	m, err := decodeMessage(b)
	if err != nil {
		return fmt.Errorf("group %q: %w", group, err)
	}
	if to := m.GetTo(); to != c.t.opts.Node {
		return fmt.Errorf("group %q: a raft message to node %d; this is node %d", group, to, c.t.opts.Node)
	}
	c.t.opts.Message(group, m)
	return nil
}
