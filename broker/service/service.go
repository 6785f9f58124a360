package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/txn"
	"github.com/contrailmq/contrail/broker/vfs"
)

// Options of a broker.
type Options struct {
	Cluster, Broker, NodeID, Version string
	Roles                            []string
	NameServer                       string // what the console shows
	StoreHost                        netip.AddrPort
	FS                               vfs.FS
	Dir                              string // of the log
	SegmentBytes                     int64
	Durable                          bool
	RetentionAge                     time.Duration
	RetentionBytes                   int64
	MaxMessage                       int               // longest body; default MaxMessageDefault
	DelayLevels                      []time.Duration   // of DELAY; default DefaultDelayLevels
	MaxDelay                         time.Duration     // how far ahead messages may be scheduled; default MaxDelayDefault
	Aliases                          map[string]string // of property names, see Aliased; nil: DefaultAliases
	Transactions                     txn.Settings      // when half messages are asked about; default txn.DefaultSettings
	AutoCreateTopic                  bool              // through TBW102
	AutoCreateGroup                  bool
	TraceTopic                       bool // RMQ_SYS_TRACE_TOPIC is there
	Log                              *slog.Logger

	// MemberID is this member of the broker group (default 1), and Voters are all members at the group's first start. Send
	// and Aside hand over what the members tell each other, see shard.Options; Send is nil in a group of one.
	MemberID uint64
	Voters   []uint64
	Nodes    []uint64 // all of the cluster, of which members can be made; empty: not known
	Send     func([]*pb.Message)
	Aside    func(to uint64, kind shard.AsideKind, body []byte)
	// Led is told when leader or term changed, or this member began or ceased to serve as the leader; it must not block, and
	// may be called before Open returns.
	Led func(shard.Status)

	// Delivered is told of each answer with messages; it must not block.
	Delivered func(*Delivery)
	// Times is told when an entry was formed, synced (0: not recorded), committed and answered, µs, and which member was the slowest
	// (0: there is one).
	Times func(index uint64, formed, synced, committed, answered int64, slowest uint64)
	// Happened is told of what the console shows as happenings.
	Happened func(kind, topic, group, text string)
	// Progress is told of a change of members.
	Progress func(inspect.ChangeProgress)
	// Sealed is told of each try to write a segment's sidecar and the checkpoint.
	Sealed func(began time.Time, segment uint64, err error)
}

// Delivery is what one answer to a pull handed out.
type Delivery struct {
	Client          *Client
	Identity        Identity
	Group, Topic    string
	Subscription    string
	QueueID         int32
	From, To        int64 // queue offsets; To is one behind the last
	Messages        int
	Filtered        int
	Skipped         []int64 // offsets in the range that were filtered out, at most skippedMax
	Bytes           int
	RequestedMicros int64
	SentMicros      int64
	WaitedMicros    int64
}

// Limits.
const (
	MaxMessageDefault = 4 << 20
	TopicMax          = 127 // bytes of a topic's name
	GroupMax          = 255
	QueuesMax         = 1024 // of one topic
	TopicsMax         = 200_000
	GroupsMax         = 200_000
	skippedMax        = 64
)

// Membership is what the fronts know of clients; the console's views join it.
type Membership interface {
	// Group gives Online, Model, ConsumeType, Members, LastSeen, Subscriptions and Consistent.
	Group(name string) (inspect.Group, bool)
	Groups() []string
	TopicGroups(topic string) []string
	Clients() []inspect.Client
	// Client is one connection with what it told; addr "": of several with the id, the one that was heard last.
	Client(id, addr string) (inspect.ClientDetail, bool)
}

// Service is one broker group's operations.
type Service struct {
	opts       Options
	shard      *shard.Shard
	more       []byte // properties that every stored message gets
	moreNames  []string
	aliases    aliases
	parcels    sync.Pool
	polls      polls
	pops       pops
	settling   settling
	filters    sync.Map // expression → *filter
	nfilters   atomic.Int64
	sqlFilters sqlFilters
	resets     resets
	topicMu    sync.Mutex // one change of topics at a time, so that listeners see them in order
	onTopic    func([]catalog.Topic)
	members    atomic.Pointer[Membership]
	asker      atomic.Pointer[Asker]
	started    time.Time
	out        outCounters
	lastPulls  sync.Map     // offset.Key → *pulled
	making     sync.Map     // group → *making
	late       atomic.Int64 // requests that wait for their topic to be made
	lateBytes  atomic.Int64
	messageOut atomic.Int64
	bytesOut   atomic.Int64
	rates      rates
	changing   atomic.Bool // members are being changed
	leads      leadership
	closing    sync.Once
}

// Open recovers the broker's state. A group of one can serve when it returns, and has its system topics; in a larger one they
// are made by whoever leads, and nobody may lead yet.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.RetentionAge == 0 {
		o.RetentionAge = shard.DefaultAge
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = MaxMessageDefault
	}
	if o.MemberID == 0 {
		o.MemberID = 1
	}
	if len(o.DelayLevels) == 0 {
		o.DelayLevels = DefaultDelayLevels
	}
	if o.MaxDelay == 0 {
		o.MaxDelay = MaxDelayDefault
	}
	if o.Aliases == nil {
		o.Aliases = DefaultAliases
	}
	if o.Transactions == (txn.Settings{}) {
		o.Transactions = txn.DefaultSettings()
	}
	s := &Service{opts: o, started: time.Now(), aliases: newAliases(o.Aliases)}
	s.leads.kick, s.leads.stop = make(chan struct{}, 1), make(chan struct{})
	s.always(message.PropCluster, o.Cluster)
	s.always(message.PropMsgRegion, "DefaultRegion")
	s.always(message.PropTraceOn, "true")
	s.parcels.New = func() any { return &Parcel{s: s} }
	s.polls.init(s)
	var err error
	s.shard, err = shard.Open(ctx, shard.Options{
		FS: o.FS, Dir: o.Dir, ID: o.MemberID, Voters: o.Voters, Send: o.Send, Aside: o.Aside, Led: s.led, SegmentBytes: o.SegmentBytes, Durable: o.Durable, RetentionAge: o.RetentionAge,
		RetentionBytes: o.RetentionBytes, Log: o.Log, Stored: s.polls.stored, Times: o.Times,
		Event: func(kind, text string) { s.happened(kind, "", "", text) }, Unread: s.unread, Sealed: o.Sealed,
	})
	if err != nil {
		return nil, err
	}
	s.polls.start()
	s.leads.ended.Add(2)
	go s.checkHalves()
	go s.revive()
	if s.grouped() {
		s.followLeader()
		return s, nil
	}
	if _, err := s.systemTopics(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// always gives every stored message a property.
func (s *Service) always(name, value string) {
	s.more, s.moreNames = message.AppendProperty(s.more, name, value), append(s.moreNames, name)
}

// Close refuses what waits and closes the log.
func (s *Service) Close() error {
	s.closing.Do(func() { close(s.leads.stop) })
	s.leads.ended.Wait()
	s.polls.close()
	return s.shard.Close()
}

// SetMembership tells who knows the clients.
func (s *Service) SetMembership(m Membership) { s.members.Store(&m) }

// Shard is the state, for the trail.
func (s *Service) Shard() *shard.Shard { return s.shard }

// MaxMessage is the longest body, bytes.
func (s *Service) MaxMessage() int { return s.opts.MaxMessage }

func (s *Service) happened(kind, topic, group, text string) {
	if s.opts.Happened != nil {
		s.opts.Happened(kind, topic, group, text)
	}
}

// unread keeps count of what retention took from a group: it is told in the trail, which keeps it.
func (s *Service) unread(u shard.Unread) {
	s.happened("deleted-unread", u.Topic, u.Group, fmt.Sprintf("%d messages of queue %d, offsets %d to %d, were deleted by retention before the group consumed them", u.To-u.From, u.QueueID, u.From, u.To-1))
}

// OutcomeUnknown begins the answer to what may have been stored or not. Its code is SYSTEM_ERROR: that is one with which RocketMQ's
// producers send again, to another broker group if there is one (DefaultMQProducer.retryResponseCodes).
const OutcomeUnknown = "[OUTCOME NOT KNOWN]"

// refuse gives the answer for what the shard says.
func (s *Service) refuse(err error) *Error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, shard.ErrUncertain): // it may wrap why
		return &Error{CodeSystemError, OutcomeUnknown + " the leader of the broker group " + s.opts.Broker + " changed or stopped while it was stored: it may be stored or not, and who sends it again may store it twice", err}
	case errors.Is(err, shard.ErrBusy):
		return &Error{CodeSystemBusy, "[TOO MANY MESSAGES WAIT] the broker's limit of waiting bytes is reached, try again", err}
	case errors.Is(err, shard.ErrTooLarge):
		return &Error{CodeMessageIllegal, "the message is illegal: " + err.Error(), err}
	case errors.Is(err, shard.ErrGone):
		return &Error{CodeTopicNotExist, err.Error(), err}
	case errors.Is(err, shard.ErrNoSpace):
		return &Error{CodeServiceNotAvailable, "service not available now: no space left on the disk of the log; reads go on", err}
	case errors.Is(err, shard.ErrNotLeader):
		return &Error{CodeServiceNotAvailable, "service not available now: this member does not lead the broker group " + s.opts.Broker + ", a leader is being elected, try again", err}
	case errors.Is(err, shard.ErrStopped), errors.Is(err, shard.ErrBehind):
		return &Error{CodeServiceNotAvailable, "service not available now: " + err.Error(), err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{CodeSystemError, "the request was given up before it was done", err}
	}
	return &Error{CodeServiceNotAvailable, "service not available now: the log failed, see the broker's log", err}
}

// topicQueues is the index of a topic that the catalog had; it may have been deleted since.
func (s *Service) topicQueues(e catalog.Entry) *queue.Topic {
	if t := s.shard.Index().Lookup(e.Name); t != nil {
		return t
	}
	return queue.Gone(e.Name)
}

// IsSystemTopic says whether a topic belongs to the broker rather than to a user.
func (s *Service) IsSystemTopic(name string) bool {
	if systemTopics[name] || name == s.opts.Cluster || name == s.opts.Broker {
		return true
	}
	return strings.HasPrefix(name, "rmq_sys_") || name == s.opts.Cluster+"_REPLY_TOPIC"
}
