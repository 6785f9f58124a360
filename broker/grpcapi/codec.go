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
	bytes *[]byte // of the library's pool
}

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if e, ok := v.(encoded); ok {
		return mem.BufferSlice{mem.NewBuffer(e.bytes, mem.DefaultBufferPool())}, nil
	}
	return c.CodecV2.Marshal(v)
}

var encoders = sync.Pool{New: func() any { return &encoder{} }}

// received is v as an answer of a receive.
func (e *encoder) received(v message.View, d *delivered) encoded {
	head, body := e.message(v, d)
	n := len(head) + len(body)
	b := mem.DefaultBufferPool().Get(protowire.SizeTag(receivedMessage) + protowire.SizeBytes(n))
	out := protowire.AppendTag((*b)[:0], receivedMessage, protowire.BytesType)
	out = append(append(protowire.AppendVarint(out, uint64(n)), head...), body...)
	*b = out
	return encoded{b}
}
