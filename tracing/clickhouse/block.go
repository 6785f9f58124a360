package clickhouse

import "github.com/contrailmq/contrail/tracing/trail"

// Block collects rows in the form in which they are written. It implements trail.Block.
type Block struct {
	messages    *messages
	deliveries  *deliveries
	settlements *settlements
	steps       *steps
	happenings  *happenings
	tables      [5]*table
}

// NewBlock is an empty block.
func NewBlock() *Block {
	b := &Block{newMessages(), newDeliveries(), newSettlements(), newSteps(), newHappenings(), [5]*table{}}
	b.tables = [5]*table{&b.messages.table, &b.deliveries.table, &b.settlements.table, &b.steps.table, &b.happenings.table}
	return b
}

// Message adds a row.
func (b *Block) Message(m *trail.StoredMessage) { b.messages.add(m) }

// Delivery adds a row.
func (b *Block) Delivery(d *trail.StoredDelivery) { b.deliveries.add(d) }

// Settlement adds a row.
func (b *Block) Settlement(s *trail.StoredSettlement) { b.settlements.add(s) }

// Step adds a row.
func (b *Block) Step(s *trail.StoredStep) { b.steps.add(s) }

// Happening adds a row.
func (b *Block) Happening(h *trail.Happening) { b.happenings.add(h) }

// Rows is the number of rows; a range counts once per piece.
func (b *Block) Rows() (n int) {
	for _, t := range b.tables {
		n += t.rows
	}
	return n
}

// Bytes is about what the block holds in memory.
func (b *Block) Bytes() (n int) {
	for _, t := range b.tables {
		n += t.size()
	}
	return n
}

// Reset empties the block; it keeps its memory.
func (b *Block) Reset() {
	for _, t := range b.tables {
		t.reset()
	}
}
