package service

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/contrailmq/contrail/broker/shard"
)

// Response codes (org.apache.rocketmq.remoting.protocol.{RemotingSysResponseCode,ResponseCode}).
const (
	CodeSuccess                  = 0
	CodeSystemError              = 1
	CodeSystemBusy               = 2
	CodeNotSupported             = 3
	CodeFlushDiskTimeout         = 10
	CodeMessageIllegal           = 13
	CodeServiceNotAvailable      = 14
	CodeNoPermission             = 16
	CodeTopicNotExist            = 17
	CodePullNotFound             = 19
	CodePullRetryImmediately     = 20
	CodePullOffsetMoved          = 21
	CodeQueryNotFound            = 22
	CodeSubscriptionParseFailed  = 23
	CodeSubscriptionNotExist     = 24
	CodeSubscriptionNotLatest    = 25
	CodeSubscriptionGroupMissing = 26
	CodeFilterDataNotExist       = 27
	CodeInvalidParameter         = 29
	CodeConsumerNotOnline        = 206
	CodeConsumeTimeout           = 207
	CodePollingFull              = 209
	CodeFlowControl              = 215
	CodeIllegalOperation         = 604
)

// Error is a refusal that reaches the client.
type Error struct {
	Code  int
	Text  string
	Cause error // for the broker's log; never sent
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("code %d: %s: %v", e.Code, e.Text, e.Cause)
	}
	return fmt.Sprintf("code %d: %s", e.Code, e.Text)
}

func (e *Error) Unwrap() error { return e.Cause }

// NotLed says that nothing was done, because this member does not lead its broker group: the leader may be asked.
func (e *Error) NotLed() bool { return e != nil && errors.Is(e.Cause, shard.ErrNotLeader) }

// Refuse makes an Error.
func Refuse(code int, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// SendHeader is what a producer says of one message (or of a batch of them). Slices alias the frame and are not kept.
type SendHeader struct {
	ProducerGroup         []byte
	Topic                 []byte
	DefaultTopic          []byte
	DefaultTopicQueueNums int32
	QueueID               int32 // < 0: the broker chooses
	SysFlag               int32
	BornTime              int64 // ms
	Flag                  int32
	Properties            []byte
	ReconsumeTimes        int32
	MaxReconsumeTimes     int32 // < 0: the group's
	Batch                 bool  // body is RocketMQ's batch body (code 320)
	ReceivedMicros        int64 // when the frame had been read
	// BornHost is who sent the message first, when it is a copy of another one; else not valid.
	BornHost netip.AddrPort
	// Inner is set by the broker itself, which may store in any topic.
	Inner bool
}

// Token is the front's own mark of a request; it comes back in the Result.
type Token struct {
	Opaque  int32
	Flags   uint32
	Request int32 // request code
}

// Result answers one Add of a Parcel.
type Result struct {
	Token       Token
	Code        int
	Remark      string // "" on success
	NotLed      bool   // nothing was stored, because this member does not lead its broker group: the leader may be asked
	QueueID     int32
	QueueOffset int64   // of the first message
	Position    int64   // physical offset of the first message
	Positions   []int64 // of all messages of a batch; nil for a single one
	StoreHost   netip.AddrPort
	Due         int64 // ms, when the message is to be delivered; 0: it was at once
	// RecallHandle cancels a scheduled message; "": it is none.
	RecallHandle string
	// TransactionID is the message's UNIQ_KEY; it aliases the parcel and is gone after Release.
	TransactionID []byte
}

// PullRequest asks for messages of one queue (codes 11 and 361).
type PullRequest struct {
	Client         *Client
	Group          string
	Topic          string
	QueueID        int32
	Offset         int64
	MaxMessages    int32
	MaxBytes       int32 // 0: the broker's limit
	SysFlag        int32 // 1 commit offset, 2 may suspend, 4 subscription given
	CommitOffset   int64
	SuspendMillis  int64
	Subscription   string
	SubVersion     int64
	ExpressionType string
	ReceivedMicros int64
	// Peek is set by a console that looks without consuming: no group, no note, no long poll.
	Peek bool
	// Follower is set for a member that does not lead, while nobody does: it answers from what it has applied, stores no offset,
	// makes no group, and holds the request no longer than until there is a leader.
	Follower bool
	// LeaderAway, with Follower, says that there is a leader and it cannot be asked: the request is held as it says.
	LeaderAway bool
}

// Bits of PullRequest.SysFlag (org.apache.rocketmq.common.sysflag.PullSysFlag).
const (
	PullCommitOffset = 1
	PullSuspend      = 2
	PullSubscription = 4
)

// PullResult answers a pull. Body is the concatenated stored messages; call Release when it was written.
type PullResult struct {
	Code          int
	Remark        string
	NextBegin     int64
	MinOffset     int64
	MaxOffset     int64
	SuggestBroker int64
	Messages      int
	Body          []byte
	WaitedMicros  int64 // how long the request was held by long polling
	buffer        *[]byte
}

// Release gives the body's memory back. The result must not be used after it.
func (r *PullResult) Release() {
	if b := r.buffer; b != nil {
		r.buffer, r.Body = nil, nil
		putBody(b)
	}
}

// QueueKey names a queue.
type QueueKey struct {
	Topic   string `json:"topic"`
	Broker  string `json:"brokerName"`
	QueueID int32  `json:"queueId"`
}

// QueryRequest finds messages by key (code 12).
type QueryRequest struct {
	Topic       string
	Key         string
	Unique      bool // by UNIQ_KEY instead of KEYS
	MaxMessages int
	BeginMillis int64
	EndMillis   int64
}
