package grpcapi

import (
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/contrailmq/contrail/broker/message"
)

// codec is the library's own for protobuf messages. What is encoded already goes as it is.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// encoded is an answer in its wire form; it is sent once.
type encoded struct {
	bytes *[]byte // of frames
}

// framePool is the library's pool without its zeroing, for what is written from the first byte to the last.
type framePool struct{ pool sync.Pool }

var frames = &framePool{sync.Pool{New: func() any { return new([]byte) }}}

const (
	frameGrain   = 2 << 10  // the library gives no buffer of 1 KiB or less back
	frameKeptMax = 64 << 10 // bytes of a buffer that is kept
)

// Get implements mem.BufferPool.
func (p *framePool) Get(n int) *[]byte {
	b := p.pool.Get().(*[]byte)
	if cap(*b) < n {
		*b = make([]byte, (n+frameGrain-1)/frameGrain*frameGrain)
	}
	*b = (*b)[:n]
	return b
}

// Put implements mem.BufferPool.
func (p *framePool) Put(b *[]byte) {
	if cap(*b) <= frameKeptMax {
		p.pool.Put(b)
	}
}

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if e, ok := v.(encoded); ok {
		return mem.BufferSlice{mem.NewBuffer(e.bytes, frames)}, nil
	}
	return c.CodecV2.Marshal(v)
}

var encoders = sync.Pool{New: func() any { return &encoder{} }}

// received is v as an answer of a receive.
func (e *encoder) received(v message.View, d *delivered) encoded {
	head, body := e.message(v, d)
	n := len(head) + len(body)
	b := frames.Get(protowire.SizeTag(receivedMessage) + protowire.SizeBytes(n))
	out := protowire.AppendTag((*b)[:0], receivedMessage, protowire.BytesType)
	out = append(append(protowire.AppendVarint(out, uint64(n)), head...), body...)
	*b = out
	return encoded{b}
}
