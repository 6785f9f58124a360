package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/contrailmq/contrail/broker/complain"
	"github.com/contrailmq/contrail/broker/wire"
)

// Limits (perf-reliability.md 13.3).
const (
	IdleTimeout   = 120 * time.Second
	FrameTimeout  = 30 * time.Second
	complainEvery = time.Second // of one kind
	WriteTimeout  = 30 * time.Second
	ConnsMax      = 20_000
	InboundMax    = 256 << 20 // bytes of unfinished frames of all connections
	OutboundMax   = 64 << 20  // answers of one connection that wait; then it is not read
	OutboundEnd   = 128 << 20 // then it is ended: what it had asked for before goes on being answered
	OutboundAll   = 256 << 20 // answers of all connections that wait; then those that have more than their share are not read
	firstBytes    = 4 << 10   // of a connection's buffer until a read fills it
	readBytes     = 64 << 10
	keepOut       = 1 << 20
	settleEvery   = 5 * time.Millisecond
	outboundShare = 1 << 20
	directMax     = 1 << 20 // answers that are tried to be written without the writer
)

// Handler gives frames their meaning. Its methods are called by the connection's reading goroutine.
type Handler interface {
	Open(c *Conn)
	// Frame handles one frame; it and its slices are gone when Frame returns.
	Frame(c *Conn, f *wire.Frame)
	// Flush is called when all frames of one read were handled.
	Flush(c *Conn)
	Close(c *Conn)
}

// Options of a server.
type Options struct {
	Name    string // for the log
	Listen  string
	Handler Handler
	Log     *slog.Logger
	// FrameTimeout and IdleTimeout are the constants when they are 0.
	FrameTimeout, IdleTimeout time.Duration
	// BeforeWrite is called before each write that carries an answer given with Delivery.
	BeforeWrite func()
	// Answered is told of each request: its code, the answer's, how long it took, and whether it was held by long polling.
	Answered func(code, response int32, micros int64, held bool)
}

// Stats are a server's counters.
type Stats struct {
	Conns, Accepted, Refused, Malformed, TimedOut, OverBudget     atomic.Int64
	Frames, BytesIn, BytesOut, Writes, Inbound, Outbound, Stalled atomic.Int64
}

// Server is one port.
type Server struct {
	opts       Options
	listener   net.Listener
	stats      Stats
	mu         sync.Mutex
	conns      map[*Conn]struct{}
	closed     bool
	draining   atomic.Bool // nothing more is read
	wg         sync.WaitGroup
	complaints *complain.Log
}

// Listen opens the port and begins to serve.
func Listen(o Options) (*Server, error) {
	o.FrameTimeout, o.IdleTimeout = cmp.Or(o.FrameTimeout, FrameTimeout), cmp.Or(o.IdleTimeout, IdleTimeout)
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Name, err)
	}
	s := &Server{opts: o, listener: l, conns: map[*Conn]struct{}{}, complaints: complain.New(o.Log, o.Name+": ")}
	s.wg.Add(1)
	go s.accept()
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Stats gives the counters.
func (s *Server) Stats() *Stats { return &s.stats }

// Close ends all connections.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.End()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	s.wg.Wait()
	return err
}

// Shutdown stops accepting and reading, waits until what was asked is answered and written or ctx ends, and closes.
func (s *Server) Shutdown(ctx context.Context) error {
	s.listener.Close()
	s.draining.Store(true)
	s.mu.Lock()
	for c := range s.conns {
		_ = c.conn.SetReadDeadline(time.Now()) // it fails where there is nothing to wake
	}
	s.mu.Unlock()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ended := false; !ended && !s.quiet(); {
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		}
	}
	err := s.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

func (s *Server) quiet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.pending() {
			return false
		}
	}
	return true
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.complain("accept failed", "err", err)
			time.Sleep(50 * time.Millisecond) // out of descriptors: others must end first
			continue
		}
		s.start(nc)
	}
}

func (s *Server) start(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= ConnsMax {
		s.stats.Refused.Add(1)
		nc.Close()
		return
	}
	addr, _ := netip.ParseAddrPort(nc.RemoteAddr().String())
	c := &Conn{s: s, conn: nc, Addr: netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())}
	c.cond.L = &c.mu
	if sc, ok := nc.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
	}
	s.conns[c] = struct{}{}
	s.stats.Conns.Add(1)
	s.stats.Accepted.Add(1)
	s.wg.Add(2)
	go c.read()
	go c.write()
}

func (s *Server) gone(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.stats.Conns.Add(-1)
}

func (s *Server) complain(msg string, args ...any) {
	s.complaints.Warn(msg, complainEvery, msg, args...)
}
