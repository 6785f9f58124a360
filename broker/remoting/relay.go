package remoting

import (
	"net/netip"
	"time"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// The relay. A member that does not lead its broker group hands its clients' requests to the leader's remoting port and brings
// the answers back. Clients refresh their routes only every 30 s: without it, each change of leader would fail what they ask
// until then.
//
// What is relayed: all that reads or changes what the group stores (elsewhere, below). The header goes in the binary form, and
// comes back in the form in which the client asked; fields, flags, language, version and body are the client's. Three fields are
// added, which the leader reads and never stores:
//
//	_ctrlRelayed  the broker group; a request that has it is not relayed again, and one for another group is refused
//	_ctrlFrom     the client's address, which the message keeps as its born host and the trail shows
//	_ctrlClient   the client's id, from its heartbeats to this member
//
// The other way, the leader asks a client through the member to which it is connected, with the client's id in _ctrlTo (ask.go).
//
// What is answered here: heartbeats, unregistering and the list of a group's consumers (34, 35, 38: consumers send heartbeats to
// all members, so that each knows who is there; a member that does not lead makes no group for one), the check of an expression
// (46), what a consumer is to ask (400), what is asked of a client that is connected to this member (223, 307, 309: it goes to the
// leader when there is none), and what tools ask about this process (26, 28, 203, 204, 30100, 30103, 30104). Unknown codes are refused here.
//
// Order: what one client connection asks goes over one connection to the leader (there are lanes of them) in the order in which
// it was asked. What tools ask (tools, below) may take the leader long; it goes over a connection of its own, so that messages
// do not wait behind it.
//
// Answers are definite:
//   - The leader's own.
//   - Nothing was done (nobody leads, the leader cannot be reached, or it says that it does not lead, marked _ctrlNotLed): it is
//     tried again for leaderPatience, then SERVICE_NOT_AVAILABLE (14), which sends producers to another broker group.
//   - The outcome is not known (the connection broke after the request was written, or no answer came in time): SYSTEM_ERROR (1)
//     with service.OutcomeUnknown. Producers send again after it, which may store a message twice.
//   - Too much is under way: SYSTEM_BUSY (2).
//
// A pull that cannot be relayed, or whose answer cannot come any more, is answered from what this member has applied: messages
// that are committed, without storing an offset.
//
// A pull of a client that went away is held by the leader until its time is up, and its answer is dropped here; the leader's note of
// it then tells of a delivery that did not arrive, as it does when a connection breaks. What a pop of such a client leases comes again when
// its invisible time is over.
//
// Limits: linkRequests and linkBytes of one connection to the leader, waitingMax and waitingBytes of what waits for a leader.
const (
	relayedField = "_ctrlRelayed"
	fromField    = "_ctrlFrom"
	clientField  = "_ctrlClient"
	notLedField  = "_ctrlNotLed"
)

const (
	lanes          = 4
	leaderPatience = 500 * time.Millisecond
	sendPatience   = 5 * time.Second // Java's producers wait 3 s
	askPatience    = changePatience + 5*time.Second
	pullMargin     = 5 * time.Second // beyond the time for which the leader may hold a pull
	holdMax        = 120 * time.Second
	awayMillis     = 1000 // for which a pull is held here while the leader cannot be asked
	guestsMax      = 4096 // clients of other members, of one connection
)

// elsewhere are the requests that only the leader may answer.
var elsewhere = map[int32]bool{
	wire.SendMessage: true, wire.SendMessageV2: true, wire.SendBatch: true, wire.SendMessageBack: true, wire.RecallMessage: true, wire.EndTransaction: true, wire.Scheduled: true, wire.Transactions: true, wire.DecideTransaction: true, wire.DeadLetters: true, wire.ResendDeadLetter: true, wire.PullMessage: true, wire.LitePull: true,
	wire.QueryMessage: true, wire.QueryConsumerOffset: true, wire.UpdateConsumerOffset: true, wire.UpdateTopic: true,
	wire.AllTopicConfig: true, wire.OffsetByTimestamp: true, wire.MaxOffset: true, wire.MinOffset: true, wire.EarliestStoreTime: true,
	wire.ViewMessage: true, wire.LockBatch: true, wire.UnlockBatch: true, wire.UpdateGroup: true, wire.AllGroupConfig: true,
	wire.TopicStats: true, wire.DeleteGroup: true, wire.ConsumeStats: true, wire.DeleteTopicInBroker: true,
	wire.TopicConsumeByWho: true, wire.SystemTopicsBroker: true, wire.TopicConfig: true, wire.GroupConfig: true,
	wire.BrokerGroupTransfer: true, wire.BrokerGroupMembers: true, wire.ResetOffset: true, wire.ConsumeTimeSpan: true,
	wire.CorrectionOffset: true, wire.CloneGroupOffset: true, wire.SendReply: true, wire.SendReplyV2: true,
	wire.PopMessage: true, wire.AckMessage: true, wire.BatchAckMessage: true, wire.ChangeInvisibleTime: true, wire.Notification: true,
	wire.PollingInfo: true, wire.SetRequestMode: true, wire.AllRequestModes: true,
}

// tools are the requests that may take long.
var tools = map[int32]bool{
	wire.QueryMessage: true, wire.UpdateTopic: true, wire.AllTopicConfig: true, wire.UpdateGroup: true, wire.AllGroupConfig: true,
	wire.TopicStats: true, wire.DeleteGroup: true, wire.ConsumeStats: true, wire.DeleteTopicInBroker: true,
	wire.TopicConsumeByWho: true, wire.SystemTopicsBroker: true, wire.ResetOffset: true, wire.ConsumerStatus: true,
	wire.ConsumeTimeSpan: true, wire.ConsumerRunningInfo: true, wire.CorrectionOffset: true, wire.ConsumeDirectly: true,
	wire.CloneGroupOffset: true,
}

// held are the requests that the leader may hold, besides pulls.
var held = map[int32]bool{wire.PopMessage: true, wire.Notification: true}

const toolLane = lanes

// errand is a request on its way to the leader.
type errand struct {
	conn     *conn
	lane     int
	call     rpc.Call
	frame    []byte               // as it is sent, with its length
	pull     *service.PullRequest // of a pull
	hold     time.Duration        // for which the leader may hold a pop
	until    time.Time            // when it is not tried again any more
	deadline time.Time            // when its answer is not waited for any more; the link's
	asked    time.Time            // when it was handed to the link
	written  bool                 // to the leader, perhaps in part
}

// handOver relays f when only the leader may answer it and this member is not it; false: f is for this member.
func (c *conn) handOver(f *wire.Frame) bool {
	c.who = c.client
	mark := f.Get(relayedField)
	if c.relayed = mark != nil; c.relayed {
		c.who = c.guest(f)
	}
	if !elsewhere[f.Code] {
		return false
	}
	if c.relayed && string(mark) != c.s.opts.Broker {
		call := c.rpc.Call(f)
		call.Fail(service.CodeServiceNotAvailable, "a request for the broker group %.127s was relayed to a member of %s", mark, c.s.opts.Broker)
		return true
	}
	if c.s.leads() {
		return false
	}
	c.submit() // what was sent before goes before
	if c.relayed {
		call := c.rpc.Call(f)
		c.notLed(&call)
		return true
	}
	c.relay(f)
	return true
}

// notLed refuses a relayed request, so that the member that relayed it knows that nothing was done.
func (c *conn) notLed(call *rpc.Call) {
	call.Answer(service.CodeServiceNotAvailable, c.s.relay.noLeader(), nil, rpc.Field{Name: notLedField, Value: "true"})
}

// voted hands on a request that this member began to handle as the leader, and was voted out before it was done.
func (c *conn) voted(call *rpc.Call, f *wire.Frame) {
	if c.relayed {
		c.notLed(call)
		return
	}
	c.relay(f)
}

// again relays what this member was asked as the leader and could not do, because it was voted out meanwhile. raw is the frame. It
// may be called from any goroutine, but not for pulls.
func (c *conn) again(raw []byte) {
	f := &wire.Frame{}
	if f.Decode(raw) == nil { // it was decoded before
		if f.Type == wire.Binary {
			f.Code = wire.Widen(f.Code)
		}
		c.relay(f)
	}
}

// relay sends f to the leader.
func (c *conn) relay(f *wire.Frame) {
	e := &errand{conn: c, lane: c.lane, call: c.rpc.Call(f), until: time.Now().Add(leaderPatience)}
	if tools[f.Code] {
		e.lane = toolLane
	}
	if f.Code == wire.PullMessage || f.Code == wire.LitePull {
		e.pull = &service.PullRequest{Client: c.client, ReceivedMicros: time.Now().UnixMicro()}
		if err := c.parsePull(e.pull, f); err != nil {
			e.refused(err)
			return
		}
	}
	if held[f.Code] {
		millis, _ := f.Int("pollTime", 0) // what is no number is refused by the leader
		e.hold = min(max(0, time.Duration(millis)), time.Duration(holdMax.Milliseconds())) * time.Millisecond
	}
	var refused *service.Error
	if e.frame, refused = c.marked(f); refused != nil {
		e.refused(refused)
		return
	}
	if e.owed() {
		c.rpc.Owe(1)
	}
	c.s.relay.submit(e)
}

// owed says that a shutdown waits for the answer. It does not wait for pulls and pops, which may be held for long.
func (e *errand) owed() bool { return e.pull == nil && !held[e.call.Code] && !e.call.Oneway }

// marked is f as the leader gets it.
func (c *conn) marked(f *wire.Frame) ([]byte, *service.Error) {
	w := wire.Forward(make([]byte, 0, len(f.Raw)+512), f, 0)
	w.String(relayedField, c.s.opts.Broker)
	w.String(fromField, c.client.AddrText())
	if id := c.client.Identity().ClientID; id != "" {
		w.String(clientField, id)
	}
	head := w.End(len(f.Body))
	if header, all := len(head)-8, len(head)+len(f.Body)-4; header > wire.HeaderMax || all > wire.FrameMax {
		return nil, service.Refuse(service.CodeMessageIllegal, "the message is illegal: header of %d bytes in a frame of %d, too much to relay: the limits are %d and %d", header, all, wire.HeaderMax, wire.FrameMax)
	}
	return append(head, f.Body...), nil
}

// patience is how long the answer of the leader is waited for.
func (e *errand) patience() time.Duration {
	switch e.call.Code {
	case wire.SendMessage, wire.SendMessageV2, wire.SendBatch:
		return sendPatience
	case wire.PullMessage, wire.LitePull:
		if e.pull.SysFlag&service.PullSuspend == 0 {
			return pullMargin
		}
		return pullMargin + min(max(0, time.Duration(e.pull.SuspendMillis)*time.Millisecond), holdMax)
	}
	return askPatience + e.hold
}

// answered brings the leader's answer to the client.
func (e *errand) answered(f *wire.Frame) {
	c := e.conn
	if !e.call.Oneway {
		c.rpc.Reply(func(dst []byte) []byte {
			w := wire.Response(dst, e.call.Type, e.call.Opaque, f.Code, string(f.Remark))
			for _, field := range f.Fields {
				w.Field(field.Name, field.Value)
			}
			return append(w.End(len(f.Body)), f.Body...)
		})
	}
	c.rpc.Answered(e.call.Code, f.Code, e.call.Took(), e.pull != nil)
	if f.Code != service.CodeSuccess {
		e.noted(&service.Error{Code: int(f.Code), Text: string(f.Remark)})
	}
	e.over()
}

// failed answers in the leader's place.
func (e *errand) failed(err *service.Error) {
	e.conn.s.relay.stats.Failed.Add(1)
	e.refused(err)
	e.over()
}

func (e *errand) refused(err *service.Error) {
	e.call.Fail(err.Code, "%s", err.Text)
	e.noted(err)
}

func (e *errand) over() {
	if e.owed() {
		e.conn.rpc.Owe(-1)
	}
}

func (e *errand) noted(err *service.Error) {
	topic, group := "", ""
	if e.pull != nil {
		topic, group = e.pull.Topic, e.pull.Group
	}
	e.conn.refused(e.conn.client, int(e.call.Code), topic, group, err)
}

// here answers a pull from what this member has applied.
func (e *errand) here() {
	c := e.conn
	if err := c.subscription(e.pull); err != nil {
		e.refused(err)
		return
	}
	c.s.relay.stats.PullsHere.Add(1)
	e.pull.Follower = true
	if _, known := c.s.relay.leader(); known { // and cannot be asked: who is answered at once asks again at once
		e.pull.LeaderAway, e.pull.SuspendMillis = true, min(e.pull.SuspendMillis, awayMillis)
	}
	c.s.svc.Pull(e.pull, func(r *service.PullResult) { c.pulled(e.pull, r, e.call.Code, e.call.Opaque, e.call.Type) })
}

// guest is the client of another member whose request was relayed to this one.
func (c *conn) guest(f *wire.Frame) *service.Client {
	from := f.Get(fromField)
	k := c.guests[string(from)]
	if k == nil {
		addr, err := netip.ParseAddrPort(string(from))
		if err != nil {
			return c.client
		}
		if len(c.guests) >= guestsMax {
			c.s.far.gone(c, c.guests)
			clear(c.guests) // what they wait for is answered all the same
		}
		if c.guests == nil {
			c.guests = map[string]*service.Client{}
		}
		k = service.NewClient(addr, "remoting")
		c.guests[string(from)] = k
	}
	id := k.Identity()
	if id.Language == "" {
		id.Language, id.Version = f.LanguageName(), wire.VersionName(f.Version)
	}
	if name := f.Get(clientField); id.ClientID != string(name) {
		id.ClientID = string(name[:min(len(name), clientIDMax)])
		c.s.far.put(id.ClientID, c)
	}
	k.SetIdentity(id)
	return k
}

// guestsGone ends what guests wait for, because the connection is gone over which it would be answered.
func (c *conn) guestsGone() {
	c.s.far.gone(c, c.guests)
	for _, k := range c.guests {
		c.s.svc.CancelPulls(k)
	}
}

// leads says whether this member answers for its broker group.
func (s *Server) leads() bool { return s.relay == nil || s.relay.leads() }
