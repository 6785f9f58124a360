package inspect

// Scheduled is a message that waits for its time.
type Scheduled struct {
	Broker   string `json:"broker"` // broker group's name
	Topic    string `json:"topic"`  // its real one
	QueueID  int32  `json:"queueId"`
	UniqKey  string `json:"uniqKey"`
	Keys     string `json:"keys,omitempty"`
	Tags     string `json:"tags,omitempty"`
	Due      int64  `json:"dueAt"`    // ms
	Stored   int64  `json:"storedAt"` // ms
	Position int64  `json:"position"` // where it is parked
	Level    int32  `json:"delayLevel,omitempty"`
	Attempts int32  `json:"attempts,omitempty"` // of a retry: how often it was consumed before
	Bytes    int32  `json:"bytes"`
	Handle   string `json:"recallHandle"` // with which it can be cancelled
}

// ScheduledList is those that are due next, and numbers of all.
type ScheduledList struct {
	Pending   int64       `json:"pending"`
	Scheduled int64       `json:"scheduledTotal"`
	Fired     int64       `json:"firedTotal"`
	Cancelled int64       `json:"cancelledTotal"`
	Messages  []Scheduled `json:"messages"`
}

// Add takes another broker group's list.
func (l *ScheduledList) Add(o ScheduledList) {
	l.Pending, l.Scheduled, l.Fired, l.Cancelled = l.Pending+o.Pending, l.Scheduled+o.Scheduled, l.Fired+o.Fired, l.Cancelled+o.Cancelled
	l.Messages = append(l.Messages, o.Messages...)
}

// Transaction is a half message that nobody decided yet.
type Transaction struct {
	Broker    string `json:"broker"`
	Topic     string `json:"topic"` // its real one
	UniqKey   string `json:"uniqKey"`
	Keys      string `json:"keys,omitempty"`
	Group     string `json:"producerGroup"`
	Offset    int64  `json:"halfOffset"`
	Position  int64  `json:"position"`
	Stored    int64  `json:"storedAt"`
	Checks    int32  `json:"checks"`
	LastCheck int64  `json:"lastCheckAt,omitempty"`
	NextCheck int64  `json:"nextCheckAt"` // ms, when a producer of the group is asked
	GiveUp    bool   `json:"givenUpThen"` // nobody is asked any more: it is parked at that time
	Bytes     int32  `json:"bytes"`
}

// TransactionList is the oldest open transactions, and numbers of all.
type TransactionList struct {
	Open       int64         `json:"open"`
	Begun      int64         `json:"begunTotal"`
	Committed  int64         `json:"committedTotal"`
	RolledBack int64         `json:"rolledBackTotal"`
	GivenUp    int64         `json:"givenUpTotal"`
	Checks     int64         `json:"checksTotal"`
	Halves     []Transaction `json:"halves"`
}

// Add takes another broker group's list.
func (l *TransactionList) Add(o TransactionList) {
	l.Open, l.Begun, l.Committed, l.RolledBack = l.Open+o.Open, l.Begun+o.Begun, l.Committed+o.Committed, l.RolledBack+o.RolledBack
	l.GivenUp, l.Checks = l.GivenUp+o.GivenUp, l.Checks+o.Checks
	l.Halves = append(l.Halves, o.Halves...)
}

// DeadLetter is a message that a consumer group gave up.
type DeadLetter struct {
	Broker   string `json:"broker"`
	Group    string `json:"group"`
	Offset   int64  `json:"offset"`        // in the group's dead-letter queue of that broker group
	Topic    string `json:"topic"`         // where it was consumed from
	Origin   string `json:"originMessage"` // offset message id of its first copy
	UniqKey  string `json:"uniqKey"`
	Keys     string `json:"keys,omitempty"`
	Tags     string `json:"tags,omitempty"`
	Attempts int32  `json:"attempts"`
	Stored   int64  `json:"storedAt"` // ms, when it died
	Born     int64  `json:"bornAt"`
	Position int64  `json:"position"`
	Bytes    int32  `json:"bytes"`
	Resent   int64  `json:"resentAt,omitempty"` // ms; 0: it was not
}

// DeadLetterList is a part of a group's dead letters in one broker group, oldest first.
type DeadLetterList struct {
	First   int64        `json:"first"` // offsets that exist: [First, End)
	End     int64        `json:"end"`
	Letters []DeadLetter `json:"letters"`
}

// Resent is what became of one letter that was to be resent.
type Resent struct {
	Broker  string `json:"broker"`
	Offset  int64  `json:"offset"`          // of the letter
	Outcome string `json:"outcome"`         // resent, already, missing
	At      int64  `json:"at,omitempty"`    // ms, when its copy was stored
	Topic   string `json:"topic,omitempty"` // of the copy
	CopyAt  int64  `json:"copyPosition,omitempty"`
}
