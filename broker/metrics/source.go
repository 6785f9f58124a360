package metrics

import "github.com/contrailmq/contrail/broker/inspect"

// Source is what a scrape asks of the broker.
type Source interface {
	InspectNode() inspect.Node
	InspectTopics() []inspect.Topic
	InspectGroups() []inspect.Group
	InspectGroup(name string) (inspect.Group, bool)
	InspectClients() []inspect.Client
	InspectOut() []inspect.Out
	InspectSizes() []inspect.Sizes
}

// Front is a port's own numbers: what is used of its limits, and what it refused.
type Front struct {
	Connections, ConnectionsMax   int64
	InboundBytes, InboundBytesMax int64 // of unfinished frames
	HeldPulls, HeldPullsMax       int64
	PendingBytes, PendingBytesMax int64 // of requests that wait for the log

	Accepted, Refused, Malformed, TimedOut, OverBudget, Stalled int64 // connections, by what became of them
	Frames, BytesIn, BytesOut, Writes                           int64
}

// Trail is the trail's state. It is told in own words: the broker knows nothing of the trail.
type Trail struct {
	StoreUp                      bool
	ShippedToMicros, LagMicros   int64
	LagEntries                   uint64
	RowsShipped, RowsNotRecorded uint64
}

// Waiting is what waits in the broker's own topics, and what became of it since the broker group began.
type Waiting struct {
	Scheduled    inspect.ScheduledList
	Transactions inspect.TransactionList
}
