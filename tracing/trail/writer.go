package trail

import "context"

// StoredMessage is a message row with what only the store keeps.
type StoredMessage struct {
	Message
	Carrier  Carrier // by which its context came
	RawTrace string  // the carrier's own trace id where it is no 128-bit number (sw8)
	StoreKey string  // hex of the store host and port: the offset message id is this and the position
}

// StoredDelivery is a delivery row with what only the store keeps.
type StoredDelivery struct {
	Delivery
	AgainTo int64 // offsets of the range below it had been handed to the group before; at most To, From when none
}

// StoredSettlement is a settlement row with what only the store keeps.
type StoredSettlement struct {
	Settlement
	AgainTo int64 // as StoredDelivery's
}

// StoredStep is a step row with what only the store keeps.
type StoredStep struct {
	Step
	RecordedMicros int64 // when the broker stored the report; AtMicros is the reporter's clock, 0 unknown
}

// Sink takes rows as they are derived. A row and its strings are valid only within the call.
type Sink interface {
	Message(*StoredMessage)
	Delivery(*StoredDelivery)
	Settlement(*StoredSettlement)
	Step(*StoredStep)
	Happening(*Happening)
}

// Block is a Sink that collects rows for one write.
type Block interface {
	Sink
	Rows() int
	Bytes() int // about what the block holds in memory
	Reset()
}

// Writer writes blocks. A token that was written before makes a write succeed without effect, so that a writer that does
// not know whether it had succeeded may do it again.
type Writer interface {
	NewBlock() Block
	Write(ctx context.Context, token string, b Block) error
	Record(ctx context.Context, token string, blocks []Shipped) error // rows of ship_log
	Recorded(ctx context.Context, token string) (bool, error)         // whether Record was called with it

	// LastCut gives the newest cut of a broker group's log; its Seq is 0 when there is none. A store of several servers may
	// answer an older one.
	LastCut(ctx context.Context, broker, group string) (Cut, error)
	// Decide offers a cut and gives the newest one. Of all that were offered with one Seq the first is kept and the others have
	// no effect: who gets its own back is the only one that may go on behind it.
	Decide(ctx context.Context, c Cut) (Cut, error)
}
