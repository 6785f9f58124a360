package entry

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/contrailmq/contrail/broker/message"
)

// Version of the payload format.
const Version = 1

// HeaderSize is the fixed part before commands; OriginSize one message's origin.
const (
	HeaderSize = 24
	OriginSize = 8
)

// EpochBytes is the span of positions within which a producer ref is defined at least once before its first use.
const EpochBytes = 64 << 20

// Record is one committed raft entry as the log returns it. Data is only valid until the reader goes on.
type Record struct {
	Index, Term uint64
	Pos         int64 // logical position of the record's frame
	DataPos     int64 // logical position of Data[0]
	Data        []byte
}

// Kind of a command.
type Kind uint16

// Commands. Bodies: JSON for rare ones, the named binary form for frequent ones.
const (
	KindProducer    Kind = 1 // Producer, binary
	KindOffsets     Kind = 2 // offset commits, binary: see AppendOffset
	KindTopicPut    Kind = 3 // JSON catalog.Topic
	KindTopicDelete Kind = 4 // topic name
	KindGroupPut    Kind = 5 // JSON catalog.Group
	KindGroupDelete Kind = 6 // group name
	KindOffsetReset Kind = 7 // as KindOffsets, but may go backwards and marks a reset
	KindQueueLocks  Kind = 8 // JSON group.LockRecord

	KindTimerFire   Kind = 9  // binary: see AppendTimerFire
	KindTimerCancel Kind = 10 // binary: see AppendTimerCancel
	KindTxnEnd      Kind = 11 // binary: see AppendTxnEnd
	KindTxnCheck    Kind = 12 // binary: see AppendTxnCheck
	KindPopLease    Kind = 13 // binary: see AppendPopLease
	KindPopAck      Kind = 14 // binary: see AppendPopAcks
	KindPopChange   Kind = 15 // binary: see AppendPopChange
	KindPopRevive   Kind = 16 // binary: see AppendPopRevive
	KindSentBack    Kind = 17 // binary: see AppendSentBack
	KindTimerRoll   Kind = 18 // binary: see AppendTimerRoll
)

// Origin says who sent a message and how long before the batch's now it had been received.
type Origin struct {
	ProducerRef  uint32
	WaitedMicros uint32
}

// Batch is a decoded payload in place.
type Batch struct {
	NowMicros    int64
	MessageCount int
	commandCount int
	commands     []byte
	origins      []byte
	messages     []byte
	messagesAt   int
}

// ErrFormat is wrapped by all that Decode refuses.
var ErrFormat = errors.New("entry: malformed payload")

// Decode takes a payload apart without copying. An empty payload gives an empty batch.
func Decode(data []byte) (Batch, error) {
	if len(data) == 0 {
		return Batch{}, nil
	}
	if len(data) < HeaderSize || data[0] != Version {
		return Batch{}, fmt.Errorf("%w: version %d in %d bytes", ErrFormat, data[0], len(data))
	}
	le := binary.LittleEndian
	b := Batch{
		NowMicros:    int64(le.Uint64(data[8:])),
		MessageCount: int(le.Uint32(data[16:])),
		commandCount: int(le.Uint16(data[2:])),
	}
	commands, origins := uint64(le.Uint32(data[4:])), uint64(le.Uint32(data[20:]))
	if HeaderSize+commands+origins > uint64(len(data)) || origins != uint64(b.MessageCount)*OriginSize {
		return Batch{}, fmt.Errorf("%w: commands %d and origins %d bytes of %d", ErrFormat, commands, origins, len(data))
	}
	b.commands = data[HeaderSize : HeaderSize+commands]
	b.origins = data[HeaderSize+commands : HeaderSize+commands+origins]
	b.messagesAt = int(HeaderSize + commands + origins)
	b.messages = data[b.messagesAt:]
	return b, nil
}

// Commands calls f for each command in order and stops at the first error.
func (b *Batch) Commands(f func(Kind, []byte) error) error {
	rest := b.commands
	for i := 0; i < b.commandCount; i++ {
		if len(rest) < 8 {
			return fmt.Errorf("%w: command %d of %d is cut", ErrFormat, i, b.commandCount)
		}
		n := uint64(binary.LittleEndian.Uint32(rest[4:]))
		if 8+n > uint64(len(rest)) {
			return fmt.Errorf("%w: command %d has %d bytes, %d left", ErrFormat, i, n, len(rest)-8)
		}
		if err := f(Kind(binary.LittleEndian.Uint16(rest)), rest[8:8+n]); err != nil {
			return err
		}
		rest = rest[8+n:]
	}
	return nil
}

// Messages calls f for each message in order: its offset within the payload, the message and its origin.
func (b *Batch) Messages(f func(at int, v message.View, o Origin) error) error {
	rest, at := b.messages, b.messagesAt
	for i := 0; i < b.MessageCount; i++ {
		v, err := message.Parse(rest)
		if err != nil {
			return fmt.Errorf("entry: message %d of %d: %w", i, b.MessageCount, err)
		}
		o := b.origins[i*OriginSize:]
		if err := f(at, v, Origin{binary.LittleEndian.Uint32(o), binary.LittleEndian.Uint32(o[4:])}); err != nil {
			return err
		}
		rest, at = rest[len(v):], at+len(v)
	}
	return nil
}
