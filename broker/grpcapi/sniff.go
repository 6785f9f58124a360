package grpcapi

import (
	"bufio"
	"container/list"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/complain"
)

// sniffer accepts connections with and without TLS on one port, as RocketMQ's proxy does: SDKs of some languages begin with TLS by default, others
// without. The first byte tells: 0x16 begins a TLS handshake, and no HTTP/2 preface. What is neither is told what this port is, and closed. Nothing that a
// client does, or does not do, holds the others up.
type sniffer struct {
	net.Listener
	tls   *tls.Config // nil: nobody may use it
	only  bool        // everybody must
	ready chan net.Conn
	ended chan struct{}
	once  sync.Once
	err   error
	conns atomic.Int64

	mu     sync.Mutex
	silent list.List // of net.Conn that have not said what they speak yet, the first first

	complaints *complain.Log
}

const (
	tlsHandshake = 0x16
	connsMax     = 20_000
	silentMax    = 1000 // of more that have not said what they speak yet, the one that was silent longest is closed
	acceptPause  = 50 * time.Millisecond
	tellEvery    = 5 * time.Second // of what one kind of wrong peer did

	preface  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" // RFC 9113, 3.4
	notHTTP2 = "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain\r\nContent-Length: 60\r\nConnection: close\r\n\r\nThis port speaks gRPC, which is HTTP/2: RocketMQ 5 clients.\n"
)

func newSniffer(l net.Listener, c *tls.Config, only bool, log *slog.Logger) *sniffer {
	s := &sniffer{complaints: complain.New(log, "gRPC: "), Listener: l, tls: c, only: only, ready: make(chan net.Conn), ended: make(chan struct{})}
	go s.accept()
	return s
}

func (s *sniffer) accept() {
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			select {
			case <-s.ended:
				return
			case <-time.After(acceptPause): // no file handles left, say
				s.complaints.Warn("accept", tellEvery, "accept failed", "err", err)
			}
			continue
		}
		if n := s.conns.Add(1); n > connsMax {
			s.complaints.Warn("too many", tellEvery, "connection refused: too many", "peer", c.RemoteAddr(), "limit", connsMax)
			s.conns.Add(-1)
			_ = c.Close()
			continue
		}
		go s.sniff(&counted{Conn: c, of: &s.conns})
	}
}

// counted is one of the connections that are there.
type counted struct {
	net.Conn
	of   *atomic.Int64
	once sync.Once
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(func() { c.of.Add(-1) })
	return c.Conn.Close()
}

// waits notes a connection that has said nothing yet, and closes another one when there are too many.
func (s *sniffer) waits(c net.Conn) *list.Element {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent.Len() >= silentMax {
		_ = s.silent.Front().Value.(net.Conn).Close()
		s.silent.Remove(s.silent.Front())
	}
	return s.silent.PushBack(c)
}

func (s *sniffer) spoke(e *list.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent.Remove(e) // nothing, if it was removed already
}

func (s *sniffer) sniff(c net.Conn) {
	e := s.waits(c)
	conn, err := s.greet(c)
	s.spoke(e)
	if err != nil {
		if !errors.Is(err, errSilent) {
			s.complaints.Warn(kindOf(err), tellEvery, "connection closed", "peer", c.RemoteAddr(), "err", err)
		}
		_ = c.Close()
		return
	}
	select {
	case s.ready <- conn:
	case <-s.ended:
		_ = c.Close()
	}
}

var (
	errSilent        = errors.New("it said nothing") // a balancer looks whether the port is open, say
	errNotHTTP2      = errors.New("it does not speak HTTP/2")
	errPlain         = errors.New("it does not begin with a TLS handshake, and grpc.tls is enforcing")
	errNoCertificate = errors.New("it begins a TLS handshake, and grpc.tls is disabled")
)

// kindOf is for the log: what is said of one error has addresses and numbers of its own.
func kindOf(err error) string {
	for _, kind := range []error{errNotHTTP2, errPlain, errNoCertificate} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return "TLS"
}

// greet waits until it is clear that a client speaks what this port does.
func (s *sniffer) greet(c net.Conn) (net.Conn, error) {
	_ = c.SetDeadline(time.Now().Add(handshakeMax))
	p := &peeked{c, bufio.NewReaderSize(c, len(preface))}
	first, err := p.r.Peek(1)
	if err != nil {
		return nil, errSilent
	}
	var conn net.Conn = p
	switch {
	case first[0] != tlsHandshake && s.only:
		err = errPlain
	case first[0] != tlsHandshake:
		err = p.speaksHTTP2()
	case s.tls == nil:
		err = errNoCertificate
	default:
		t := tls.Server(p, s.tls)
		conn, err = t, t.Handshake()
	}
	if err != nil {
		return nil, err
	}
	return conn, c.SetDeadline(time.Time{})
}

// speaksHTTP2 reads as far as what comes can be the preface of HTTP/2. Who speaks HTTP/1, a person with curl say, is told what this port is.
func (p *peeked) speaksHTTP2() error {
	for n := 1; n <= len(preface); n++ {
		b, err := p.r.Peek(n)
		if err != nil {
			return fmt.Errorf("%w: it began like it, and did not go on: %w", errNotHTTP2, err)
		}
		if b[n-1] == preface[n-1] {
			continue
		}
		if 'A' <= b[0] && b[0] <= 'Z' {
			_, _ = p.Conn.Write([]byte(notHTTP2))
		}
		return errNotHTTP2
	}
	return nil
}

// Accept implements net.Listener.
func (s *sniffer) Accept() (net.Conn, error) {
	select {
	case c := <-s.ready:
		return c, nil
	case <-s.ended:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *sniffer) Close() error {
	s.once.Do(func() {
		close(s.ended)
		s.err = s.Listener.Close()
	})
	return s.err
}

// peeked is a connection of which something was read ahead.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) {
	if p.r != nil {
		n, err := p.r.Read(b)
		if p.r.Buffered() == 0 {
			p.r = nil
		}
		return n, err
	}
	return p.Conn.Read(b)
}
