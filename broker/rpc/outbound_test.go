package rpc

import (
	"bytes"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/wire"
)

const bigAnswer = 8 << 20

// big answers each frame with much, and keeps the connection so that a test may answer, too.
type big struct{ conns chan *Conn }

func (b big) Open(c *Conn) { b.conns <- c }
func (b big) Flush(*Conn)  {}
func (b big) Close(*Conn)  {}
func (b big) Frame(c *Conn, f *wire.Frame) {
	c.Reply(func(dst []byte) []byte { return append(dst, make([]byte, bigAnswer)...) })
}

func (c *Conn) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.out)
}

// A peer that asks and does not read holds OutboundMax and one answer, also when all its requests came with one read; what is
// answered later than it was asked ends it at twice as much.
func TestAnswersThatWaitAreBounded(t *testing.T) {
	h := big{make(chan *Conn, 1)}
	s, err := Listen(Options{Name: "test", Listen: "127.0.0.1:0", Handler: h, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	peer := dial(t, s)
	if _, err := peer.Write(bytes.Repeat(frame(nil), 60)); err != nil {
		t.Fatal(err)
	}
	c, most := <-h.conns, 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		most = max(most, c.waiting())
	}
	if most > OutboundMax+bigAnswer || most < OutboundMax {
		t.Errorf("%d bytes waited, the limit is %d", most, OutboundMax)
	}
	for range 40 { // long polls that end all at once
		c.Reply(func(dst []byte) []byte { return append(dst, make([]byte, bigAnswer)...) })
		most = max(most, c.waiting())
	}
	if most > 2*OutboundMax+bigAnswer {
		t.Errorf("%d bytes waited", most)
	}
	for deadline := time.Now().Add(10 * time.Second); s.Stats().Conns.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection goes on")
		}
	}
	if s.Stats().OverBudget.Load() != 1 {
		t.Errorf("%d connections counted as over their budget", s.Stats().OverBudget.Load())
	}
}

// Many peers that ask and do not read hold OutboundAll together, and a share and an answer each; when they go, nothing is held.
func TestAnswersOfAllConnectionsAreBounded(t *testing.T) {
	const peers = 12
	h := big{make(chan *Conn, peers)}
	s, err := Listen(Options{Name: "test", Listen: "127.0.0.1:0", Handler: h, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var deaf []interface{ Close() error }
	for range peers {
		peer := dial(t, s)
		deaf = append(deaf, peer)
		if _, err := peer.Write(bytes.Repeat(frame(nil), 60)); err != nil {
			t.Fatal(err)
		}
	}
	most := int64(0)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		most = max(most, s.Stats().Outbound.Load())
	}
	if limit := int64(OutboundAll + peers*(outboundShare+bigAnswer)); most > limit || most < OutboundAll {
		t.Errorf("%d bytes waited, the limit is %d", most, limit)
	}
	for _, peer := range deaf {
		peer.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); s.Stats().Outbound.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are held by connections that are gone", s.Stats().Outbound.Load())
		}
	}
}

// A connection that says little costs little: twenty thousand may be open.
func TestIdleConnectionsAreSmall(t *testing.T) {
	s, e := serve(t)
	const conns = 90
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for range conns {
		c := dial(t, s)
		<-e.opened
		if _, err := c.Write(frame([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		answer(t, c)
	}
	if each := (heap() - before) / conns; each > 24<<10 {
		t.Fatalf("%d bytes for each connection", each)
	}
}
