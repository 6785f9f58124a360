package entry

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Limits of one record.
const (
	LeaseMessagesMax = 64      // messages of one lease, one revival
	AcksMax          = 1 << 12 // acks of one record
	LeaseSpanMax     = math.MaxInt32
)

// PopTo is where a message went whose lease expired, or that was sent back.
type PopTo uint8

// Where a message goes.
const (
	ToRetry      PopTo = 1 // a copy is in the retry topic
	ToDeadLetter PopTo = 2 // a copy is in the dead-letter queue
	ToNothing    PopTo = 3 // it is gone: retention dropped it, or its topic
)

// PopLease says that a client of a group got messages of a queue and has a time to acknowledge them.
type PopLease struct {
	Group, Topic, Client string
	Attempt              string // ordered: the client's name of the request, or ""
	QueueID              int32
	Order                bool
	From                 int64 // the first offset that was looked at: part of the client's handle
	Next                 int64 // the first one that was not
	PopMillis            int64 // when: part of the client's handle
	InvisibleMillis      int64
	Offsets              []int64 // of the messages, ascending and each once; others from From to Next did not match
}

const popLeaseSize = 1 + 4 + 4*8 + 2

// Bits of a lease's first byte.
const (
	leaseOrder  = 1
	leaseSparse = 2 // offsets are written; else the messages are from, from+1 …
)

// sparse says that the messages are not simply one after the other.
func (r *PopLease) sparse() bool {
	n := len(r.Offsets)
	return n > 0 && (r.Offsets[0] != r.From || r.Offsets[n-1] != r.From+int64(n)-1)
}

// AppendPopLease appends r's binary form, a KindPopLease body: bits 1, queue 4, from 8, next 8, pop 8, invisible 8, messages 2, group,
// topic, client, attempt and, if it is sparse, offset-from 4 of each message.
func AppendPopLease(dst []byte, r *PopLease) []byte {
	bits := byte(0)
	if r.Order {
		bits |= leaseOrder
	}
	if r.sparse() {
		bits |= leaseSparse
	}
	dst = appendInts(append32(append(dst, bits), r.QueueID), r.From, r.Next, r.PopMillis, r.InvisibleMillis)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(r.Offsets)))
	for _, s := range []string{r.Group, r.Topic, r.Client, r.Attempt} {
		dst = appendString(dst, s)
	}
	if bits&leaseSparse == 0 {
		return dst
	}
	for _, offset := range r.Offsets {
		dst = append32(dst, int32(offset-r.From))
	}
	return dst
}

// DecodePopLease is the inverse of AppendPopLease. It reuses what r holds: decoding the same names again allocates nothing.
func DecodePopLease(b []byte, r *PopLease) error {
	if len(b) < popLeaseSize || b[0] > leaseOrder|leaseSparse {
		return fmt.Errorf("%w: lease of %d bytes", ErrFormat, len(b))
	}
	bits, n := b[0], int(binary.LittleEndian.Uint16(b[37:]))
	r.Order, r.QueueID = bits&leaseOrder != 0, int32At(b, 1)
	r.From, r.Next, r.PopMillis, r.InvisibleMillis = int64At(b, 5), int64At(b, 13), int64At(b, 21), int64At(b, 29)
	b, err := takeNames(b[popLeaseSize:], &r.Group, &r.Topic, &r.Client, &r.Attempt)
	if err != nil {
		return err
	}
	sparse := bits&leaseSparse != 0
	if n > LeaseMessagesMax || sparse && len(b) != 4*n || !sparse && len(b) > 0 {
		return fmt.Errorf("%w: lease of %d messages in %d bytes, the limit is %d messages", ErrFormat, n, len(b), LeaseMessagesMax)
	}
	r.Offsets = slices.Grow(r.Offsets[:0], n)
	for i := range n {
		offset := r.From + int64(i)
		if sparse {
			offset = r.From + int64(int32At(b, 4*i))
		}
		r.Offsets = append(r.Offsets, offset)
	}
	if sparse != r.sparse() {
		return fmt.Errorf("%w: lease of %d messages that are one after the other", ErrFormat, n)
	}
	return nil
}

// PopAck is one acknowledged message and the handle that says so.
type PopAck struct {
	Start     int64 // the lease's From
	PopMillis int64 // the lease's
	Offset    int64
}

// PopAcks is acknowledgements of one group in one queue.
type PopAcks struct {
	Group, Topic, Client string
	QueueID              int32
	AtMillis             int64
	Acks                 []PopAck
}

const (
	popAcksSize = 4 + 8 + 2
	popAckSize  = 3 * 8
)

// AppendPopAcks appends r's binary form, a KindPopAck body: queue 4, at 8, acks 2, group, topic, client, then start 8, pop 8, offset 8 of each.
func AppendPopAcks(dst []byte, r *PopAcks) []byte {
	dst = binary.LittleEndian.AppendUint16(appendInts(append32(dst, r.QueueID), r.AtMillis), uint16(len(r.Acks)))
	for _, s := range []string{r.Group, r.Topic, r.Client} {
		dst = appendString(dst, s)
	}
	for i := range r.Acks {
		dst = appendInts(dst, r.Acks[i].Start, r.Acks[i].PopMillis, r.Acks[i].Offset)
	}
	return dst
}

// DecodePopAcks is the inverse of AppendPopAcks. It reuses what r holds.
func DecodePopAcks(b []byte, r *PopAcks) error {
	if len(b) < popAcksSize {
		return fmt.Errorf("%w: acks of %d bytes", ErrFormat, len(b))
	}
	r.QueueID, r.AtMillis = int32At(b, 0), int64At(b, 4)
	n := int(binary.LittleEndian.Uint16(b[12:]))
	b, err := takeNames(b[popAcksSize:], &r.Group, &r.Topic, &r.Client)
	if err != nil {
		return err
	}
	if len(b) != popAckSize*n || n > AcksMax {
		return fmt.Errorf("%w: %d acks in %d bytes, the limit is %d acks", ErrFormat, n, len(b), AcksMax)
	}
	r.Acks = slices.Grow(r.Acks[:0], n)
	for ; len(b) > 0; b = b[popAckSize:] {
		r.Acks = append(r.Acks, PopAck{int64At(b, 0), int64At(b, 8), int64At(b, 16)})
	}
	return nil
}

// PopChange gives one message another time to be acknowledged.
type PopChange struct {
	Group, Topic, Client string
	QueueID              int32
	PopAck                     // the handle until now
	AtMillis             int64 // the new pop time; of an ordered message only the beginning of its new time
	InvisibleMillis      int64
}

const popChangeSize = 4 + 5*8

// AppendPopChange appends r's binary form, a KindPopChange body: queue 4, start 8, pop 8, offset 8, at 8, invisible 8, group, topic, client.
func AppendPopChange(dst []byte, r *PopChange) []byte {
	dst = appendInts(append32(dst, r.QueueID), r.Start, r.PopMillis, r.Offset, r.AtMillis, r.InvisibleMillis)
	for _, s := range []string{r.Group, r.Topic, r.Client} {
		dst = appendString(dst, s)
	}
	return dst
}

// DecodePopChange is the inverse of AppendPopChange. It reuses what r holds.
func DecodePopChange(b []byte, r *PopChange) error {
	if len(b) < popChangeSize {
		return fmt.Errorf("%w: change of a lease of %d bytes", ErrFormat, len(b))
	}
	r.QueueID, r.PopAck = int32At(b, 0), PopAck{int64At(b, 4), int64At(b, 12), int64At(b, 20)}
	r.AtMillis, r.InvisibleMillis = int64At(b, 28), int64At(b, 36)
	b, err := takeNames(b[popChangeSize:], &r.Group, &r.Topic, &r.Client)
	if err == nil && len(b) > 0 {
		err = fmt.Errorf("%w: %d bytes behind the change of a lease", ErrFormat, len(b))
	}
	return err
}

// Revived is one message whose lease expired.
type Revived struct {
	Offset int64
	To     PopTo
}

// PopRevive takes messages out of a lease that expired; where they are copied to, the copies stand in the same entry.
type PopRevive struct {
	Group, Topic string
	QueueID      int32
	Start        int64 // the lease's From
	PopMillis    int64 // the lease's
	AtMillis     int64
	Messages     []Revived // by ascending offset
}

const (
	popReviveSize = 4 + 3*8 + 2
	revivedSize   = 8 + 1
)

// AppendPopRevive appends r's binary form, a KindPopRevive body: queue 4, start 8, pop 8, at 8, messages 2, group, topic, then offset 8 and
// to 1 of each.
func AppendPopRevive(dst []byte, r *PopRevive) []byte {
	dst = appendInts(append32(dst, r.QueueID), r.Start, r.PopMillis, r.AtMillis)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(r.Messages)))
	dst = appendString(appendString(dst, r.Group), r.Topic)
	for _, m := range r.Messages {
		dst = append(appendInts(dst, m.Offset), byte(m.To))
	}
	return dst
}

// DecodePopRevive is the inverse of AppendPopRevive. It reuses what r holds.
func DecodePopRevive(b []byte, r *PopRevive) error {
	if len(b) < popReviveSize {
		return fmt.Errorf("%w: revival of %d bytes", ErrFormat, len(b))
	}
	r.QueueID, r.Start, r.PopMillis, r.AtMillis = int32At(b, 0), int64At(b, 4), int64At(b, 12), int64At(b, 20)
	n := int(binary.LittleEndian.Uint16(b[28:]))
	b, err := takeNames(b[popReviveSize:], &r.Group, &r.Topic)
	if err != nil {
		return err
	}
	if len(b) != revivedSize*n || n > LeaseMessagesMax {
		return fmt.Errorf("%w: revival of %d messages in %d bytes, the limit is %d messages", ErrFormat, n, len(b), LeaseMessagesMax)
	}
	r.Messages = slices.Grow(r.Messages[:0], n)
	for ; len(b) > 0; b = b[revivedSize:] {
		m := Revived{int64At(b, 0), PopTo(b[8])}
		if m.To < ToRetry || m.To > ToNothing {
			return fmt.Errorf("%w: revival to %d", ErrFormat, m.To)
		}
		r.Messages = append(r.Messages, m)
	}
	return nil
}

// SentBack says that a consumer could not consume a message and a copy was made (code 36).
type SentBack struct {
	Group, Topic, Client string
	QueueID              int32
	Offset               int64
	AtMillis             int64
	To                   PopTo
}

const sentBackSize = 4 + 2*8 + 1

// AppendSentBack appends r's binary form: queue 4, offset 8, at 8, to 1, group, topic, client. A KindSentBack body is any number of them.
func AppendSentBack(dst []byte, r *SentBack) []byte {
	dst = append(appendInts(append32(dst, r.QueueID), r.Offset, r.AtMillis), byte(r.To))
	for _, s := range []string{r.Group, r.Topic, r.Client} {
		dst = appendString(dst, s)
	}
	return dst
}

// DecodeSentBacks calls f for each of a KindSentBack body and stops at the first error.
func DecodeSentBacks(b []byte, f func(*SentBack) error) error {
	for len(b) > 0 {
		if len(b) < sentBackSize || PopTo(b[20]) < ToRetry || PopTo(b[20]) > ToDeadLetter {
			return fmt.Errorf("%w: message that was sent back, of %d bytes", ErrFormat, len(b))
		}
		r := SentBack{QueueID: int32At(b, 0), Offset: int64At(b, 4), AtMillis: int64At(b, 12), To: PopTo(b[20])}
		var err error
		if b, err = takeNames(b[sentBackSize:], &r.Group, &r.Topic, &r.Client); err != nil {
			return err
		}
		if err := f(&r); err != nil {
			return err
		}
	}
	return nil
}

// takeNames reads strings; one that is already there is not made again.
func takeNames(b []byte, names ...*string) ([]byte, error) {
	for _, s := range names {
		if len(b) < 2 {
			return nil, fmt.Errorf("%w: string is cut", ErrFormat)
		}
		n := int(binary.LittleEndian.Uint16(b))
		if len(b) < 2+n {
			return nil, fmt.Errorf("%w: string of %d bytes in %d", ErrFormat, n, len(b)-2)
		}
		if *s != string(b[2:2+n]) {
			*s = string(b[2 : 2+n])
		}
		b = b[2+n:]
	}
	return b, nil
}

func append32(dst []byte, v int32) []byte { return binary.LittleEndian.AppendUint32(dst, uint32(v)) }

func appendInts(dst []byte, vs ...int64) []byte {
	for _, v := range vs {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
	}
	return dst
}

func int32At(b []byte, at int) int32 { return int32(binary.LittleEndian.Uint32(b[at:])) }
