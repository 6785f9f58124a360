package transport

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// echoing takes streams and sends back what comes.
func echoing(o Options) Options {
	o.Stream = func(_ uint64, c net.Conn) {
		if _, err := io.Copy(c, c); err == nil {
			_ = c.(interface{ CloseWrite() error }).CloseWrite()
		}
	}
	return o
}

func pair(t *testing.T, l limits, change func(*Options)) (from, to *node) {
	t.Helper()
	one, two := options(1), echoing(options(2))
	if change != nil {
		change(&one)
		change(&two)
	}
	from, to = boot(t, one, l), boot(t, two, l)
	from.SetPeers(map[uint64]string{2: to.Addr()})
	to.SetPeers(map[uint64]string{1: from.Addr()})
	return from, to
}

func stopwatch(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func echoes(t *testing.T, c net.Conn, bytes int64) {
	t.Helper()
	sent, got := sha256.New(), sha256.New()
	go func() {
		_, _ = io.CopyN(io.MultiWriter(c, sent), rand.Reader, bytes)
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	n, err := io.Copy(got, c)
	if err != nil || n != bytes || string(got.Sum(nil)) != string(sent.Sum(nil)) {
		t.Errorf("%d of %d bytes came back: %v", n, bytes, err)
	}
}

func TestAStreamCarriesBytesBothWays(t *testing.T) {
	from, to := pair(t, quick(), nil)
	c, err := from.Dial(stopwatch(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	echoes(t, c, 5<<20)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	until(t, "the stream is counted off", func() bool { return from.Counts().Streams+to.Counts().Streams == 0 })
}

func TestAStreamOverTLS(t *testing.T) {
	config := certificate(t)
	from, _ := pair(t, quick(), func(o *Options) { o.TLS = config })
	c, err := from.Dial(stopwatch(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	echoes(t, c, 1<<20)
}

// Streams are bounded per node, and take no place of raft's connections.
func TestStreamsAreBounded(t *testing.T) {
	l := quick()
	l.streams, l.conns = 4, 4
	from, to := pair(t, l, nil)
	until(t, "raft's connections stand", func() bool { return from.status(t, 2).Connected && to.status(t, 1).Connected })
	var all []net.Conn
	for range l.streams {
		c, err := from.Dial(stopwatch(t), 2)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if _, err := from.Dial(stopwatch(t), 2); err == nil || !strings.Contains(err.Error(), "limit is 4") {
		t.Errorf("a fifth stream: %v", err)
	}
	from.limits.streams = 10 // the other side counts for itself
	if _, err := from.Dial(stopwatch(t), 2); err == nil || !strings.Contains(err.Error(), "too many streams") {
		t.Errorf("a fifth stream: %v", err)
	}
	if s := to.status(t, 1); !s.Connected || !from.status(t, 2).Inbound {
		t.Errorf("raft's connections suffer: %+v", s)
	}
	for _, c := range all {
		c.Close()
	}
	until(t, "there is room again", func() bool {
		c, err := from.Dial(stopwatch(t), 2)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func TestStreamsThatCannotBe(t *testing.T) {
	from, to := pair(t, quick(), nil)
	if _, err := to.Dial(stopwatch(t), 1); err == nil || !strings.Contains(err.Error(), "takes no streams") {
		t.Errorf("to a node that takes none: %v", err)
	}
	if _, err := from.Dial(stopwatch(t), 9); err == nil || !strings.Contains(err.Error(), "no peer") {
		t.Errorf("to a stranger: %v", err)
	}
	other := options(3)
	other.Key = []byte("wrong")
	stranger := boot(t, other, quick())
	stranger.SetPeers(map[uint64]string{2: to.Addr()})
	if _, err := stranger.Dial(stopwatch(t), 2); err == nil || !strings.Contains(err.Error(), "cluster key") {
		t.Errorf("with another key: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // who takes the connection and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	from.SetPeers(map[uint64]string{4: l.Addr().String()})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := from.Dial(ctx, 4); err == nil || from.Counts().Streams != 0 {
		t.Errorf("to a mute one: %v, %d streams", err, from.Counts().Streams)
	}
}

func TestAnIdleStreamEnds(t *testing.T) {
	l := quick()
	l.idle = 200 * time.Millisecond
	from, to := pair(t, l, nil)
	c, err := from.Dial(stopwatch(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 { // bytes keep it
		time.Sleep(50 * time.Millisecond)
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a read of an idle stream gave something")
	}
	c.Close()
	until(t, "the other side left it, too", func() bool { return to.Counts().Streams == 0 })
}

// Closing a node ends its streams, at both ends.
func TestStreamsEndWithTheNode(t *testing.T) {
	from, to := pair(t, quick(), nil)
	c, err := from.Dial(stopwatch(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it lives on")
	}
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if n := from.Counts().Streams; n != 0 {
		t.Errorf("%d streams are left", n)
	}
}
