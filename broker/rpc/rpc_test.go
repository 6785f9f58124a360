package rpc

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/wire"
)

// echo answers every frame with its own body.
type echo struct{ opened, closed chan struct{} }

func (e echo) Open(*Conn)  { e.opened <- struct{}{} }
func (e echo) Flush(*Conn) {}
func (e echo) Close(*Conn) { e.closed <- struct{}{} }
func (e echo) Frame(c *Conn, f *wire.Frame) {
	c.Reply(func(dst []byte) []byte {
		w := wire.Response(dst, f.Type, f.Opaque, 0, "")
		return append(w.End(len(f.Body)), f.Body...)
	})
}

func serve(t *testing.T) (*Server, echo) {
	t.Helper()
	e := echo{make(chan struct{}, 100), make(chan struct{}, 100)}
	s, err := Listen(Options{Name: "test", Listen: "127.0.0.1:0", Handler: e, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, e
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func frame(body []byte) []byte {
	w := wire.Request(nil, wire.JSON, 5, 10)
	return append(w.End(len(body)), body...)
}

// TestFramesInAnyPieces: frames come whole however they are cut, also one of several megabytes.
func TestFramesInAnyPieces(t *testing.T) {
	s, _ := serve(t)
	c := dial(t, s)
	for _, size := range []int{0, 1, 100, 70_000, 5 << 20} {
		b := frame(make([]byte, size))
		b = append(b, frame([]byte("second"))...)
		go func() {
			for len(b) > 0 {
				n := min(len(b), 1+len(b)/3)
				if _, err := c.Write(b[:n]); err != nil {
					return
				}
				b = b[n:]
			}
		}()
		for _, want := range []int{size, 6} {
			if got := len(answer(t, c).Body); got != want {
				t.Fatalf("answer of %d bytes, expected %d", got, want)
			}
		}
	}
}

func answer(t *testing.T, c net.Conn) *wire.Frame {
	t.Helper()
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, int(head[0])<<24|int(head[1])<<16|int(head[2])<<8|int(head[3]))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	f := &wire.Frame{}
	if err := f.Decode(b); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestGarbageClosesOnlyItsConnection(t *testing.T) {
	s, e := serve(t)
	good := dial(t, s)
	<-e.opened
	for _, garbage := range []string{"\x00\x00\x00\x00", "\xff\xff\xff\xff", "GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x04\x07\x00\x00\x00"} {
		bad := dial(t, s)
		<-e.opened
		if _, err := bad.Write([]byte(garbage)); err != nil {
			t.Fatal(err)
		}
		if _, err := bad.Read(make([]byte, 1)); err == nil {
			t.Fatalf("%q was answered", garbage)
		}
		<-e.closed
	}
	if _, err := good.Write(frame([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	if got := string(answer(t, good).Body); got != "x" {
		t.Fatal(got)
	}
	if n := s.Stats().Malformed.Load(); n != 4 {
		t.Fatalf("%d malformed counted", n)
	}
}

// TestAnnouncedLengthTakesNoMemory: memory is taken as bytes arrive, not as they are announced.
func TestAnnouncedLengthTakesNoMemory(t *testing.T) {
	s, e := serve(t)
	for range 50 {
		c := dial(t, s)
		<-e.opened
		if _, err := c.Write([]byte{0, 0xff, 0xff, 0xff, 0, 0, 0, 1, 'x'}); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Stats().Inbound.Load(); n != 0 {
		t.Fatalf("%d bytes are reserved for what was announced only", n)
	}
}

// TestSlowFramesAndSilenceEnd: a frame that trickles in, half a header, and a silent connection are closed at their deadlines;
// what they hold until then is small.
func TestSlowFramesAndSilenceEnd(t *testing.T) {
	e := echo{make(chan struct{}, 100), make(chan struct{}, 100)}
	s, err := Listen(Options{
		Name: "test", Listen: "127.0.0.1:0", Handler: e, Log: slog.New(slog.DiscardHandler), FrameTimeout: 2500 * time.Millisecond, IdleTimeout: 2500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	half := dial(t, s)
	if _, err := half.Write(frame([]byte("body"))[:6]); err != nil {
		t.Fatal(err)
	}
	dial(t, s) // silent
	slow := dial(t, s)
	go func() {
		for _, b := range frame(make([]byte, 200)) {
			if _, err := slow.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	for range 3 {
		select {
		case <-e.closed:
		case <-time.After(15 * time.Second):
			t.Fatal("a connection that does not get on is kept")
		}
	}
	if n := s.Stats().TimedOut.Load(); n != 3 {
		t.Fatalf("%d of 3 were counted as timed out", n)
	}
}
