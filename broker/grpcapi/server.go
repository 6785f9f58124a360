package grpcapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/service"
)

// Member is this node's member of one broker group.
type Member struct {
	Name    string
	Service *service.Service
	Clients *group.Registry
	// Flush writes the notes of deliveries down, before an answer with messages is written.
	Flush func()
	// Leader is where clients reach the node that leads the group, host:port; false: nobody leads.
	Leader func() (string, bool)
	// Refused tells the trail of a refusal.
	Refused func(c *service.Client, call, topic, group string, err *service.Error)
}

// Options of a Server.
type Options struct {
	Listen  string
	TLS     *tls.Config // for those that come with TLS
	Key     []byte      // signs receipts; the same on all nodes, of at least 16 bytes
	Members func() []*Member
	Own     string          // this node's address, as clients dial it
	Others  func() []string // the other nodes' addresses, host:port; nil: there are none
	Front   string          // host:port of what stands in front of all nodes, and is all that clients are told; empty: they dial the nodes
	// TLSOnly refuses clients that begin without TLS.
	TLSOnly bool
	// MaxDelay is how far ahead a message may be scheduled.
	MaxDelay   time.Duration
	Reflection bool
	// Meters get the metrics of calls; nil: nothing is counted.
	Meters metric.MeterProvider
	Log    *slog.Logger
}

// Limits of the port.
const (
	frameMax      = 16 << 20 // bytes of a request: a batch of messages and their properties
	headerListMax = 16 << 10
	streamsMax    = 2000 // calls under way of one connection
	streamWorkers = 32   // goroutines whose stacks have grown already; more calls than that get new ones
	windowBytes   = 1 << 20
	pingsAtMost   = 10 * time.Second // C++ clients ping each minute, also without calls
	handshakeMax  = 10 * time.Second
	clientsMax    = 100_000
	clientIDMax   = 255
	drainGrace    = 500 * time.Millisecond
)

// Server answers MessagingService.
type Server struct {
	pb.UnimplementedMessagingServiceServer

	o        Options
	grpc     *grpc.Server
	health   *health.Server
	listener *sniffer
	clients  clients
	renewals renewals
	peers    peers
	stop     chan struct{}
	ended    sync.WaitGroup
}

// Start opens the port.
func Start(o Options) (*Server, error) {
	if len(o.Key) < keyBytes {
		return nil, fmt.Errorf("grpcapi: a key of %d bytes to sign receipts with: from %d on are possible", len(o.Key), keyBytes)
	}
	if o.TLSOnly && o.TLS == nil {
		return nil, errors.New("grpcapi: only TLS, and no certificate")
	}
	options, err := serverOptions(&o)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("gRPC: %w", err)
	}
	s := &Server{o: o, grpc: grpc.NewServer(options...), health: health.NewServer(), listener: newSniffer(l, o.TLS, o.TLSOnly, o.Log), stop: make(chan struct{})}
	s.clients.by, s.peers.tls = map[string]*client{}, o.TLS != nil
	s.renewals.init()
	pb.RegisterMessagingServiceServer(s.grpc, s)
	healthpb.RegisterHealthServer(s.grpc, s.health)
	if o.Reflection {
		reflection.Register(s.grpc)
	}
	s.ended.Go(func() {
		if err := s.grpc.Serve(s.listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			o.Log.Error("gRPC ended", "err", err)
		}
	})
	s.ended.Go(s.renew)
	s.ended.Go(s.expire)
	return s, nil
}

func serverOptions(o *Options) ([]grpc.ServerOption, error) {
	all := []grpc.ServerOption{
		grpc.WaitForHandlers(true), grpc.ForceServerCodecV2(newCodec()), grpc.NumStreamWorkers(streamWorkers),
		grpc.MaxRecvMsgSize(frameMax), grpc.MaxHeaderListSize(headerListMax), grpc.MaxConcurrentStreams(streamsMax), grpc.ConnectionTimeout(handshakeMax),
		grpc.InitialWindowSize(windowBytes), grpc.InitialConnWindowSize(windowBytes), grpc.WriteBufferSize(64 << 10), grpc.ReadBufferSize(64 << 10),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsAtMost, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 2 * time.Minute, Timeout: 20 * time.Second}),
	}
	if o.Meters == nil {
		return all, nil
	}
	m, err := newMeters(o.Meters)
	if err != nil {
		return nil, err
	}
	return append(all, grpc.UnaryInterceptor(m.unary), grpc.StreamInterceptor(m.stream)), nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Shutdown tells clients to go elsewhere, and waits for the answers that are on their way.
func (s *Server) Shutdown(ctx context.Context) error {
	s.health.Shutdown()
	close(s.stop)
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
	case <-time.After(drainGrace * 10):
		s.grpc.Stop() // long polls
	}
	s.peers.close()
	s.ended.Wait()
	return nil
}

// member finds this node's member of a broker group; nil: there is none.
func (s *Server) member(name string) *Member {
	for _, m := range s.o.Members() {
		if m.Name == name {
			return m
		}
	}
	return nil
}
