package trail

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/dchest/siphash"
)

// TraceID is 16 bytes as they stand in a trace id's hex form.
type TraceID [16]byte

// SpanID is 8 bytes as they stand in a span id's hex form.
type SpanID [8]byte

// Keys of span ids. They are part of the format: the SQL views use the same numbers.
const (
	SpanKey0 = 0x636f6e747261696c // "contrail"
	SpanKey1 = 0x7370616e732d7631 // "spans-v1"
)

// Names of steps as span ids and the views know them.
const (
	StepStore   = "store"
	StepDeliver = "deliver"
	StepAck     = "ack"
	StepSend    = "send"
	StepProcess = "process"

	StepSchedule = "schedule" // from parked until due
	StepFire     = "fire"     // stored again when it was due
	StepCancel   = "cancel"   // of a parked copy

	StepHalf     = "half" // stored, not yet decided
	StepCommit   = "commit"
	StepRollback = "rollback"
	StepDiscard  = "discard" // nobody decided
	StepCheck    = "check"   // a producer of the group is asked
)

// DerivedTraceID is the trace id of a message that brought no context: ClickHouse's sipHash128Reference of its identity.
func DerivedTraceID(identity string) TraceID {
	var b [128]byte
	return hash128(append(b[:0], identity...))
}

func hash128(b []byte) (t TraceID) {
	lo, hi := siphash.Hash128(0, 0, b)
	binary.LittleEndian.PutUint64(t[:], lo)
	binary.LittleEndian.PutUint64(t[8:], hi)
	return t
}

// DeriveSpanID is ClickHouse's sipHash64Keyed of ONE string: with several arguments ClickHouse hashes something else.
func DeriveSpanID(identity, group string, attempt uint16, step string) (s SpanID) {
	var scratch [256]byte
	b := append(scratch[:0], identity...)
	b = append(append(b, 0), group...)
	b = strconv.AppendUint(append(b, 0), uint64(attempt), 10)
	b = append(append(b, 0), step...)
	binary.LittleEndian.PutUint64(s[:], siphash.Hash(SpanKey0, SpanKey1, b))
	return s
}

// TraceIDOf is a message's trace id: the one it brought, else the derived one.
func TraceIDOf(m *Message) string {
	if m.TraceIn != "" {
		return m.TraceIn
	}
	t := DerivedTraceID(m.ID)
	return hex.EncodeToString(t[:])
}

func (t TraceID) String() string { return hex.EncodeToString(t[:]) }
func (s SpanID) String() string  { return hex.EncodeToString(s[:]) }
