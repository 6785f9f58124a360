package remoting

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// Limits of one connection to the leader.
const (
	linkRequests = 16_384   // not answered; most are pulls that the leader holds
	linkBytes    = 32 << 20 // of requests not answered
	dialPatience = time.Second
	writeTime    = 10 * time.Second
	linkRead     = 64 << 10
)

// link is one connection to the leader. One goroutine dials and writes, one reads.
type link struct {
	r    *relay
	addr string

	mu     sync.Mutex
	cond   sync.Cond // queue has something, or the link ended
	queue  []*errand // to be written; without conn: answers to the leader
	asked  map[int32]*errand
	number int32
	bytes  int // of queue and asked
	heard  time.Time
	conn   net.Conn
	ended  bool
}

func newLink(r *relay, addr string) *link {
	l := &link{r: r, addr: addr, asked: map[int32]*errand{}}
	l.cond.L = &l.mu
	return l
}

// take hands e over. It gives false when the link has ended, and then has not kept e.
func (l *link) take(e *errand) bool {
	now := time.Now()
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	if len(l.asked)+len(l.queue) >= linkRequests || l.bytes > 0 && l.bytes+len(e.frame) > linkBytes {
		l.mu.Unlock()
		e.busy(linkRequests, linkBytes)
		return true
	}
	l.number++
	binary.BigEndian.PutUint32(e.frame[wire.OpaqueAt:], uint32(l.number))
	e.asked, e.deadline, e.written = now, now.Add(e.patience()), false
	l.queue, l.bytes = append(l.queue, e), l.bytes+len(e.frame)
	if !e.call.Oneway {
		l.asked[l.number] = e
	}
	l.cond.Signal()
	l.mu.Unlock()
	return true
}

func (e *errand) busy(requests, bytes int) {
	if e.pull != nil {
		e.here()
		return
	}
	e.failed(service.Refuse(service.CodeSystemBusy, "[TOO MANY REQUESTS ARE RELAYED] the limits are %d requests and %d bytes that wait for the leader, try again", requests, bytes))
}

// run lives as long as the link.
func (l *link) run() {
	defer l.r.running.Done()
	conn, err := net.DialTimeout("tcp", l.addr, dialPatience)
	if err == nil {
		l.mu.Lock()
		l.conn, l.heard = conn, time.Now()
		l.mu.Unlock()
		read := make(chan error, 1)
		go func() {
			err := l.read(conn)
			l.end()
			read <- err
		}()
		err = l.write(conn)
		l.end()
		if why := <-read; err == nil {
			err = why
		}
	}
	l.end()
	l.r.lost(l, err)
}

// end makes both goroutines end.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.cond.Signal()
	if l.conn == nil {
		return
	}
	if tcp, ok := l.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // what the network still holds was given up: it must not be done minutes later, after newer requests
	}
	l.conn.Close()
}

// write sends what is in the queue, all with one call.
func (l *link) write(conn net.Conn) error {
	var frames net.Buffers
	for {
		l.mu.Lock()
		for len(l.queue) == 0 && !l.ended {
			l.cond.Wait()
		}
		if l.ended {
			l.mu.Unlock()
			return nil
		}
		frames = frames[:0]
		oneway := 0
		for _, e := range l.queue {
			e.written = true
			frames = append(frames, e.frame)
			if e.call.Oneway {
				oneway += len(e.frame)
			}
		}
		clear(l.queue)
		l.queue = l.queue[:0]
		l.mu.Unlock()
		_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
		rest := frames // WriteTo moves it
		if _, err := rest.WriteTo(conn); err != nil {
			return err
		}
		l.mu.Lock()
		l.bytes -= oneway
		l.mu.Unlock()
	}
}

// read takes answers until the connection ends.
func (l *link) read(conn net.Conn) error {
	in := bufio.NewReaderSize(conn, linkRead)
	var f wire.Frame
	var buf []byte
	for {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(head[:]))
		if n < 4 || n > wire.FrameMax {
			return fmt.Errorf("an answer of %d bytes", n)
		}
		if cap(buf) < n || cap(buf) > 4*linkRead && n < linkRead {
			buf = make([]byte, max(n, linkRead))
		}
		if _, err := io.ReadFull(in, buf[:n]); err != nil {
			return err
		}
		if err := f.Decode(buf[:n]); err != nil {
			return err
		}
		if !f.Response() {
			l.leaderAsks(&f)
			continue
		}
		if e := l.answered(f.Opaque); e != nil {
			l.r.answered(e, &f)
		}
	}
}

// answered gives the request that is answered; nil when nobody waits for it any more.
func (l *link) answered(number int32) *errand {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = time.Now()
	e := l.asked[number]
	if e != nil {
		delete(l.asked, number)
		l.bytes -= len(e.frame)
	}
	return e
}

// leaderAsks hands a request of the leader's to the client that it names, and brings the answer back.
func (l *link) leaderAsks(f *wire.Frame) {
	number := f.Opaque
	var to askable
	k, ok := l.r.client(f.String(toField))
	if ok {
		to, ok = askableOf(k)
	}
	if !ok {
		l.tell(number, &reply{code: service.CodeSystemError, remark: "the client is not connected to this member any more"})
		return
	}
	to.ask(f.Code, ownFields(f, nil), bytes.Clone(f.Body), clientMax, func(r *reply, err *service.Error) {
		if err != nil {
			r = &reply{code: int32(err.Code), remark: err.Text}
		}
		l.tell(number, r)
	})
}

// tell answers a request of the leader's. What finds no room is not sent: the leader gives up by itself.
func (l *link) tell(number int32, r *reply) {
	w := wire.Response(nil, wire.Binary, number, r.code, r.remark)
	for _, f := range r.fields {
		w.String(f.Name, f.Value)
	}
	frame := append(w.End(len(r.body)), r.body...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.bytes+len(frame) > linkBytes {
		return
	}
	l.queue, l.bytes = append(l.queue, &errand{call: rpc.Call{Oneway: true}, frame: frame}), l.bytes+len(frame)
	l.cond.Signal()
}

// overdue takes out what waited too long; stale, also pulls, which may be asked elsewhere. silent: nothing came since the oldest
// of them was asked.
func (l *link) overdue(now time.Time, stale bool) (late []*errand, silent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for number, e := range l.asked {
		if e.written && (now.After(e.deadline) || stale && e.pull != nil) {
			late = append(late, e)
			silent = silent || e.asked.After(l.heard) && now.After(e.deadline)
			delete(l.asked, number)
			l.bytes -= len(e.frame)
		}
	}
	return late, silent
}

func (l *link) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked)+len(l.queue) == 0
}

// left is what an ended link has not brought an answer to.
func (l *link) left() (unsent, unknown []*errand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	unsent = slices.DeleteFunc(l.queue, func(e *errand) bool { return e.conn == nil })
	for _, e := range l.asked {
		if e.written {
			unknown = append(unknown, e)
		}
	}
	l.queue, l.asked = nil, nil
	return unsent, unknown
}
