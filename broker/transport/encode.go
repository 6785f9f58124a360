package transport

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

const (
	headBytes  = 64 << 10 // of a builder's headers
	headKeep   = 1 << 20  // a larger buffer of headers is not kept
	inlineMax  = 256      // bytes that are rather copied than given a place of their own in the writev
	pieceBytes = 1 << 20  // largest single buffer of a writev
)

// Fields that are there: raft's fields are optional, and a message arrives with the ones it was sent with.
const (
	hasType = 1 << iota
	hasTo
	hasFrom
	hasTerm
	hasLogTerm
	hasIndex
	hasCommit
	hasVote
	hasReject
	hasRejectHint
	hasContext
	hasSnapshot
	messageFields
)

const (
	entryTerm = 1 << iota
	entryIndex
	entryType
	entryData
	entryFields
)

// builder makes frames ready for one writev: headers go into one buffer, data stay where they are.
type builder struct {
	head []byte // never moves while bufs point into it
	bufs net.Buffers
	used int // of head, in bufs
	size int // bytes of all frames
	crc  uint32
	sum  int // of head, in crc
}

func (b *builder) reset() {
	if cap(b.head) > headKeep || b.head == nil {
		b.head = make([]byte, 0, headBytes)
	}
	clear(b.bufs)
	b.head, b.bufs, b.used, b.size = b.head[:0], b.bufs[:0], 0, 0
}

// room says whether n bytes of headers fit; when nothing is built yet they are made to.
func (b *builder) room(n int) bool {
	if cap(b.head)-len(b.head) >= n {
		return true
	}
	if len(b.head) > 0 {
		return false
	}
	b.head = make([]byte, 0, max(n, headBytes))
	return true
}

// begin starts a frame and returns where.
func (b *builder) begin(kind uint8, group string, payload int) int {
	start := len(b.head)
	b.head = appendHeader(b.head, kind, group, payload)
	b.crc, b.sum = crc32.Checksum(b.head[start:start+8], castagnoli), start+frameHead
	b.size += frameHead + len(group) + payload
	return start
}

// data adds bytes without copying them, unless they are few: room was made for those.
func (b *builder) data(p []byte) {
	if len(p) <= inlineMax {
		b.head = append(b.head, p...)
		return
	}
	b.crc = crc32.Update(crc32.Update(b.crc, castagnoli, b.head[b.sum:]), castagnoli, p)
	b.sum = len(b.head)
	b.cut()
	for len(p) > pieceBytes {
		b.bufs, p = append(b.bufs, p[:pieceBytes]), p[pieceBytes:]
	}
	b.bufs = append(b.bufs, p)
}

// end sets the checksum of the frame that began at start.
func (b *builder) end(start int) {
	crc := crc32.Update(b.crc, castagnoli, b.head[b.sum:])
	binary.LittleEndian.PutUint32(b.head[start+8:], crc)
}

// cut makes the headers since the last data a buffer of the writev.
func (b *builder) cut() {
	if n := len(b.head); n > b.used {
		b.bufs = append(b.bufs, b.head[b.used:n:n])
		b.used = n
	}
}

// messageRoom is how many bytes of headers message needs at most, with what it copies to them.
func messageRoom(group string, m *pb.Message) int {
	n := frameHead + len(group) + messageHead + len(m.Entries)*entryHead + 2*inlineMax // context and snapshot
	for _, e := range m.Entries {
		if len(e.Data) <= inlineMax {
			n += len(e.Data)
		}
	}
	return n
}

// messageSize is the size of the message's frame.
func messageSize(group string, m *pb.Message) int {
	n := frameHead + len(group) + messageHead + len(m.Entries)*entryHead + len(m.Context)
	if m.Snapshot != nil {
		n += proto.Size(m.Snapshot)
	}
	for _, e := range m.Entries {
		n += len(e.Data)
	}
	return n
}

// message appends a raft message; size is its messageSize, and there is room for it. Responses do not travel: they are for
// the threads of raft's own storage.
func (b *builder) message(group string, m *pb.Message, size int) error {
	var snap []byte
	if m.Snapshot != nil {
		var err error
		if snap, err = proto.Marshal(m.Snapshot); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
	}
	start := b.begin(kindMessage, group, size-frameHead-len(group))
	b.head = appendFields(b.head, m, len(snap))
	b.data(m.Context)
	b.data(snap)
	for _, e := range m.Entries {
		b.head = appendEntry(b.head, e)
		b.data(e.Data)
	}
	b.end(start)
	return nil
}

func appendFields(dst []byte, m *pb.Message, snap int) []byte {
	le, reject := binary.LittleEndian, byte(0)
	if m.GetReject() {
		reject = 1
	}
	dst = le.AppendUint16(dst, fieldsOf(m))
	dst = append(dst, byte(m.GetType()), reject)
	dst = le.AppendUint64(dst, m.GetTo())
	dst = le.AppendUint64(dst, m.GetFrom())
	dst = le.AppendUint64(dst, m.GetTerm())
	dst = le.AppendUint64(dst, m.GetLogTerm())
	dst = le.AppendUint64(dst, m.GetIndex())
	dst = le.AppendUint64(dst, m.GetCommit())
	dst = le.AppendUint64(dst, m.GetVote())
	dst = le.AppendUint64(dst, m.GetRejectHint())
	dst = le.AppendUint32(dst, uint32(len(m.Context)))
	dst = le.AppendUint32(dst, uint32(snap))
	return le.AppendUint32(dst, uint32(len(m.Entries)))
}

func fieldsOf(m *pb.Message) uint16 {
	f := there(m.Type, hasType) | there(m.To, hasTo) | there(m.From, hasFrom) | there(m.Term, hasTerm) |
		there(m.LogTerm, hasLogTerm) | there(m.Index, hasIndex) | there(m.Commit, hasCommit) | there(m.Vote, hasVote) |
		there(m.Reject, hasReject) | there(m.RejectHint, hasRejectHint) | there(m.Snapshot, hasSnapshot)
	if m.Context != nil {
		f |= hasContext
	}
	return f
}

func there[T any](p *T, bit uint16) uint16 {
	if p == nil {
		return 0
	}
	return bit
}

func appendEntry(dst []byte, e *pb.Entry) []byte {
	f := there(e.Term, entryTerm) | there(e.Index, entryIndex) | there(e.Type, entryType)
	if e.Data != nil {
		f |= entryData
	}
	dst = append(dst, byte(f), byte(e.GetType()), 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(e.Data)))
	dst = binary.LittleEndian.AppendUint64(dst, e.GetTerm())
	return binary.LittleEndian.AppendUint64(dst, e.GetIndex())
}

// asideRoom is to aside what messageRoom is to message.
func asideRoom(group string) int { return frameHead + len(group) + asideHead + inlineMax }

// aside appends an aside.
func (b *builder) aside(group string, kind uint8, body []byte) {
	start := b.begin(kindAside, group, asideHead+len(body))
	b.head = append(b.head, kind)
	b.data(body)
	b.end(start)
}
