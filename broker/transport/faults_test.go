package transport

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// mute is an acceptor that shakes hands as node 2 and then does what then does with the connection.
func mute(t testing.TB, then func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				id := identity{cluster: "test", node: 2, incarnation: 102, key: []byte("secret")}
				if _, err := id.accept(c); err == nil && greet(c, welcome) == nil {
					then(c)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// knock shakes hands with n as node id and returns the connection.
func knock(t testing.TB, n *node, id uint64) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	me := identity{cluster: "test", node: id, incarnation: 100 + id, key: []byte("secret")}
	if err := me.dial(c, n.opts.Node, forMessages); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPeerThatNeverReadsCostsABoundedQueue(t *testing.T) {
	l := quick()
	l.silence, l.queueBytes, l.queueMessages, l.asideBytes = time.Minute, 8<<20, 100, 1<<20
	a := boot(t, options(1), l)
	a.SetPeers(map[uint64]string{2: mute(t, func(net.Conn) {})})
	until(t, "connected", func() bool { return a.status(t, 2).Connected })
	data, slowest := make([]byte, 1<<20), time.Duration(0)
	for i := range uint64(200) {
		began := time.Now()
		a.Send("g", []*pb.Message{appending(1, 2, i, data)})
		a.Aside("g", 2, 0, data[:1000])
		slowest = max(slowest, time.Since(began))
		if q := a.status(t, 2).QueuedBytes; q > 9<<20 {
			t.Fatalf("%d bytes are queued", q)
		}
	}
	if slowest > time.Second {
		t.Errorf("sending took %v", slowest)
	}
	if a.told("g", 2) == 0 || a.status(t, 2).Dropped == 0 {
		t.Errorf("told %d times, %+v", a.told("g", 2), a.status(t, 2))
	}
	for a.Aside("g", 2, 0, data[:100_000]) {
	}
	before := a.status(t, 2).QueuedMessages
	a.Send("g", []*pb.Message{heartbeat(1, 2, 1)}) // asides took no room of raft messages
	if after := a.status(t, 2).QueuedMessages; after != before+1 {
		t.Errorf("%d messages were queued, then %d", before, after)
	}
}

func TestPeerThatStopsReadingIsLeft(t *testing.T) {
	t.Parallel()
	l := quick()
	l.silence = 700 * time.Millisecond
	a := boot(t, options(1), l)
	a.SetPeers(map[uint64]string{2: mute(t, func(net.Conn) {})})
	until(t, "connected", func() bool { return a.status(t, 2).Connects > 0 })
	a.Send("g", []*pb.Message{appending(1, 2, 1, make([]byte, 30<<20))})
	until(t, "left", func() bool { return a.told("g", 2) > 0 && a.status(t, 2).Connects > 1 })
	until(t, "the silence is named", func() bool { return a.logged("connection ended") })
}

// hole passes bytes between two ends until frozen is closed: then nothing comes any more, and no connection ends.
type hole struct {
	l      net.Listener
	frozen chan struct{}
}

func newHole(t testing.TB, to string) *hole {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hole{l: l, frozen: make(chan struct{})}
	var wg sync.WaitGroup
	end := make(chan struct{})
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			wg.Go(func() { h.pass(in, out) })
			wg.Go(func() { h.pass(out, in) })
			wg.Go(func() { <-end; in.Close(); out.Close() })
		}
	})
	t.Cleanup(func() { l.Close(); close(end); wg.Wait() })
	return h
}

func (h *hole) pass(from, to net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		select {
		case <-h.frozen:
			return
		default:
		}
		if err != nil {
			to.Close()
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func TestHalfOpenPeerIsNoticedByBothSides(t *testing.T) {
	t.Parallel()
	l := quick()
	l.silence = 700 * time.Millisecond
	a, b := boot(t, options(1), l), boot(t, options(2), l)
	h := newHole(t, b.Addr())
	a.SetPeers(map[uint64]string{2: h.l.Addr().String()})
	until(t, "connected", func() bool { return a.status(t, 2).Connected && len(b.heardNodes()) == 1 })
	a.Send("g", []*pb.Message{heartbeat(1, 2, 1)})
	until(t, "arrived", func() bool { return len(b.got("g")) == 1 })
	began := time.Now()
	close(h.frozen)
	until(t, "the dialler notices", func() bool { return a.logged("nothing was heard for 700ms") })
	until(t, "the acceptor notices", func() bool { return b.logged("nothing was heard for 700ms") })
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("noticed after %v", d)
	}
	if a.told("g", 2) == 0 {
		t.Error("the group was not told")
	}
}

// An idle connection stays: pings are life enough for both sides.
func TestQuietConnectionLives(t *testing.T) {
	t.Parallel()
	l := quick()
	l.ping, l.silence = 20*time.Millisecond, time.Second
	nodes := cluster(t, l, 1, 2)
	began := time.Now()
	until(t, "three silences are over", func() bool { return time.Since(began) > 3*l.silence })
	for i, n := range nodes {
		if p := n.status(t, uint64(2-i)); !p.Connected || p.Connects != 1 {
			t.Errorf("%+v", p)
		}
	}
}

// A frame that takes longer than the silence to come does not end its connection.
func TestSlowFrameIsNoSilence(t *testing.T) {
	t.Parallel()
	l := quick()
	l.ping, l.silence = 20*time.Millisecond, time.Second
	b := boot(t, options(2), l)
	c := knock(t, b, 1)
	pongs := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, c)
		pongs <- n
	}()
	frame := wired(t, newBuilder(), "g", appending(1, 2, 1, make([]byte, 100<<10)))
	for began, step := time.Now(), len(frame)/150+1; len(frame) > 0; frame = frame[min(step, len(frame)):] {
		if _, err := c.Write(frame[:min(step, len(frame))]); err != nil {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		time.Sleep(20 * time.Millisecond) // the pace of the slow peer
	}
	until(t, "arrived", func() bool { return len(b.got("g")) == 1 })
	c.Close()
	if n := <-pongs; n < 5*(frameHead+pingBody) {
		t.Errorf("the sender heard %d bytes meanwhile", n)
	}
}

func newBuilder() *builder {
	b := &builder{}
	b.reset()
	return b
}

// ends waits until the other side has closed the connection.
func ends(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection was not closed")
	}
}

func TestGarbageEndsTheConnectionWithALine(t *testing.T) {
	good := wired(t, newBuilder(), "g", heartbeat(1, 2, 1))
	change := func(i int, v byte) []byte { b := bytes.Clone(good); b[i] = v; return b }
	aside := newBuilder()
	start := aside.begin(kindAside, "g", 0)
	aside.end(start)
	for name, c := range map[string]struct {
		bytes  []byte
		logged string
	}{
		"length":       {change(3, 0x7f), "the limit is 67108864"},
		"kind":         {change(4, 9), "unknown kind 9; the last known one is 4"},
		"group":        {change(5, 250), "group name of 250"},
		"reserved":     {change(6, 1), "0x1 where 0 is expected"},
		"checksum":     {change(40, 77), "its header says"},
		"pong":         {appendPing(nil, kindPong, 1), "a pong from the side that pings"},
		"not to us":    {wired(t, newBuilder(), "g", heartbeat(1, 7, 1)), "a raft message to node 7; this is node 2"},
		"unknown type": {wired(t, newBuilder(), "g", &pb.Message{Type: pb.MessageType(99).Enum(), To: new(uint64(2))}), "of type 99"},
		"no aside":     {aside.head, "an aside without a kind"},
	} {
		t.Run(name, func(t *testing.T) {
			b := boot(t, options(2), quick())
			conn := knock(t, b, 1)
			if _, err := conn.Write(append(bytes.Clone(good), c.bytes...)); err != nil {
				t.Fatal(err)
			}
			ends(t, conn)
			until(t, c.logged, func() bool { return b.logged(c.logged) })
			if len(b.got("g")) != 1 || b.Counts().Malformed != 1 || b.Counts().Reading != 0 {
				t.Errorf("%d messages came, %+v", len(b.got("g")), b.Counts())
			}
		})
	}
}

func TestGarbageInPlaceOfAHandshakeIsRefused(t *testing.T) {
	l := quick()
	l.handshake = 200 * time.Millisecond
	for name, c := range map[string]struct{ bytes, logged string }{
		"HTTP":    {"GET / HTTP/1.1\r\nHost: a-broker-of-contrail.example.com:10911\r\nAccept: */*\r\n\r\n", `begins with "GET / HT"`},
		"nothing": {"", "i/o timeout"},
		"half":    {magic, "i/o timeout"},
		"version": {helloOf(t, func(h *hello) { h.version = 7 }), "its protocol version is 7, ours 2"},
		"self":    {helloOf(t, func(h *hello) { h.node = 2 }), "it says to be node 2, this is node 2"},
		"proof":   {helloOf(t, func(*hello) {}) + "\x00" + strings.Repeat("x", 32), "its proof of the cluster key is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			b := boot(t, options(2), l)
			conn, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err := conn.Write([]byte(c.bytes)); err != nil {
				t.Fatal(err)
			}
			ends(t, conn)
			until(t, c.logged, func() bool { return b.logged(c.logged) })
			if n := b.Counts(); n.Accepted != 0 || n.Refused != 1 {
				t.Errorf("%+v", n)
			}
		})
	}
}

func helloOf(t *testing.T, f func(*hello)) string {
	t.Helper()
	id := identity{cluster: "test", node: 1, incarnation: 101}
	h := id.hello(2, forMessages)
	f(&h)
	return string(h.append(nil))
}

// What an acceptor may answer to a dialler with the right key.
func TestDiallerLeavesAnAcceptorThatSendsGarbage(t *testing.T) {
	for name, c := range map[string]struct {
		bytes  []byte
		logged string
	}{
		"ping": {appendPing(nil, kindPing, 1), "a frame of kind 3 with 8 bytes where one of kind 4"},
		"long": {wired(t, newBuilder(), "g", heartbeat(2, 1, 1)), "a frame of kind 1"},
		"flip": {append(appendPing(nil, kindPong, 1)[:19], 1), "its header says"},
	} {
		t.Run(name, func(t *testing.T) {
			a := boot(t, options(1), quick())
			a.SetPeers(map[uint64]string{2: mute(t, func(conn net.Conn) { _, _ = conn.Write(c.bytes) })})
			until(t, c.logged, func() bool { return a.logged(c.logged) })
		})
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	l := quick()
	l.conns = 2
	b := boot(t, options(2), l)
	knock(t, b, 1)
	knock(t, b, 3)
	c, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	ends(t, c)
	until(t, "logged", func() bool { return b.logged("too many") && b.logged("limit=2") })
}

func TestFramesBeingReadAreBounded(t *testing.T) {
	l := quick()
	l.reading = 10_000
	b := boot(t, options(2), l)
	c := knock(t, b, 1)
	if _, err := c.Write(wired(t, newBuilder(), "g", appending(1, 2, 1, make([]byte, 11_000)))); err != nil {
		t.Fatal(err)
	}
	ends(t, c)
	until(t, "logged", func() bool { return b.logged("the limit is 10000") })
	if n := b.Counts().Reading; n != 0 {
		t.Errorf("%d bytes are still reserved", n)
	}
}

// A node that dials again before its old connection is found to be dead has one connection then.
func TestNewConnectionReplacesTheOldOne(t *testing.T) {
	b := boot(t, options(2), quick())
	first := knock(t, b, 1)
	second := knock(t, b, 1)
	ends(t, first)
	if _, err := second.Write(wired(t, newBuilder(), "g", heartbeat(1, 2, 1))); err != nil {
		t.Fatal(err)
	}
	until(t, "arrived", func() bool { return len(b.got("g")) == 1 })
}

func TestTooLargeMessagesAreDropped(t *testing.T) {
	nodes := cluster(t, quick(), 1, 2)
	nodes[0].Send("g", []*pb.Message{appending(1, 2, 1, make([]byte, FrameMax))})
	if nodes[0].told("g", 2) != 1 || !nodes[0].logged("limit=67108864") {
		t.Error("neither told nor logged")
	}
	if nodes[0].Aside(strings.Repeat("g", 256), 2, 0, nil) {
		t.Error("a group's name of 256 bytes was taken")
	}
	nodes[0].Send("g", []*pb.Message{appending(1, 2, 1, make([]byte, FrameMax-1000))})
	until(t, "the largest arrived", func() bool { return len(nodes[1].got("g")) == 1 })
}

// While asides wait, raft messages pass them.
func TestRaftMessagesPassAsides(t *testing.T) {
	a := boot(t, options(1), quick())
	p := &peer{t: a.Transport, id: 2, wake: make(chan struct{}, 1), groups: map[string]struct{}{},
		raft: lane{maxBytes: 1000, maxMessages: 10}, asides: lane{maxBytes: 1 << 20, maxMessages: 10}}
	for range 3 {
		p.push(&p.asides, item{group: "g", size: 100_000})
	}
	p.send("g", heartbeat(1, 2, 1))
	p.send("g", heartbeat(1, 2, 2))
	if items, from := p.next(nil); len(items) != 2 || from != &p.raft {
		t.Errorf("%d items come first", len(items))
	}
	if items, from := p.next(nil); len(items) != 1 || from != &p.asides {
		t.Errorf("%d items come next", len(items))
	}
	p.send("g", heartbeat(1, 2, 3))
	if items, from := p.next(nil); len(items) != 1 || from != &p.raft {
		t.Errorf("%d items come third", len(items))
	}
}

// A lane keeps order and counts while it is pushed and taken at once.
func TestLaneIsAQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := lane{maxBytes: 300, maxMessages: 20}
		var want []int
		bytes := 0
		for i := range rapid.IntRange(0, 300).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "act") > 0 {
				size := rapid.IntRange(1, 400).Draw(t, "size")
				fits := len(want) == 0 || bytes+size <= 300 && len(want) < 20
				if l.push(item{kind: uint8(i), size: size}) != fits {
					t.Fatalf("fits %v", fits)
				}
				if fits {
					want, bytes = append(want, i), bytes+size
				}
				continue
			}
			items := l.take(nil, rapid.IntRange(1, 200).Draw(t, "take"))
			l.settle(items)
			for _, it := range items {
				if it.kind != uint8(want[0]) {
					t.Fatalf("%d came for %d", it.kind, want[0])
				}
				want, bytes = want[1:], bytes-it.size
			}
			if l.bytes != bytes || l.messages != len(want) {
				t.Fatalf("%d bytes in %d items, expected %d in %d", l.bytes, l.messages, bytes, len(want))
			}
		}
		if n := l.drop(); n != len(want) {
			t.Fatalf("%d dropped of %d", n, len(want))
		}
	})
}

func TestNoGoroutineIsLeft(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("cluster", func(t *testing.T) {
		nodes := cluster(t, quick(), 1, 2, 3)
		nodes[0].Send("g", everyKind(1, 2))
		nodes[2].SetPeers(map[uint64]string{9: "127.0.0.1:1"})
	})
}

// With TLS the proofs are bound to the session, and everything arrives just so.
func TestOverTLS(t *testing.T) {
	config := certificate(t)
	oa, ob := options(1), options(2)
	oa.TLS, ob.TLS = config, config
	a, b := boot(t, oa, quick()), boot(t, ob, quick())
	a.SetPeers(map[uint64]string{2: b.Addr()})
	until(t, "connected", func() bool { return a.status(t, 2).Connected })
	want := everyKind(1, 2)
	a.Send("g", want)
	until(t, "arrived", func() bool { return len(b.got("g")) == len(want) })
	equal(t, b.got("g"), want)
	plain := boot(t, options(3), quick())
	plain.SetPeers(map[uint64]string{2: b.Addr()})
	until(t, "refused", func() bool { return plain.status(t, 2).LastError != "" })
}

// Who stands between two TLS sessions, and whom both sides' certificates satisfy, cannot pass the proofs on.
func TestProofsAreBoundToTheSession(t *testing.T) {
	config := certificate(t)
	ob := options(2)
	ob.TLS = config
	b := boot(t, ob, quick())
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := tls.Dial("tcp", b.Addr(), config)
			if err != nil {
				in.Close()
				continue
			}
			wg.Go(func() { _, _ = io.Copy(in, out); in.Close() })
			wg.Go(func() { _, _ = io.Copy(out, in); out.Close() })
		}
	})
	oa := options(1)
	oa.TLS = config
	a := boot(t, oa, quick())
	a.SetPeers(map[uint64]string{2: l.Addr().String()})
	until(t, "refused", func() bool { return strings.Contains(a.status(t, 2).LastError, "proof of the cluster key") })
	_ = a.Close()
}

// certificate is a configuration for both ends on loopback.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: pool}
}
