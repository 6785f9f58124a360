package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	unsentBytes = 256 << 10
	tlsBytes    = 64 << 10 // gathered before they become TLS records
	batchKeep   = 1024     // items; a larger batch's slice is not kept
)

// unsent bounds what the kernel takes before it can send it: a raft message waits for all of that, in which lane ever it was.
func unsent(conn net.Conn) {
	tc, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tc.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { // an old kernel takes more
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
		})
	}
}

// writer writes one connection.
type writer struct {
	p        *peer
	conn     net.Conn
	items    []item // of the current batch
	b        builder
	out      net.Buffers   // what one writev takes
	tls      *bufio.Writer // nil: plain TCP
	deadline time.Time
}

// serve writes what is queued until the connection ends.
func (p *peer) serve(ctx context.Context, conn net.Conn) error {
	w := &writer{p: p, conn: conn}
	w.b.reset()
	if tc, ok := conn.(*tls.Conn); ok {
		w.tls = bufio.NewWriterSize(tc, tlsBytes)
	}
	var heard error
	silent := make(chan struct{})
	go func() {
		defer close(silent)
		heard = p.hear(conn)
		conn.Close() // a write that waits ends
	}()
	err := w.run(ctx, silent)
	select {
	case <-silent:
		return heard // it came first
	default:
		conn.Close()
		<-silent
		return err
	}
}

// run writes batches and pings until one fails or nothing is heard any more.
func (w *writer) run(ctx context.Context, silent <-chan struct{}) error {
	tick := time.NewTicker(w.p.t.limits.ping)
	defer tick.Stop()
	err := w.ping()
	for err == nil {
		busy := false
		if busy, err = w.work(); busy {
			select {
			case <-tick.C:
				err = errors.Join(err, w.ping())
			default:
			}
			continue
		}
		select {
		case <-w.p.wake:
		case <-tick.C:
			err = w.ping()
		case <-silent:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// work writes what waits, about a batch of it; false: nothing waits.
func (w *writer) work() (bool, error) {
	items, from := w.p.next(w.items[:0])
	if len(items) == 0 {
		return false, nil
	}
	if err := w.batch(items); err != nil {
		return true, err
	}
	w.p.written(from, items)
	clear(items)
	if w.items = items; cap(items) > batchKeep {
		w.items = nil
	}
	return true, nil
}

// batch writes items with as few system calls as their headers allow.
func (w *writer) batch(items []item) error {
	for i := range items {
		if err := w.add(&items[i]); err != nil {
			return err
		}
	}
	return w.flush()
}

func (w *writer) add(it *item) error {
	room := asideRoom(it.group)
	if it.m != nil {
		room = messageRoom(it.group, it.m)
	}
	if !w.b.room(room) {
		if err := w.flush(); err != nil {
			return err
		}
		w.b.room(room)
	}
	if it.m == nil {
		w.b.aside(it.group, it.kind, it.body)
		return nil
	}
	return w.b.message(it.group, it.m, it.size)
}

// ping sends this node's clock, which comes back.
func (w *writer) ping() error {
	clock := max(uint64(time.Since(w.p.t.started)), 1)
	w.b.head = appendPing(w.b.head, kindPing, clock)
	return w.flush()
}

// flush writes all that was built, at most about a piece with one deadline: a slow peer is none that stopped reading.
func (w *writer) flush() error {
	w.b.cut()
	defer w.b.reset()
	for rest := w.b.bufs; len(rest) > 0; {
		n := bunch(rest)
		w.out, rest = rest[:n], rest[n:]
		if err := w.push(); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if w.tls != nil {
		return w.tls.Flush()
	}
	return nil
}

// bunch is how many buffers are about a piece.
func bunch(bufs net.Buffers) int {
	for i, size := 0, 0; i < len(bufs); i++ {
		if size += len(bufs[i]); size >= pieceBytes {
			return i + 1
		}
	}
	return len(bufs)
}

// push writes out.
func (w *writer) push() error {
	if err := w.extend(); err != nil {
		return err
	}
	if w.tls == nil {
		_, err := w.out.WriteTo(w.conn)
		return err
	}
	for _, b := range w.out {
		if _, err := w.tls.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// extend moves the deadline. Setting it costs, so it is moved only when it is a fifth off.
func (w *writer) extend() error {
	silence, now := w.p.t.limits.silence, time.Now()
	if w.deadline.Sub(now) > silence*4/5 {
		return nil
	}
	w.deadline = now.Add(silence)
	return w.conn.SetWriteDeadline(w.deadline)
}

// hear reads pongs until none comes in time.
func (p *peer) hear(conn net.Conn) error {
	var b [frameHead + pingBody]byte
	for {
		if err := conn.SetReadDeadline(time.Now().Add(p.t.limits.silence)); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, b[:]); err != nil {
			return p.t.silence(err)
		}
		clock, err := parsePing(b[:], kindPong)
		if err != nil {
			p.t.counts.malformed.Add(1)
			return err
		}
		if d := int64(time.Since(p.t.started)) - int64(clock); clock > 0 && d >= 0 {
			p.traffic.roundTrip.Store(max(d, 1))
		}
	}
}
