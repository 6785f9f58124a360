package service

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/shard"
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
	MaxMessage                       int  // longest body; default MaxMessageDefault
	AutoCreateTopic                  bool // through TBW102
	AutoCreateGroup                  bool
	TraceTopic                       bool // RMQ_SYS_TRACE_TOPIC is there
	Log                              *slog.Logger

	// Delivered is told of each answer with messages; it must not block.
	Delivered func(*Delivery)
	// Times is told when an entry was formed, synced (0: not recorded) and answered, µs.
	Times func(index uint64, formed, synced, answered int64)
	// Happened is told of what the console shows as happenings.
	Happened func(kind, topic, group, text string)
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
}

// Service is one broker group's operations.
type Service struct {
	opts       Options
	shard      *shard.Shard
	more       []byte // properties that every stored message gets
	parcels    sync.Pool
	polls      polls
	filters    sync.Map // expression → *filter
	nfilters   atomic.Int64
	topicMu    sync.Mutex // one change of topics at a time, so that listeners see them in order
	onTopic    func([]catalog.Topic)
	members    atomic.Pointer[Membership]
	started    time.Time
	out        outCounters
	lastPulls  sync.Map     // offset.Key → *pulled
	late       atomic.Int64 // requests that wait for their topic to be made
	lateBytes  atomic.Int64
	messageOut atomic.Int64
	bytesOut   atomic.Int64
	rates      rates
}

// Open recovers the broker's state and makes sure that the system topics exist.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.RetentionAge == 0 {
		o.RetentionAge = shard.DefaultAge
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = MaxMessageDefault
	}
	s := &Service{opts: o, started: time.Now()}
	s.more = message.AppendProperty(s.more, "CLUSTER", o.Cluster)
	s.more = message.AppendProperty(s.more, message.PropMsgRegion, "DefaultRegion")
	s.more = message.AppendProperty(s.more, message.PropTraceOn, "true")
	s.parcels.New = func() any { return &Parcel{s: s} }
	s.polls.init(s)
	var err error
	s.shard, err = shard.Open(ctx, shard.Options{
		FS: o.FS, Dir: o.Dir, ID: 1, SegmentBytes: o.SegmentBytes, Durable: o.Durable, RetentionAge: o.RetentionAge,
		RetentionBytes: o.RetentionBytes, Log: o.Log, Stored: s.polls.stored, Times: o.Times,
		Event: func(kind, text string) { s.happened(kind, "", "", text) }, Sealed: o.Sealed,
	})
	if err != nil {
		return nil, err
	}
	s.polls.start()
	if err := s.systemTopics(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close refuses what waits and closes the log.
func (s *Service) Close() error {
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

// refuse gives the answer for what the shard says.
func (s *Service) refuse(err error) *Error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, shard.ErrBusy):
		return &Error{CodeSystemBusy, "[TOO MANY MESSAGES WAIT] the broker's limit of waiting bytes is reached, try again", err}
	case errors.Is(err, shard.ErrTooLarge):
		return &Error{CodeMessageIllegal, "the message is illegal: " + err.Error(), err}
	case errors.Is(err, shard.ErrNoSpace):
		return &Error{CodeServiceNotAvailable, "service not available now: no space left on the disk of the log; reads go on", err}
	case errors.Is(err, shard.ErrNotLeader), errors.Is(err, shard.ErrStopped), errors.Is(err, shard.ErrBehind):
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
