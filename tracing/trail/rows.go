package trail

// Message is one stored message (table messages).
type Message struct {
	ID             string   `json:"id"` // UNIQ_KEY, else offset message id
	OffsetID       string   `json:"offsetId"`
	Topic          string   `json:"topic"`
	Tag            string   `json:"tag"`
	Keys           []string `json:"keys"`
	Type           string   `json:"type"` // normal, fifo, delay, transaction
	QueueID        int32    `json:"queueId"`
	QueueOffset    int64    `json:"queueOffset"`
	Position       int64    `json:"position"` // logical log position (physical offset)
	Index          uint64   `json:"index"`    // raft index of its entry
	Term           uint64   `json:"term"`
	StoredBytes    uint32   `json:"storedBytes"`
	BodyBytes      uint32   `json:"bodyBytes"`
	SysFlag        int32    `json:"sysFlag"`
	ReconsumeTimes int32    `json:"reconsumeTimes"`
	ProducerGroup  string   `json:"producerGroup"`
	ProducerClient string   `json:"producerClient"`
	ProducerAddr   string   `json:"producerAddr"`
	Language       string   `json:"language"`
	Version        string   `json:"version"`
	Protocol       string   `json:"protocol"`
	Broker         string   `json:"broker"` // broker group's name
	Node           string   `json:"node"`
	BornMicros     int64    `json:"bornMicros"`     // producer's clock
	ReceivedMicros int64    `json:"receivedMicros"` // frame read
	AppendedMicros int64    `json:"appendedMicros"` // entry formed (store time)
	SyncedMicros   int64    `json:"syncedMicros"`   // on stable storage here; 0 not recorded
	AckedMicros    int64    `json:"ackedMicros"`    // committed, applied, answer handed to the connection; 0 not recorded
	// CommittedMicros is when a majority of the members had it, Slowest the member that had it last, or not yet, at that time. 0 not
	// recorded.
	CommittedMicros int64  `json:"committedMicros"`
	Slowest         uint64 `json:"slowest"`

	// Timing is what a copy waits for, or came of: parked, rolled, fired, half, discarded, or "". One that waits does so for RealTopic and RealQueueID; those of the
	// timer have the due time, DueMicros, of ms; 0 none.
	Timing      string `json:"timing"`
	RealTopic   string `json:"realTopic"`
	RealQueueID int32  `json:"realQueueId"`
	DueMicros   int64  `json:"dueMicros"`
	// CancelledMicros is when a copy that waited was cancelled, 0: it was not. Readers fill it; it is in no row of the message.
	CancelledMicros int64  `json:"cancelledMicros"`
	OriginTopic     string `json:"originTopic"` // of a retry or a dead letter: the topic that its group consumed; "" for others
	PopGroup        string `json:"popGroup"`    // of a retry that pop made: the group; its topic's name (%RETRY%group_topic) does not say where that ends

	ResentFrom string `json:"resentFrom"` // of a dead letter that was given to its group again: the letter's offset message id
	ResentBy   string `json:"resentBy"`   // who asked for that

	OriginID   string `json:"originId"` // first message of its lineage, "" when it is the first
	TraceIn    string `json:"traceIn"`  // incoming trace id, 32 hex, or ""
	ParentIn   string `json:"parentIn"` // incoming parent span id, 16 hex, or ""
	TraceFlags uint8  `json:"traceFlags"`
}

// Delivery is one contiguous range of a queue handed to one client of one group (table deliveries).
type Delivery struct {
	Broker          string  `json:"broker"` // broker group's name: each has a queue of this number; "" in rows of older versions
	Topic           string  `json:"topic"`
	QueueID         int32   `json:"queueId"`
	From            int64   `json:"from"` // first queue offset
	To              int64   `json:"to"`   // one behind the last
	Group           string  `json:"group"`
	Client          string  `json:"client"`
	Addr            string  `json:"addr"`
	Language        string  `json:"language"`
	Version         string  `json:"version"`
	Protocol        string  `json:"protocol"`
	Node            string  `json:"node"`
	RequestedMicros int64   `json:"requestedMicros"` // request read
	SentMicros      int64   `json:"sentMicros"`      // answer handed to the connection
	WaitedMicros    int64   `json:"waitedMicros"`    // held by long polling
	Messages        uint32  `json:"messages"`        // sent
	Filtered        uint32  `json:"filtered"`        // in the range, not sent: the subscription did not match
	Skipped         []int64 `json:"skipped"`         // queue offsets in the range that were filtered out (bounded, 64)
	Bytes           uint64  `json:"bytes"`
	Attempt         uint16  `json:"attempt"`
	Subscription    string  `json:"subscription"`
}

// Settlement is an acknowledged range, or one message's ack, nack, expiry, dead letter or reset (table settlements).
type Settlement struct {
	Broker   string `json:"broker"` // as Delivery's
	Topic    string `json:"topic"`
	QueueID  int32  `json:"queueId"`
	From     int64  `json:"from"` // first offset newly settled; -1 unknown
	To       int64  `json:"to"`   // one behind the last
	Group    string `json:"group"`
	Outcome  string `json:"outcome"` // acknowledged, reset, sent-back, …
	Client   string `json:"client"`
	Node     string `json:"node"`
	AtMicros int64  `json:"atMicros"`
	Position int64  `json:"position"`
}

// Step is anything else about one message (table steps).
type Step struct {
	ID             string `json:"id"`   // message
	Name           string `json:"name"` // send, process, … as observability.md 1.2 names operations
	Topic          string `json:"topic"`
	Group          string `json:"group"`
	Client         string `json:"client"`
	Addr           string `json:"addr"`
	AtMicros       int64  `json:"atMicros"` // start
	DurationMicros int64  `json:"durationMicros"`
	Attempt        uint16 `json:"attempt"`
	Status         string `json:"status"` // Unset, Ok, Error
	Error          string `json:"error"`
	Source         string `json:"source"`   // broker, client
	Detail         string `json:"detail"`   // requestId, consume status …
	Position       int64  `json:"position"` // log position it was derived from
	Broker         string `json:"broker"`   // broker group's name; "" in what clients report
	Place          int64  `json:"place"`    // log position of the one stored copy that it is about; 0: it is about the message
}

// Happening is something about the broker or a client (table happenings).
type Happening struct {
	AtMicros int64             `json:"atMicros"`
	Kind     string            `json:"kind"` // connect, disconnect, rebalance, refusal, topic, group, leader, flush-stall, retention …
	Topic    string            `json:"topic"`
	Group    string            `json:"group"`
	Client   string            `json:"client"`
	Addr     string            `json:"addr"`
	Node     string            `json:"node"`
	Text     string            `json:"text"`
	Count    uint32            `json:"count"` // how many like it are folded into this row
	Detail   map[string]string `json:"detail"`
}

// Shipped is one block that the shipper wrote (table ship_log).
type Shipped struct {
	AtMicros    int64  `json:"atMicros"`
	Node        string `json:"node"`
	Broker      string `json:"broker"` // broker group's name; "" in rows of older versions
	Source      string `json:"source"` // log or notes
	From        int64  `json:"from"`   // log position or notes sequence
	To          int64  `json:"to"`
	FromMicros  int64  `json:"fromMicros"` // times that the block spans
	ToMicros    int64  `json:"toMicros"`
	Rows        uint64 `json:"rows"`
	NotRecorded uint64 `json:"notRecorded"` // rows lost
	Reason      string `json:"reason"`      // why they were lost
	Topic       string `json:"topic"`
}

// Cut is one block of a broker group's log, as its members agreed on it by way of the store (table ship_cuts): whoever writes
// the block writes these entries under one token, so that the store has them once.
type Cut struct {
	Broker       string // broker group's name
	Group        string // tells logs of one name apart: a group formed anew has another one
	Seq          uint64 // cuts of a log count from 1; one begins where the one before it ends
	From, To     uint64 // first entry, and one behind the last; equal: an empty block
	FromPosition int64
	ToPosition   int64
	FromTerm     uint64 // of the entry before the first one
	ToTerm       uint64 // of the last one
	FromMicros   int64  // when these two entries were formed
	ToMicros     int64
	Node         string // who offered it
	Mark         string // drawn for this offer: tells it from every other one
	AtMicros     int64
}
