package grpcapi

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
)

// said is a log that may be read while it is written.
type said struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func sniffing(t *testing.T, c *tls.Config, only bool) (addr string, log *said) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log = &said{}
	s := newSniffer(l, c, only, slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { _ = s.Close() })
	go func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("taken"))
			_ = c.Close()
		}
	}()
	return l.Addr().String(), log
}

// says dials, writes, and reads to the end.
func says(t *testing.T, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second)) // before a handshake is given up
	b, err := io.ReadAll(c)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("it is not hung up on: %v", err)
	}
	return string(b)
}

// TestWhatIsNoGRPCIsToldSo at once, and logged: what came, from where, once for many.
func TestWhatIsNoGRPCIsToldSo(t *testing.T) {
	addr, log := sniffing(t, certificate(t), false)
	if got := says(t, addr, preface+"rest"); got != "taken" {
		t.Errorf("HTTP/2 is answered %q", got)
	}
	for range 20 {
		if got := says(t, addr, "GET / HT"); !strings.HasPrefix(got, "HTTP/1.1 505 ") || !strings.HasSuffix(got, "This port speaks gRPC, which is HTTP/2: RocketMQ 5 clients.\n") {
			t.Errorf("half a request of HTTP/1 is answered %q", got)
		}
	}
	if got := says(t, addr, "\x00\x00\x00\x10garbage"); got != "" {
		t.Errorf("garbage is answered %q", got)
	}
	if got := log.text(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="gRPC: connection closed" peer=127.0.0.1:`) || !strings.Contains(got, errNotHTTP2.Error()) {
		t.Errorf("logged: %s", got)
	}
}

// TestTLSThatFailsIsTold: a client that does not trust the certificate, or speaks no TLS behind its first byte.
func TestTLSThatFailsIsTold(t *testing.T) {
	addr, log := sniffing(t, certificate(t), false)
	says(t, addr, "\x16GARBAGE")
	if got := log.text(); !strings.Contains(got, "first record does not look like a TLS handshake") {
		t.Errorf("logged: %s", got)
	}
	addr, log = sniffing(t, certificate(t), false)
	if c, err := tls.Dial("tcp", addr, &tls.Config{ServerName: "contrail"}); err == nil {
		c.Close()
		t.Fatal("a certificate that nobody vouches for is trusted")
	}
	for end := time.Now().Add(5 * time.Second); log.text() == "" && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	if got := log.text(); !strings.Contains(got, "bad certificate") {
		t.Errorf("logged: %s", got)
	}
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, err := io.ReadAll(c); string(b) != "taken" {
		t.Errorf("%q %v", b, err)
	}
}

// TestWhoSaysNothingIsNotLogged: balancers look whether a port is open.
func TestWhoSaysNothingIsNotLogged(t *testing.T) {
	addr, log := sniffing(t, certificate(t), false)
	for range 3 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	says(t, addr, "x") // behind them
	if got := log.text(); strings.Count(got, "\n") != 1 {
		t.Errorf("logged: %s", got)
	}
}

// TestWithoutACertificate TLS is refused, and the log names the setting.
func TestWithoutACertificate(t *testing.T) {
	addr, log := sniffing(t, nil, false)
	says(t, addr, "\x16\x03\x01\x02\x00")
	if got := log.text(); !strings.Contains(got, errNoCertificate.Error()) {
		t.Errorf("logged: %s", got)
	}
}

// TestEnforcedTLS: who begins without it is refused, and the log names the setting.
func TestEnforcedTLS(t *testing.T) {
	addr, log := sniffing(t, certificate(t), true)
	if got := says(t, addr, preface); got != "" {
		t.Errorf("without TLS it is answered %q", got)
	}
	if got := log.text(); !strings.Contains(got, errPlain.Error()) {
		t.Errorf("logged: %s", got)
	}
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		c.Close()
		t.Error("TLS 1.1 is spoken")
	}
}

// TestStalledHandshakes hold nobody up: more that began than may be silent, and a client that goes on.
func TestStalledHandshakes(t *testing.T) {
	addr, _ := sniffing(t, certificate(t), false)
	for i := range silentMax + 500 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte([]string{"\x16\x03\x01", "PRI * HT", ""}[i%3])); err != nil {
			t.Fatal(err)
		}
	}
	if got := says(t, addr, preface); got != "taken" {
		t.Errorf("it is answered %q", got)
	}
}

// TestWhatStandsInFront: behind a balancer clients are told of nothing else.
func TestWhatStandsInFront(t *testing.T) {
	for front, scheme := range map[string]pb.AddressScheme{"mq.example.com:443": pb.AddressScheme_DOMAIN_NAME, "10.9.9.9:8081": pb.AddressScheme_IPv4} {
		s := &Server{o: Options{Own: "10.0.0.1:8081", Others: func() []string { return []string{"10.0.0.2:8081"} }, Front: front}}
		e := s.brokerAt("broker-a", "10.0.0.1:8081").GetEndpoints()
		if len(e.GetAddresses()) != 1 || e.GetScheme() != scheme || fmt.Sprintf("%s:%d", e.GetAddresses()[0].GetHost(), e.GetAddresses()[0].GetPort()) != front {
			t.Errorf("%s: clients are told %v", front, e)
		}
	}
}

// TestResetsAreOneLine: what is said of each has an address of its own.
func TestResetsAreOneLine(t *testing.T) {
	addr, log := sniffing(t, certificate(t), false)
	for i := range 40 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte([]string{"PRI * HT", "\x16\x03\x01"}[i%2]))
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	says(t, addr, "x")
	if n := strings.Count(log.text(), "\n"); n > 3 {
		t.Errorf("%d lines: %s", n, log.text())
	}
}
