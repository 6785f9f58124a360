package brokertest

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// FaultyProxy hands one node's bytes to another, late, or not to the end. Every connection has a delay of its own for each piece of
// bytes, so that what goes over several connections is reordered.
type FaultyProxy struct {
	Addr string

	to     string
	delay  atomic.Int64 // least nanoseconds of a piece
	jitter atomic.Int64 // most that is added
	breaks atomic.Int64 // a connection is reset after about as many bytes; 0: never
	mute   atomic.Bool  // bytes are swallowed and connections stay: half open
	deaf   atomic.Bool  // only what comes back is swallowed: what was asked is done, and not answered
	Resets atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// NewFaultyProxy listens on host until the test ends.
func NewFaultyProxy(t testing.TB, host, to string) *FaultyProxy {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	p := &FaultyProxy{Addr: l.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); p.Reset() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

// Delay holds each piece for at least as long as least, and up to jitter longer.
func (p *FaultyProxy) Delay(least, jitter time.Duration) {
	p.delay.Store(int64(least))
	p.jitter.Store(int64(jitter))
}

// Break resets each connection after about n bytes, in the middle of a frame; 0 ends that.
func (p *FaultyProxy) Break(n int64) { p.breaks.Store(n) }

// Mute swallows all bytes.
func (p *FaultyProxy) Mute(on bool) { p.mute.Store(on) }

// LoseAnswers swallows what comes back.
func (p *FaultyProxy) LoseAnswers(on bool) { p.deaf.Store(on) }

// Reset ends all connections.
func (p *FaultyProxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		abort(c)
	}
	clear(p.conns)
}

// abort closes with a reset.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

func (p *FaultyProxy) serve(in net.Conn) {
	out, err := net.DialTimeout("tcp", p.to, 3*time.Second)
	if err != nil {
		abort(in)
		return
	}
	p.mu.Lock()
	p.conns[in], p.conns[out] = true, true
	p.mu.Unlock()
	var wg sync.WaitGroup
	wg.Add(2)
	go func() { defer wg.Done(); p.pipe(in, out, false) }()
	go func() { defer wg.Done(); p.pipe(out, in, true) }()
	wg.Wait()
	p.mu.Lock()
	delete(p.conns, in)
	delete(p.conns, out)
	p.mu.Unlock()
}

type piece struct {
	at    time.Time
	bytes []byte
}

// pipe copies one direction: the reader notes when each piece is due, the writer waits for it.
func (p *FaultyProxy) pipe(from, to net.Conn, back bool) {
	pieces := make(chan piece, 256)
	go func() {
		defer close(pieces)
		p.read(from, pieces, back)
	}()
	defer func() {
		abort(to)
		abort(from)
		for range pieces {
		}
	}()
	for x := range pieces {
		time.Sleep(time.Until(x.at))
		if _, err := to.Write(x.bytes); err != nil {
			return
		}
	}
}

func (p *FaultyProxy) read(from net.Conn, pieces chan<- piece, back bool) {
	buf := make([]byte, 32<<10)
	left := int64(-1)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.mute.Load() && !(back && p.deaf.Load()) {
			b := append([]byte(nil), buf[:n]...)
			if b, left = p.cut(b, left); left == 0 {
				p.Resets.Add(1)
				err = io.EOF
			}
			pieces <- piece{time.Now().Add(p.wait()), b}
		}
		if err != nil {
			return
		}
	}
}

// cut gives the bytes that still pass on this connection; left is how many, -1 when that is not drawn yet.
func (p *FaultyProxy) cut(b []byte, left int64) ([]byte, int64) {
	n := p.breaks.Load()
	if n == 0 {
		return b, -1
	}
	if left < 0 {
		left = 1 + rand.Int64N(2*n)
	}
	b = b[:min(int64(len(b)), left)]
	return b, left - int64(len(b))
}

func (p *FaultyProxy) wait() time.Duration {
	d := time.Duration(p.delay.Load())
	if j := p.jitter.Load(); j > 0 {
		d += time.Duration(rand.Int64N(j))
	}
	return d
}
