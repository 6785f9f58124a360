package api

import "github.com/contrailmq/contrail/broker/inspect"

// Actions says whether this console changes anything.
type Actions struct {
	Allowed bool   `json:"allowed"`
	Why     string `json:"why"` // why not; "" when it does
}

// DeadLetters is a part of a group's dead letters as the broker has them, those that died last first.
type DeadLetters struct {
	Total   int64                `json:"total"` // kept of this group
	Scanned int64                `json:"scanned"`
	Letters []inspect.DeadLetter `json:"letters"` // those that match
	Next    string               `json:"next"`    // before of the next part; "": this was the last
}

// LetterRef names a dead letter of a group.
type LetterRef struct {
	Broker string `json:"broker"` // broker group
	Offset int64  `json:"offset"` // in the group's dead-letter queue there
}

// ResendLetters gives dead letters to their group again.
type ResendLetters struct {
	Letters []LetterRef `json:"letters"`         // 1 to 100
	Again   bool        `json:"again,omitempty"` // also those that were resent before
}

// Outcomes of a ResentLetter besides those of inspect.Resent (resent, already, missing).
const (
	LetterRefused  = "refused"
	LetterUnknown  = "unknown"   // the answer was lost: it may have been resent
	LetterNotTried = "not-tried" // the request's time was over before its turn
)

// ResentLetter is what became of one letter.
type ResentLetter struct {
	Broker       string `json:"broker"`
	Offset       int64  `json:"offset"`
	Outcome      string `json:"outcome"` // resent, already, missing, refused, unknown, not-tried
	Why          string `json:"why"`
	At           int64  `json:"at"` // ms, when its copy was stored; 0: there is none
	Topic        string `json:"topic"`
	CopyPosition int64  `json:"copyPosition"`
}

// ResentLetters is one for each letter, in the order in which they were named.
type ResentLetters struct {
	Outcomes []ResentLetter `json:"outcomes"`
}

// ResetWish says where a consumer group shall go on.
type ResetWish struct {
	Topic   string `json:"topic,omitempty"`        // absent: all that it reads, its retries excepted
	Broker  string `json:"brokerGroup,omitempty"`  // absent: all
	QueueID *int32 `json:"queueId,omitempty"`      // absent: all
	To      string `json:"to"`                     // earliest, latest, time, offset
	Millis  int64  `json:"storedMillis,omitempty"` // time
	Offset  int64  `json:"offset,omitempty"`       // offset, of one queue
}

// ResetPlace is what a reset means for one queue.
type ResetPlace struct {
	Broker    string `json:"brokerGroup"`
	Topic     string `json:"topic"`
	QueueID   int32  `json:"queueId"`
	Committed int64  `json:"committed"` // before; -1: none
	To        int64  `json:"to"`
	Min       int64  `json:"min"`
	Max       int64  `json:"max"`
	Again     int64  `json:"messagesAgain"`   // consumed so far, to be delivered once more
	Skipped   int64  `json:"messagesSkipped"` // not consumed so far, and never to be
	Oldest    int64  `json:"oldestMillis"`    // when the first of these was stored; 0: there is none
	Newest    int64  `json:"newestMillis"`
}

// ResetPlan is what a reset would do. Nothing is changed.
type ResetPlan struct {
	Online bool         `json:"online"` // the group is, and takes it with its next pull
	Queues []ResetPlace `json:"queues"`
}

// ResetTo is where one queue shall go on.
type ResetTo struct {
	Broker  string `json:"brokerGroup"`
	Topic   string `json:"topic"`
	QueueID int32  `json:"queueId"`
	Offset  int64  `json:"offset"`
}

// ResetOffsets moves a group as a plan said.
type ResetOffsets struct {
	Queues []ResetTo `json:"queues"` // 1 to 1000
}

// ResetOutcome is what became of one queue.
type ResetOutcome struct {
	Broker  string `json:"brokerGroup"`
	Topic   string `json:"topic"`
	QueueID int32  `json:"queueId"`
	Offset  int64  `json:"offset"`
	Outcome string `json:"outcome"` // moved, refused, unknown, not-tried
	Why     string `json:"why"`
}

// ResetOutcomes is one for each queue, in the order in which they were named.
type ResetOutcomes struct {
	Outcomes []ResetOutcome `json:"outcomes"`
}

// CloneOffsets gives a group the places that another one has.
type CloneOffsets struct {
	From  string `json:"from"`
	Topic string `json:"topic,omitempty"` // absent: all that the source subscribes to
	Force bool   `json:"force,omitempty"` // though the group is online, and its consumers may commit over it
}

// DecideTransaction ends a transaction whose producers are gone.
type DecideTransaction struct {
	Broker   string `json:"broker"`
	Offset   int64  `json:"halfOffset"`
	Position int64  `json:"position"`
	Decision string `json:"decision"`         // commit or rollback
	Reason   string `json:"reason,omitempty"` // for the log
}

// CancelScheduled cancels a scheduled message.
type CancelScheduled struct {
	Topic  string `json:"topic"`
	Handle string `json:"recallHandle"`
}

// Cancelled is what became of a cancel.
type Cancelled struct {
	Outcome string `json:"outcome"` // cancelled, too-late, already, unknown
	Text    string `json:"text"`    // the broker's words; "" when it is cancelled
}

// VerifyMessage hands a message to one client, which consumes it outside its queues.
type VerifyMessage struct {
	Group  string `json:"consumerGroup"`
	Client string `json:"clientId"`
	Broker string `json:"broker"` // broker group that has the message
	Topic  string `json:"topic"`
}

// Verified is what the client made of it.
type Verified struct {
	Result     string `json:"consumeResult"` // CR_SUCCESS, CR_LATER, CR_ROLLBACK, CR_COMMIT, CR_THROW_EXCEPTION, CR_RETURN_NULL
	Remark     string `json:"remark"`
	Order      bool   `json:"order"`
	AutoCommit bool   `json:"autoCommit"`
	Millis     int64  `json:"spentTimeMills"`
}

// AskRunning asks a client of a group what it is doing.
type AskRunning struct {
	Group  string `json:"consumerGroup"`
	Client string `json:"clientId"`
	Stacks bool   `json:"jstackEnable,omitempty"` // of its threads, too
}

// Running is what a client said of itself.
type Running struct {
	Properties map[string]string `json:"properties"`
	Queues     []RunningQueue    `json:"queues"`
	Topics     []RunningTopic    `json:"topics"`
	Stacks     string            `json:"stacks"`
	Truncated  bool              `json:"stacksTruncated"`
}

// RunningQueue is a queue that a client has.
type RunningQueue struct {
	Broker      string `json:"brokerGroup"`
	Topic       string `json:"topic"`
	QueueID     int32  `json:"queueId"`
	Committed   int64  `json:"commitOffset"`
	CachedMin   int64  `json:"cachedMsgMinOffset"`
	CachedMax   int64  `json:"cachedMsgMaxOffset"`
	Cached      int64  `json:"cachedMsgCount"`
	Locked      bool   `json:"locked"`
	Dropped     bool   `json:"droped"`
	LastPull    int64  `json:"lastPullTimestamp"`
	LastConsume int64  `json:"lastConsumeTimestamp"`
}

// RunningTopic is how fast a client is in a topic.
type RunningTopic struct {
	Topic     string  `json:"topic"`
	PullRT    float64 `json:"pullRT"` // ms
	PullTPS   float64 `json:"pullTPS"`
	ConsumeRT float64 `json:"consumeRT"` // ms
	OKTPS     float64 `json:"consumeOKTPS"`
	FailedTPS float64 `json:"consumeFailedTPS"`
	Failed    int64   `json:"consumeFailedMsgs"` // in the last hour
}
