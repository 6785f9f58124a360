package notes

// Kind of a note.
type Kind byte

// Kinds.
const (
	KindString     Kind = 1
	KindDelivery   Kind = 2
	KindEntryTimes Kind = 3
	KindHappening  Kind = 4
)

// MaxSkipped is how many filtered-out offsets one Delivery keeps.
const MaxSkipped = 64

// MaxString is the longest string that a note keeps; longer ones are cut.
const MaxString = 4096

// Delivery is a contiguous range of a queue handed to one client of one group.
type Delivery struct {
	Topic, Group, Client, Addr, Language, Version, Protocol, Subscription string

	QueueID         int32
	From, To        int64 // queue offsets; To is one behind the last
	RequestedMicros int64 // request read
	SentMicros      int64 // answer handed to the connection
	WaitedMicros    int64 // held by long polling
	Messages        uint32
	Filtered        uint32
	Bytes           uint64
	Attempt         uint16
	Skipped         []int64 // queue offsets in the range that were filtered out, at most MaxSkipped
}

// EntryTimes says when one entry reached its stages on this node, µs since the epoch; 0 unknown. Committed is when a majority of
// the members had it.
type EntryTimes struct {
	Index                                                      uint64
	AppendedMicros, SyncedMicros, CommittedMicros, AckedMicros int64

	Slowest uint64 // the member that had it last, or had it not yet, when it was committed; 0 unknown, or there is one member
}

// Happening is something about the broker or a client.
type Happening struct {
	AtMicros                         int64
	Kind                             string // connect, disconnect, rebalance, refusal, …
	Topic, Group, Client, Addr, Text string
	Count                            uint32
	Detail                           map[string]string // at most 16
}

// Note is one record as a Reader gives it; only the part that Kind names is set. The Skipped slice is only valid
// until the reader goes on.
type Note struct {
	Seq       uint64
	Kind      Kind
	Delivery  Delivery
	Times     EntryTimes
	Happening Happening
}

// Gap is a run of sequence numbers that cannot be read.
type Gap struct {
	From, To uint64 // To is one behind the last
}
