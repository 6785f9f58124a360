package grpcapi

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/service"
)

// Names of what a client says of itself with each call.
const (
	clientIDKey = "x-mq-client-id"
	languageKey = "x-mq-language"
	versionKey  = "x-mq-client-version"
	relayedKey  = "x-contrail-relayed" // the broker group for which another node hands the call on
	fromKey     = "x-contrail-from"    // likewise: the client's address
	markKey     = "x-contrail-mark"    // proves both
)

// client is one SDK object. It is known to the registries of all members under its pointer.
type client struct {
	s    *Server
	id   string
	addr netip.AddrPort // of its first connection
	seen atomic.Int64   // ms

	telemetry atomic.Int32 // streams
	gone      atomic.Bool  // it left: whoever has it at hand does not bring it back
	beating   atomic.Bool  // its heartbeat is on the way to the other nodes

	mu       sync.Mutex
	language string
	version  string
	settings *pb.Settings            // as it was answered; nil: it told none yet
	shown    *inspect.ClientSettings // settings as the registries have them
	streams  []*stream               // that are there, the newest last; none: it cannot be asked
	free     map[*Member][]*service.Client
	inferred group.ConsumerData // of a consumer that told none: what it asked for
	told     int64              // ms, when the registries heard of it last
	joined   map[string]bool    // broker groups whose registries know it
}

// clients are all that were seen lately.
type clients struct {
	mu sync.Mutex
	by map[string]*client
}

const (
	wordMax        = 64
	freeMax        = 64 // handles of a client that are kept for its next calls
	silentMillis   = 120_000
	expireEvery    = 10 * time.Second
	requestTimeout = 3 * time.Second
	beatMillis     = 10_000
)

// caller finds who calls; a refusal: it does not say who it is.
func (s *Server) caller(ctx context.Context) (*client, *pb.Status) {
	md, _ := metadata.FromIncomingContext(ctx)
	id := first(md, clientIDKey)
	switch {
	case id == "":
		return nil, refuse(pb.Code_CLIENT_ID_REQUIRED, "client id cannot be empty")
	case len(id) > clientIDMax || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' }): // others could not be handed on
		return nil, refuse(pb.Code_CLIENT_ID_REQUIRED, "client id of %d bytes: up to %d of printable ASCII are possible", len(id), clientIDMax)
	}
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	c := s.clients.by[id]
	if c == nil {
		if len(s.clients.by) >= clientsMax {
			return nil, refuse(pb.Code_TOO_MANY_REQUESTS, "%d clients are known, which is the limit", clientsMax)
		}
		c = &client{s: s, id: id, addr: s.addrOf(ctx, md), language: word(md, languageKey), version: word(md, versionKey)}
		s.clients.by[id] = c
	}
	c.seen.Store(time.Now().UnixMilli())
	return c, nil
}

// join has a member's registry know the connection.
func (c *client) join(now int64, m *Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.joined[m.Name] || c.gone.Load() {
		return
	}
	if c.joined == nil {
		c.joined = map[string]bool{}
	}
	c.joined[m.Name] = true
	m.Clients.Connected(now, c, group.Identity{Addr: c.addr.String(), Protocol: "grpc", Language: c.language, Version: c.version})
}

// leaveLocked takes it out of its groups; a later heartbeat brings it back.
func (c *client) leaveLocked(now int64) {
	for _, m := range c.s.o.Members() {
		if c.joined[m.Name] {
			m.Clients.Close(now, c)
		}
	}
	c.joined = nil
}

// readsCRC32 says that the SDK reads a CRC32 as protocol/v2 is meant: upper-case hexadecimal digits. Java's did always, Go's since it says a version behind 5.0;
// Node's reads decimals, Python's wants leading zeros.
func readsCRC32(language, version string) bool {
	return language == "JAVA" || language == "GO" && version != "" && !strings.HasPrefix(version, "5.0.")
}

// word is what a client calls its language and version, as far as a list of clients should show it.
func word(md metadata.MD, name string) string {
	w := first(md, name)
	if w = w[:min(len(w), wordMax)]; hasControl(w) || !utf8.ValidString(w) {
		return ""
	}
	return w
}

func first(md metadata.MD, name string) string {
	if v := md[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// addrOf is the client's address, also when another node hands its call on.
func (s *Server) addrOf(ctx context.Context, md metadata.MD) netip.AddrPort {
	text := ""
	if s.relayed(ctx) {
		text = first(md, fromKey)
	} else if p, ok := peer.FromContext(ctx); ok {
		text = p.Addr.String()
	}
	addr, _ := netip.ParseAddrPort(text)
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// take gives a handle for a member's service that belongs to the caller alone until it gives it back: the service wants one for each that sends at a time, and
// keeps in it what is of its own log.
func (c *client) take(m *Member) *service.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	free := c.free[m]
	if n := len(free); n > 0 {
		c.free[m] = free[:n-1]
		return free[n-1]
	}
	h := service.NewClient(c.addr, "grpc")
	h.SetIdentity(service.Identity{ClientID: c.id, Language: c.language, Version: c.version})
	return h
}

func (c *client) give(m *Member, h *service.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.free[m]) >= freeMax {
		return
	}
	if c.free == nil {
		c.free = map[*Member][]*service.Client{}
	}
	c.free[m] = append(c.free[m], h)
}

func (c *client) identityLocked() group.Identity {
	return group.Identity{ClientID: c.id, Addr: c.addr.String(), Protocol: "grpc", Language: c.language, Version: c.version, Settings: c.shown}
}

// Notify implements group.Conn: gRPC clients ask for their assignments every few seconds.
func (c *client) Notify(string) {}

// requestTimeout is what the client's settings say, or SDKs' default.
func (c *client) requestTimeout() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.settings.GetRequestTimeout().AsDuration(); d > 0 {
		return d
	}
	return requestTimeout
}

// infer keeps a consumer that told no settings to this broker, which was restarted say, in its group by what it asks for.
func (c *client) infer(name, topic, kind, expression string, push bool) {
	c.mu.Lock()
	if c.settings != nil {
		c.mu.Unlock()
		return
	}
	now := time.Now().UnixMilli()
	d := &c.inferred
	if d.Group != name {
		*d = group.ConsumerData{Group: name, ConsumeType: consumesActively, Model: clustering, FromWhere: fromLast}
	}
	if push {
		d.ConsumeType = consumesPassively
	}
	i := slices.IndexFunc(d.Subscriptions, func(k group.Subscription) bool { return k.Topic == topic })
	isNew := i < 0 || d.Subscriptions[i].Expression != expression
	if i < 0 && len(d.Subscriptions) < topicsMax {
		d.Subscriptions = append(d.Subscriptions, group.Subscription{Topic: topic, Expression: expression, Type: kind})
	} else if isNew && i >= 0 {
		d.Subscriptions[i].Expression, d.Subscriptions[i].Type = expression, kind
	}
	due := isNew || now-c.told > beatMillis
	c.mu.Unlock()
	if due {
		c.beat()
	}
}

// expire forgets clients that were silent for too long.
func (s *Server) expire() {
	t := time.NewTicker(expireEvery)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.forgetSilent(time.Now().UnixMilli())
		}
	}
}

func (s *Server) forgetSilent(now int64) {
	var gone []*client
	s.clients.mu.Lock()
	for id, c := range s.clients.by {
		if c.seen.Load() < now-silentMillis && !c.hasStream() {
			delete(s.clients.by, id)
			gone = append(gone, c)
		}
	}
	s.clients.mu.Unlock()
	for _, c := range gone {
		c.left(now)
	}
}

func (c *client) hasStream() bool { return c.stream() != nil }

// stream is the newest one, of its own rather than another node's mirror; nil: there is none.
func (c *client) stream() (found *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.streams {
		if found == nil || t.direct || !found.direct {
			found = t
		}
	}
	return found
}

// hasDirectLocked says that it has a stream of its own to this node.
func (c *client) hasDirectLocked() bool {
	return slices.ContainsFunc(c.streams, func(t *stream) bool { return t.direct })
}

// left takes a client out of its groups.
func (c *client) left(now int64) {
	c.mu.Lock()
	c.gone.Store(true)
	c.leaveLocked(now)
	c.mu.Unlock()
	c.s.renewals.drop(c)
}

// forget is left for a client that says that it goes.
func (s *Server) forget(c *client) {
	s.clients.mu.Lock()
	if s.clients.by[c.id] == c {
		delete(s.clients.by, c.id)
	}
	s.clients.mu.Unlock()
	c.left(time.Now().UnixMilli())
}
