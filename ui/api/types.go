package api

import (
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/diagnostics/verdict"
	"github.com/contrailmq/contrail/tracing/trail"
)

// Problem is an error's answer (RFC 9457, application/problem+json).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"` // what failed
	Status int    `json:"status"`
	Detail string `json:"detail"` // why, naming the value and the limit
	Next   string `json:"next"`   // what to do
	ID     string `json:"id"`     // request number, also in the log
}

// Point is one sample of the broker's counters: rates per second over the sample's length.
type Point struct {
	At       int64   `json:"at"` // ms
	In       float64 `json:"in"`
	Out      float64 `json:"out"`
	BytesIn  float64 `json:"bytesIn"`
	BytesOut float64 `json:"bytesOut"`
	Lag      int64   `json:"lag"` // messages, all groups
}

// Overview is the first page.
type Overview struct {
	Node  inspect.Node `json:"node"`
	Trail trail.Status `json:"trail"`
	// Changes of the cluster that are under way, failed, or last: nodes that are drained.
	Changes []inspect.ChangeProgress `json:"changes"`
	Topics  int                      `json:"topics"`
	Groups  int                      `json:"groups"`
	Clients int                      `json:"clients"`
	Lag     int64                    `json:"lagMessages"`
	Worst   []inspect.Group          `json:"worst"`  // groups with lag, worst first, at most 10
	Unread  []string                 `json:"unread"` // topics with messages and without a group, at most 10
	// UnreadTopics is how many such topics there are.
	UnreadTopics int               `json:"unreadTopics"`
	Series       []Point           `json:"series"`   // last 15 minutes
	Happenings   []trail.Happening `json:"happened"` // newest first
	Answer       trail.Answer      `json:"answer"`   // of the happenings
	Reason       string            `json:"reason"`
}

// MessageLife is everything about one message.
type MessageLife struct {
	Life     trail.Life        `json:"life"`
	Stored   *trail.Message    `json:"stored"` // as the broker's log has it now; null when it is gone
	Expected int               `json:"stepsExpected"`
	Recorded int               `json:"stepsRecorded"`
	Verdicts []verdict.Verdict `json:"verdicts"`
	Lineage  []verdict.Copy    `json:"lineage"` // its stored copies as one story, oldest first
	Records  []TraceRecord     `json:"records"`
	// Leaders are who led its broker group within its life, oldest first; empty when it was one member all the time.
	Leaders       []trail.Leadership `json:"leaders"`
	LeadersReason string             `json:"leadersReason"` // why that is not known; "" when it is
	Now           int64              `json:"now"`
	Rebuilt       bool               `json:"rebuilt"` // the trail has no row of it: told from the broker's log alone
}

// TraceRecord is one record in the traditional form: the 20 fields of the vendor's ListMessageTrace.
type TraceRecord struct {
	Success              bool   `json:"success"`
	TraceType            string `json:"trace_type"` // Pub, Receive, SubBefore, SubAfter, Ack, EndTransaction, Recall
	Timestamp            int64  `json:"timestamp"`  // ms
	GroupName            string `json:"group_name"`
	CostTime             int64  `json:"cost_time"` // ms
	RequestID            string `json:"request_id"`
	ConsumeStatus        int    `json:"consume_status"` // 0 success, 1 time-out, 2 exception, 3 null, 5 failed; -1 not said
	Topic                string `json:"topic"`
	MsgID                string `json:"msg_id"`
	OffsetMsgID          string `json:"offset_msg_id"`
	Tags                 string `json:"tags"`
	Keys                 string `json:"keys"`
	StoreHost            string `json:"store_host"`
	ClientHost           string `json:"client_host"`
	RetryTimes           int    `json:"retry_times"`
	BodyLength           int64  `json:"body_length"`
	MsgType              string `json:"msg_type"` // Normal_Msg, Trans_Msg_Half, Trans_msg_Commit, Delay_Msg, Order_Msg
	TransactionState     string `json:"transaction_state"`
	TransactionID        string `json:"transaction_id"`
	FromTransactionCheck bool   `json:"from_transaction_check"`
}

// Body is a message's body and properties for display. Looking does not move any offset.
type Body struct {
	StoredBytes int               `json:"storedBytes"` // of the body as stored
	Bytes       int               `json:"bytes"`       // after decompression, as far as read
	Compression string            `json:"compression"` // "", zlib, lz4, zstd
	Truncated   bool              `json:"truncated"`   // more than the display's limit
	Kind        string            `json:"kind"`        // json, text, binary
	Text        string            `json:"text"`        // "" when binary
	Hex         string            `json:"hex"`         // of the first 4 KiB
	Properties  map[string]string `json:"properties"`
	Error       string            `json:"error"` // why it could not be decompressed
}

// Tick is one event of /api/v1/live.
type Tick struct {
	Point   Point        `json:"point"`
	Trail   trail.Status `json:"trail"`
	Stopped string       `json:"stopped"`
}

// Progress is a line of /api/v1/messages/stream: exactly one of its fields is set.
type Progress struct {
	Messages []trail.Message `json:"messages,omitempty"`
	Done     *trail.Matches  `json:"done,omitempty"`
	ToMicros int64           `json:"scannedToMicros,omitempty"` // everything later than this was scanned
}

// Topics, Groups, Clients, Happenings and Rates are lists.
type (
	Topics struct {
		Topics []inspect.Topic `json:"topics"`
	}
	Groups struct {
		Groups []inspect.Group `json:"groups"`
	}
	Clients struct {
		Clients []inspect.Client `json:"clients"`
	}
	Happenings struct {
		Happenings []trail.Happening `json:"happenings"`
	}
	Rates struct {
		Rates []trail.Rate `json:"rates"`
	}
)
