package trail

import "context"

// Answer says how an answer is to be read: four-valued, never a guess.
type Answer string

// Answers.
const (
	Found       Answer = "found"
	Nothing     Answer = "nothing"      // asked everywhere, there is none
	Failed      Answer = "failed"       // the store did not answer; Reason says what it said
	NotRecorded Answer = "not-recorded" // or expired: the store cannot know; Reason says why
)

// Query finds messages. Empty fields do not filter. Times are required.
type Query struct {
	// Topic finds what was stored in it and what waits in a parking topic for it. State, one of the states below, narrows that.
	Topic, ID, Key, Tag, ProducerGroup, Client, Group string
	State                                             string
	FromMicros, ToMicros                              int64
	Limit                                             int    // at most 1000; 0: 100
	Before                                            string // cursor: the last answer's Next
}

// States of a Query. With StateRetried and StateDead its topic is also the one that the group consumed.
const (
	StateScheduled = "scheduled" // it waits until it is due, and is not cancelled; retries are not counted in
	StateFired     = "fired"     // it was scheduled, and was stored in its topic when it was due
	StateCancelled = "cancelled" // it was scheduled, and was cancelled
	StateRetried   = "retried"   // a retry copy: in a group's retry topic, or waiting for it
	StateDead      = "dead"      // a dead letter
	StateHalf      = "half"      // a half message: open, decided or given up; those in its topic that were committed are in no such state
)

// States are all of them.
var States = []string{StateScheduled, StateFired, StateCancelled, StateRetried, StateDead, StateHalf}

// Matches answers a Query, newest first.
type Matches struct {
	Answer        Answer    `json:"answer"`
	Reason        string    `json:"reason,omitempty"`
	Messages      []Message `json:"messages"`
	Next          string    `json:"next,omitempty"` // cursor of the next page
	RowsRead      uint64    `json:"rowsRead"`
	BytesRead     uint64    `json:"bytesRead"`
	ElapsedMicros int64     `json:"elapsedMicros"`
	Histogram     []Bucket  `json:"histogram"`
}

// Bucket is a count at a time.
type Bucket struct {
	AtMicros int64  `json:"atMicros"`
	Count    uint64 `json:"count"`
}

// Life is everything recorded of one message.
type Life struct {
	Answer      Answer       `json:"answer"`
	Reason      string       `json:"reason,omitempty"`
	Messages    []Message    `json:"messages"` // copies of one identity, oldest first
	Deliveries  []Delivery   `json:"deliveries"`
	Settlements []Settlement `json:"settlements"`
	Steps       []Step       `json:"steps"`
	Happenings  []Happening  `json:"happenings"`  // rebalances and connects of its groups within its life
	NotRecorded []Shipped    `json:"notRecorded"` // holes that overlap its life
	TraceID     string       `json:"traceId"`
	ShippedTo   int64        `json:"shippedToMicros"` // the trail is complete up to here
}

// Rate is one minute (or coarser step) of one topic or group.
type Rate struct {
	AtMicros int64   `json:"atMicros"`
	Topic    string  `json:"topic"`
	Group    string  `json:"group"`
	Step     string  `json:"step"` // store, deliver, ack
	Count    uint64  `json:"count"`
	Bytes    uint64  `json:"bytes"`
	P50      float64 `json:"p50Micros"`
	P99      float64 `json:"p99Micros"`
}

// Status is the trail's own state.
type Status struct {
	StoreUp         bool   `json:"storeUp"`
	StoreText       string `json:"storeText"`       // why not, or which engine and version
	ShippedToMicros int64  `json:"shippedToMicros"` // everything the broker recorded up to here is in the store
	LagMicros       int64  `json:"lagMicros"`
	LagEntries      uint64 `json:"lagEntries"`
	RowsShipped     uint64 `json:"rowsShipped"`
	RowsNotRecorded uint64 `json:"rowsNotRecorded"`
	LastError       string `json:"lastError"`
	LastErrorMicros int64  `json:"lastErrorMicros"`
	ShipsLog        bool   `json:"shipsLog"` // this member leads its broker group of several and ships the group's log
}

// Schedule tells what waits until it is due.
type Schedule interface {
	// Scheduled gives what is scheduled and not cancelled, next due first, at most q.Limit; the query's time and state are not asked for.
	// What was stored longer ago than rows are kept is not in it. Buckets of the histogram are of due times.
	Scheduled(ctx context.Context, q Query) (Matches, error)
}

// Reader asks the trail.
type Reader interface {
	Search(ctx context.Context, q Query) (Matches, error)
	Life(ctx context.Context, id string) (Life, error) // by UNIQ_KEY or offset message id
	Happenings(ctx context.Context, fromMicros, toMicros int64, limit int) ([]Happening, error)
	Rates(ctx context.Context, fromMicros, toMicros, stepMicros int64, topic, group string) ([]Rate, error)
	Status() Status
}
