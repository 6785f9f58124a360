package service

import (
	"context"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/inspect"
)

// Producer is one producer group of one connection, as the trail names it.
type Producer struct {
	entry.Producer
	definedEpoch int64 // shard's: epoch of the log in which the ref was defined last; -1 never
}

// Service is one broker group's operations.
type Service struct{}

// Parcel is the messages of one read of one connection. Use: Add or AddBatch for each request, then Submit once; after
// done was called read Results, then Release. Not safe for concurrent use.
type Parcel struct {
	Results []Result
}

// Parcel takes an empty parcel from the pool.
func (s *Service) Parcel(c *Client) *Parcel { panic("contract") }

// Add appends one message (or, with h.Batch, a batch). It never fails: what is refused gets its Result at once.
func (p *Parcel) Add(h *SendHeader, body []byte, token Token) { panic("contract") }

// Submit hands the parcel over. done is called exactly once, perhaps before Submit returns, from another goroutine;
// it must not block.
func (p *Parcel) Submit(done func(*Parcel)) { panic("contract") }

// Release returns the parcel to the pool.
func (p *Parcel) Release() { panic("contract") }

// Pull answers through done, at once or after long polling; done is called exactly once and must not block for long.
// The request must not be changed after the call.
func (s *Service) Pull(req *PullRequest, done func(*PullResult)) { panic("contract") }

// CancelPulls answers nothing: it forgets the long polls of a closed connection.
func (s *Service) CancelPulls(c *Client) { panic("contract") }

// QueryOffset is a group's committed offset (code 14); CodeQueryNotFound when there is none (rocketmq.md 6.3, 12.31).
func (s *Service) QueryOffset(group, topic string, queueID int32, setZeroIfNotFound bool) (int64, *Error) {
	panic("contract")
}

// CommitOffset stores a group's offset (code 15, or a pull's piggy-back). done may be nil (one-way).
func (s *Service) CommitOffset(o entry.Offset, done func(*Error)) { panic("contract") }

// MaxOffset, MinOffset, OffsetByTime, EarliestStoreTime: codes 30, 31, 29, 32. boundary is LOWER or UPPER.
func (s *Service) MaxOffset(topic string, queueID int32) (int64, *Error) { panic("contract") }
func (s *Service) MinOffset(topic string, queueID int32) (int64, *Error) { panic("contract") }
func (s *Service) OffsetByTime(topic string, queueID int32, millis int64, boundary string) (int64, *Error) {
	panic("contract")
}
func (s *Service) EarliestStoreTime(topic string, queueID int32) (int64, *Error) { panic("contract") }

// ViewByPosition returns one stored message (code 33); topic, when not empty, must be the message's.
func (s *Service) ViewByPosition(topic string, position int64) ([]byte, *Error) { panic("contract") }

// Query returns concatenated stored messages by key (code 12), with the index's last update (ms, position).
func (s *Service) Query(ctx context.Context, q QueryRequest) (body []byte, lastMillis, lastPosition int64, err *Error) {
	panic("contract")
}

// PutTopic creates or changes a topic and returns when it is applied; DeleteTopic removes it.
func (s *Service) PutTopic(ctx context.Context, t catalog.Topic) *Error { panic("contract") }
func (s *Service) DeleteTopic(ctx context.Context, name string) *Error  { panic("contract") }
func (s *Service) PutGroup(ctx context.Context, g catalog.Group) *Error { panic("contract") }
func (s *Service) DeleteGroup(ctx context.Context, name string) *Error  { panic("contract") }
func (s *Service) Topic(name string) (catalog.Topic, bool)              { panic("contract") }
func (s *Service) Topics() []catalog.Topic                              { panic("contract") }
func (s *Service) Group(name string) (catalog.Group, bool)              { panic("contract") }
func (s *Service) Groups() []catalog.Group                              { panic("contract") }

// OnTopicChange registers f to be called (in the caller's goroutine of PutTopic, before it returns) with the changed
// topics; the broker's registration with name servers hangs on it. deleted topics have Perm 0 and no queues.
func (s *Service) OnTopicChange(f func(changed []catalog.Topic)) { panic("contract") }

// TopicGroups are the groups that are online for the topic or have offsets in it (code 300).
func (s *Service) TopicGroups(topic string) []string { panic("contract") }

// Inspect gives the state for the console.
func (s *Service) InspectNode() inspect.Node                      { panic("contract") }
func (s *Service) InspectTopics() []inspect.Topic                 { panic("contract") }
func (s *Service) InspectTopic(name string) (inspect.Topic, bool) { panic("contract") }
func (s *Service) InspectGroups() []inspect.Group                 { panic("contract") }
func (s *Service) InspectGroup(name string) (inspect.Group, bool) { panic("contract") }
func (s *Service) InspectClients() []inspect.Client               { panic("contract") }
