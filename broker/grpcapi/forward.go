package grpcapi

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
)

// A request for a broker group that another node leads is handed to that node as it is, with who asks. Clients know from their routes where to go, and learn of a
// change within half a minute: until then this keeps what they ask from failing. What was handed on is not handed on again; while nobody leads it is tried
// for leaderPatience, and then HA_NOT_AVAILABLE, upon which SDKs try another endpoint.
const (
	leaderPatience = 3 * time.Second
	leaderPause    = 20 * time.Millisecond
	peersMax       = 256
)

var dialPauses = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}

// peers are connections to the other nodes: lane 0 for calls, the others for mirrored streams, of which each client has one.
type peers struct {
	tls bool // what clients may send encrypted is not to go on in the clear
	mu  sync.Mutex
	by  map[string]*grpc.ClientConn
}

const mirrorLanes = 32

// credentials: that a node asks is proven by its mark. Certificates are for clients, and name what clients dial, so they are not looked at: who can
// stand between the nodes can read what they hand on, which the other nodes' ports are to be kept from (docs/operations.md).
func (p *peers) credentials() credentials.TransportCredentials {
	if p.tls {
		return credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	}
	return insecure.NewCredentials()
}

func (p *peers) to(address string, lane int) (pb.MessagingServiceClient, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := address + "#" + strconv.Itoa(lane)
	if c := p.by[key]; c != nil {
		return pb.NewMessagingServiceClient(c), nil
	}
	if len(p.by) >= peersMax { // nodes came and went
		for _, c := range p.by {
			_ = c.Close()
		}
		clear(p.by)
	}
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(p.credentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(frameMax)),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second, Backoff: dialPauses}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}))
	if err != nil {
		return nil, err
	}
	if p.by == nil {
		p.by = map[string]*grpc.ClientConn{}
	}
	p.by[key] = c
	return pb.NewMessagingServiceClient(c), nil
}

func (p *peers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.by {
		_ = c.Close()
	}
	p.by = nil
}

// relayed says that another node handed the call on, relayedFor for which broker group: clients that say so of themselves are not believed.
func (s *Server) relayed(ctx context.Context) bool { return s.relayedFor(ctx) != "" }

func (s *Server) relayedFor(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	name := first(md, relayedKey)
	if name == "" || subtle.ConstantTimeCompare([]byte(first(md, markKey)), []byte(s.mark(name, first(md, clientIDKey), first(md, fromKey)))) != 1 {
		return ""
	}
	return name
}

// mark proves that a node says for which broker group it hands a call on, and for whom.
func (s *Server) mark(broker, clientID, from string) string {
	sum := s.sign([]byte("relay\x00" + broker + "\x00" + clientID + "\x00" + from))
	return hex.EncodeToString(sum[:])
}

// notLed answers a call that was handed on to a node that does not lead: the one that did it knows that nothing was done.
var notLed = refuse(pb.Code_HA_NOT_AVAILABLE, "this node does not lead the broker group, nothing was done")

// isNotLed tells it from a leader that is not available for another reason.
func isNotLed(st *pb.Status) bool {
	return st.GetCode() == notLed.Code && st.GetMessage() == notLed.Message
}

// answer is what all of the protocol's answers have.
type answer interface{ GetStatus() *pb.Status }

// route has a call answered by who leads m's group: here, or by the node that does. here's nil answer says that nothing was done because this node does not
// lead any more.
func route[A answer](ctx context.Context, s *Server, c *client, m *Member, here func() (A, bool), there func(context.Context, pb.MessagingServiceClient) (A, error), fail func(*pb.Status) A) A {
	until := time.Now().Add(leaderPatience)
	for {
		if a, done := routeOnce(ctx, s, c, m, here, there, fail); done {
			return a
		}
		if s.relayed(ctx) {
			return fail(notLed)
		}
		if time.Now().After(until) || !pause(ctx, leaderPause) {
			return fail(refuse(pb.Code_HA_NOT_AVAILABLE, "broker group %s has no leader that can be asked at the moment, nothing was done", m.Name))
		}
	}
}

// routeOnce is one try of route; false: nothing was done.
func routeOnce[A answer](ctx context.Context, s *Server, c *client, m *Member, here func() (A, bool), there func(context.Context, pb.MessagingServiceClient) (A, error), fail func(*pb.Status) A) (a A, done bool) {
	if m.Service.Leads() {
		return here()
	}
	at, ok := m.Leader()
	if !ok || s.relayed(ctx) {
		return a, false
	}
	p, err := s.peers.to(at, 0)
	if err == nil {
		a, err = there(s.asClient(ctx, c, m.Name), p)
	}
	switch {
	case err == nil:
		return a, !isNotLed(a.GetStatus())
	case refusedConnection(err):
		return a, false
	}
	return fail(refuse(pb.Code_INTERNAL_SERVER_ERROR, "the node that leads %s did not answer: whether it was done is not known", m.Name)), true
}

// passOn streams another node's answer; false: nothing of it came, because that node does not lead, or is not there.
func passOn[T any](ctx context.Context, g grpc.ServerStreamingServer[T], from grpc.ServerStreamingClient[T], status func(*T) *pb.Status) (bool, error) {
	for n := 0; ; n++ {
		a, err := from.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return true, nil
		case err != nil:
			return n > 0 || ctx.Err() != nil, err
		case n == 0 && isNotLed(status(a)):
			return false, nil
		}
		if err := g.Send(a); err != nil {
			return true, err
		}
	}
}

// refusedConnection says that nothing was asked: no connection came about.
func refusedConnection(err error) bool {
	st, ok := status.FromError(err)
	return ok && st.Code() == codes.Unavailable && (strings.Contains(st.Message(), "while dialing") || strings.Contains(st.Message(), "error reading server preface"))
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
