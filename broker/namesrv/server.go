package namesrv

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// Response codes that the name server gives.
const (
	codeError        = 1
	codeNotSupported = 3
	codeNoPermission = 16
	codeTopicMissing = 17
	codeNotFound     = 22
)

// Options of a name server.
type Options struct {
	Listen string
	Log    *slog.Logger
	// AcceptBrokers lets brokers of other processes register. Nothing proves yet who they are, so it is for name servers
	// that run apart from their broker, in a network where only brokers and clients are.
	AcceptBrokers bool
	Answered      func(code, response int32, micros int64, held bool)
}

// Server is a name server on a port.
type Server struct {
	opts  Options
	table *Table
	rpc   *rpc.Server
	stop  func() // expiring
}

const expireEvery = 5 * time.Second

// Start opens the port.
func Start(o Options) (*Server, error) {
	s := &Server{opts: o, table: NewTable()}
	var err error
	s.rpc, err = rpc.Listen(rpc.Options{Name: "name server", Listen: o.Listen, Handler: s, Log: o.Log, Answered: o.Answered})
	if err != nil {
		return nil, err
	}
	s.stop = rpc.Repeat(expireEvery, s.expire)
	return s, nil
}

// expire closes the connections of members that were silent for too long, as Apache's does: who is still there dials again.
func (s *Server) expire(now time.Time) {
	for _, owner := range s.table.Expire(now.UnixMilli()) {
		if c, ok := owner.(*rpc.Conn); ok {
			c.End()
		}
	}
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.rpc.Addr() }

// Stats are the port's counters.
func (s *Server) Stats() *rpc.Stats { return s.rpc.Stats() }

// Shutdown answers what was asked and closes.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	return s.rpc.Shutdown(ctx)
}

// Register takes the broker of this process; it stays until Unregister.
func (s *Server) Register(m Member, topics []catalog.Topic) error {
	return s.table.Register(time.Now().UnixMilli(), m, topics, nil)
}

// Topics takes changed topics of a registered broker.
func (s *Server) Topics(m Member, changed []catalog.Topic) error { return s.table.Topics(m, changed) }

// Unregister removes a member.
func (s *Server) Unregister(m Member) { s.table.Unregister(m) }

// Open, Frame, Flush and Close implement rpc.Handler.
func (s *Server) Open(*rpc.Conn)  {}
func (s *Server) Flush(*rpc.Conn) {}

// Close forgets what the connection registered.
func (s *Server) Close(c *rpc.Conn) { s.table.Disconnected(c) }

var handlers = map[int32]func(*Server, *rpc.Call, *wire.Frame){
	wire.PutKV: (*Server).putKV, wire.GetKV: (*Server).getKV, wire.DeleteKV: (*Server).deleteKV,
	wire.RegisterBroker: (*Server).registerBroker, wire.UnregisterBroker: (*Server).unregisterBroker,
	wire.RouteInfo: (*Server).route, wire.ClusterInfo: (*Server).cluster, wire.WipeWritePerm: (*Server).wipeWritePerm,
	wire.AllTopics: (*Server).allTopics, wire.DeleteTopicInNameServer: (*Server).deleteTopic,
	wire.RegisterTopic: (*Server).registerTopic, wire.KVList: (*Server).kvList, wire.TopicsByCluster: (*Server).topicsByCluster,
	wire.SystemTopicsNameServer: (*Server).systemTopics, wire.AddWritePerm: (*Server).addWritePerm,
}

// Frame answers one request.
func (s *Server) Frame(c *rpc.Conn, f *wire.Frame) {
	if f.Response() {
		return
	}
	call := c.Call(f)
	h := handlers[f.Code]
	if h == nil {
		call.Fail(codeNotSupported, " request type %d not supported", f.Code)
		return
	}
	h(s, &call, f)
}
