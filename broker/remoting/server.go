package remoting

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// Options of the front.
type Options struct {
	Cluster, Broker string
	Listen          string
	Log             *slog.Logger
	// BeforeWrite is called before an answer with messages goes out: what was delivered must be noted by then.
	BeforeWrite func()
	Answered    func(code, response int32, micros int64, held bool)
	// Happened is told of changes of groups and connections.
	Happened func(group.Happening)
	// Refused is told of requests that were refused.
	Refused func(Refusal)
	// Leader gives the remoting address of the member that leads the broker group; not ok: nobody leads as far as this one
	// knows. It may be this member's own address, while it leads. It must not block. Nil in a group of one.
	Leader func() (addr string, ok bool)
	// Whole answers 30103 and 30104; nil: they are refused.
	Whole Cluster
}

// Refusal is a request that was refused. Topic and Group are empty where the request has none, or was not read so far.
type Refusal struct {
	Request                          int // code
	Client, Addr, Topic, Group, Text string
}

// Server is the broker's port.
type Server struct {
	opts    Options
	svc     *service.Service
	clients *group.Registry
	rpc     *rpc.Server
	stop    func() // expiring
	relay   *relay // nil in a group of one
	far     farClients
	lanes   atomic.Uint32
	changes chan struct{} // a token for each change of the cluster that is being made
	routes  chan struct{} // a token for each question to a name server
}

// Limits.
const (
	expireEvery = 5 * time.Second
	routesMax   = 16 // questions to name servers at a time
	changesMax  = 16 // changes of the cluster at a time: each has a goroutine that may wait for seconds
)

// Start opens the port.
func Start(svc *service.Service, o Options) (*Server, error) {
	s := &Server{opts: o, svc: svc, clients: group.New(), changes: make(chan struct{}, changesMax), routes: make(chan struct{}, routesMax)}
	s.clients.Happened = o.Happened
	svc.SetMembership(s.clients)
	svc.SetAsker(s)
	if o.Leader != nil {
		s.relay = newRelay(o, svc.Leads, s.clients.Called)
	}
	var err error
	s.rpc, err = rpc.Listen(rpc.Options{
		Name: "broker", Listen: o.Listen, Handler: s, Log: o.Log, BeforeWrite: o.BeforeWrite, Answered: o.Answered,
	})
	if err != nil {
		s.endRelay()
		return nil, err
	}
	s.stop = rpc.Repeat(expireEvery, func(now time.Time) { s.clients.Expire(now.UnixMilli()) })
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.rpc.Addr() }

// Stats are the port's counters.
func (s *Server) Stats() *rpc.Stats { return s.rpc.Stats() }

// Clients is who is connected.
func (s *Server) Clients() *group.Registry { return s.clients }

// Shutdown answers what was asked and closes.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	err := s.rpc.Shutdown(ctx)
	s.endRelay()
	return err
}

func (s *Server) endRelay() {
	if s.relay != nil {
		s.relay.close()
	}
}

// Relay counts what was handed to the leader; nil in a group of one.
func (s *Server) Relay() *RelayStats {
	if s.relay == nil {
		return nil
	}
	return &s.relay.stats
}

// handlers answer requests that are not about sending or pulling messages.
var handlers = map[int32]func(*conn, *rpc.Call, *wire.Frame){
	wire.QueryMessage: (*conn).queryMessage, wire.QueryConsumerOffset: (*conn).queryOffset,
	wire.UpdateConsumerOffset: (*conn).updateOffset, wire.UpdateTopic: (*conn).updateTopic,
	wire.AllTopicConfig: (*conn).allTopicConfig, wire.BrokerConfig: (*conn).brokerConfig,
	wire.BrokerRuntimeInfo: (*conn).runtimeInfo, wire.OffsetByTimestamp: (*conn).offsetByTime,
	wire.MaxOffset: (*conn).maxOffset, wire.MinOffset: (*conn).minOffset, wire.EarliestStoreTime: (*conn).earliestStoreTime,
	wire.ViewMessage: (*conn).viewMessage, wire.Heartbeat: (*conn).heartbeat, wire.Unregister: (*conn).unregister,
	wire.ConsumerList: (*conn).consumerList, wire.LockBatch: (*conn).lockBatch, wire.UnlockBatch: (*conn).unlockBatch,
	wire.CheckClientConfig: (*conn).checkClientConfig, wire.UpdateGroup: (*conn).updateGroup,
	wire.AllGroupConfig: (*conn).allGroupConfig, wire.TopicStats: (*conn).topicStats,
	wire.ConsumerConnections: (*conn).consumerConnections, wire.ProducerConnections: (*conn).producerConnections,
	wire.DeleteGroup: (*conn).deleteGroup, wire.ConsumeStats: (*conn).consumeStats,
	wire.DeleteTopicInBroker: (*conn).deleteTopic, wire.TopicConsumeByWho: (*conn).topicConsumeByWho,
	wire.SystemTopicsBroker: (*conn).systemTopics, wire.TopicConfig: (*conn).topicConfig, wire.GroupConfig: (*conn).groupConfig,
	wire.BrokerGroupInfo: (*conn).brokerGroupInfo, wire.BrokerGroupTransfer: (*conn).brokerGroupTransfer,
	wire.RecallMessage: (*conn).recallMessage, wire.EndTransaction: (*conn).endTransaction,
	wire.Scheduled: (*conn).scheduled, wire.Transactions: (*conn).transactions, wire.DecideTransaction: (*conn).decideTransaction,
	wire.DeadLetters: (*conn).deadLetters, wire.ResendDeadLetter: (*conn).resendDeadLetter,
	wire.BrokerGroupMembers: (*conn).brokerGroupMembers, wire.BrokerClusterInfo: (*conn).clusterInfo, wire.BrokerClusterChange: (*conn).clusterChange,
	wire.ResetOffset: (*conn).resetOffset, wire.ConsumerStatus: (*conn).consumerStatus, wire.ConsumeTimeSpan: (*conn).consumeTimeSpan,
	wire.ConsumerRunningInfo: (*conn).consumerRunningInfo, wire.CorrectionOffset: (*conn).correctionOffset,
	wire.ConsumeDirectly: (*conn).consumeDirectly, wire.CloneGroupOffset: (*conn).cloneGroupOffset,
	wire.SendReply: (*conn).sendReply, wire.SendReplyV2: (*conn).sendReplyV2,
	wire.PopMessage: (*conn).popMessage, wire.AckMessage: (*conn).ackMessage, wire.BatchAckMessage: (*conn).batchAck,
	wire.ChangeInvisibleTime: (*conn).changeInvisibleTime, wire.Notification: (*conn).notification, wire.PollingInfo: (*conn).pollingInfo,
	wire.QueryAssignment: (*conn).queryAssignment, wire.SetRequestMode: (*conn).setRequestMode, wire.AllRequestModes: (*conn).allRequestModes,
	wire.SendMessageBack: (*conn).sendMessageBack,
}

// Open implements rpc.Handler.
func (s *Server) Open(c *rpc.Conn) {
	k := &conn{s: s, rpc: c, client: service.NewClient(c.Addr, "remoting"), names: map[string]string{}, lane: int(s.lanes.Add(1) % lanes)}
	k.who = k.client
	c.Data = k
	s.clients.Connected(time.Now().UnixMilli(), k, group.Identity{Addr: c.Addr.String(), Protocol: "remoting"})
}

// Frame handles one frame; messages are gathered until Flush.
func (s *Server) Frame(c *rpc.Conn, f *wire.Frame) {
	k := c.Data.(*conn)
	if f.Response() {
		k.asks.answered(f)
		return
	}
	if f.Type == wire.Binary {
		f.Code = wire.Widen(f.Code)
	}
	k.introduce(f)
	if s.relay != nil && k.handOver(f) {
		return
	}
	switch f.Code {
	case wire.SendMessage:
		k.sendMessage(f)
	case wire.SendMessageV2:
		k.sendMessageV2(f)
	case wire.SendBatch:
		k.sendBatch(f)
	case wire.PullMessage:
		k.pullMessage(f)
	case wire.LitePull:
		k.litePull(f)
	default:
		k.call(f)
	}
}

func (c *conn) call(f *wire.Frame) {
	call := c.rpc.Call(f)
	h := handlers[f.Code]
	if h == nil {
		c.refuse(&call, service.Refuse(service.CodeNotSupported, " request type %d not supported", f.Code))
		return
	}
	c.submit() // what was sent before is stored before what is asked now
	c.frame = f
	h(c, &call, f)
	c.frame = nil
}

// Flush seals what one read brought.
func (s *Server) Flush(c *rpc.Conn) {
	k := c.Data.(*conn)
	k.submit()
	k.readAt = 0
}

// Close implements rpc.Handler.
func (s *Server) Close(c *rpc.Conn) {
	k := c.Data.(*conn)
	s.svc.CancelPulls(k.client)
	k.asks.end()
	k.guestsGone()
	s.clients.Close(time.Now().UnixMilli(), k)
}
