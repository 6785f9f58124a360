package grpcapi

import (
	"bufio"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// sniffer accepts connections with and without TLS on one port, as RocketMQ's proxy does: SDKs of some languages begin with TLS by default, others
// without. The first byte tells: 0x16 begins a TLS handshake, and no HTTP/2 preface. Nothing that a client does, or does not do, holds the others up.
type sniffer struct {
	net.Listener
	tls   *tls.Config
	ready chan net.Conn
	ended chan struct{}
	once  sync.Once
	slots chan struct{} // of connections that have not said anything yet
	err   error
}

const (
	tlsHandshake = 0x16
	silentMax    = 10_000 // connections that have said nothing yet; more wait to be accepted
	acceptPause  = 50 * time.Millisecond
)

func newSniffer(l net.Listener, c *tls.Config) *sniffer {
	s := &sniffer{Listener: l, tls: c, ready: make(chan net.Conn), ended: make(chan struct{}), slots: make(chan struct{}, silentMax)}
	go s.accept()
	return s
}

func (s *sniffer) accept() {
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.ended:
			return
		}
		c, err := s.Listener.Accept()
		if err != nil {
			<-s.slots
			select {
			case <-s.ended:
				return
			case <-time.After(acceptPause): // no file handles left, say
			}
			continue
		}
		go s.sniff(c)
	}
}

func (s *sniffer) sniff(c net.Conn) {
	defer func() { <-s.slots }()
	_ = c.SetReadDeadline(time.Now().Add(handshakeMax))
	r := bufio.NewReaderSize(c, 16)
	first, err := r.Peek(1)
	if err != nil {
		_ = c.Close()
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	var conn net.Conn = &peeked{c, r}
	if first[0] == tlsHandshake && s.tls != nil {
		conn = tls.Server(conn, s.tls)
	}
	select {
	case s.ready <- conn:
	case <-s.ended:
		_ = c.Close()
	}
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
