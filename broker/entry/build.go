package entry

import (
	"encoding/binary"
)

// Builder forms one payload. Commands come first, then Start, then messages; Reset makes it ready again.
// The zero value is ready. Not safe for concurrent use: the shard's goroutine owns it.
type Builder struct {
	commands []byte
	count    int
}

// Reset forgets everything.
func (b *Builder) Reset() { b.commands, b.count = b.commands[:0], 0 }

// Commands is the number of commands so far.
func (b *Builder) Commands() int { return b.count }

// CommandBytes is the encoded length of the commands so far.
func (b *Builder) CommandBytes() int { return len(b.commands) }

// Command adds one command.
func (b *Builder) Command(k Kind, body []byte) {
	var h [8]byte
	binary.LittleEndian.PutUint16(h[:], uint16(k))
	binary.LittleEndian.PutUint32(h[4:], uint32(len(body)))
	b.commands = append(append(b.commands, h[:]...), body...)
	b.count++
}

// Size is the length of the payload before its first message when it holds n messages.
func (b *Builder) Size(n int) int { return HeaderSize + len(b.commands) + n*OriginSize }

// Start appends to dst everything before the first message of n; the caller fills origins with SetOrigin and
// appends n stored messages.
func (b *Builder) Start(dst []byte, nowMicros int64, n int) []byte {
	var h [HeaderSize]byte
	h[0] = Version
	le := binary.LittleEndian
	le.PutUint16(h[2:], uint16(b.count))
	le.PutUint32(h[4:], uint32(len(b.commands)))
	le.PutUint64(h[8:], uint64(nowMicros))
	le.PutUint32(h[16:], uint32(n))
	le.PutUint32(h[20:], uint32(n*OriginSize))
	dst = append(append(dst, h[:]...), b.commands...)
	for range n {
		dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	return dst
}

// SetOrigin fills the i-th origin of a payload that Start began; payload[0] is its first byte.
func (b *Builder) SetOrigin(payload []byte, i int, o Origin) {
	at := HeaderSize + len(b.commands) + i*OriginSize
	binary.LittleEndian.PutUint32(payload[at:], o.ProducerRef)
	binary.LittleEndian.PutUint32(payload[at+4:], o.WaitedMicros)
}
