package entry

import (
	"encoding/binary"
	"fmt"
)

// Bounds of what one producer and one offset commit take, as services limit their names.
const (
	ProducerMax = 1 << 10
	OffsetMax   = 1 << 10
)

// Producer defines a producer ref: one connection of one producer group.
type Producer struct {
	Ref      uint32
	Group    string
	ClientID string // as its heartbeat said; empty before the first one
	Addr     string // ip:port as the broker saw it
	Language string
	Version  string // RocketMQ's name of the version, V5_5_0
	Protocol string // remoting or grpc
}

// AppendProducer appends p's binary form: ref 4, then six strings, each length 2 and bytes.
func AppendProducer(dst []byte, p *Producer) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, p.Ref)
	for _, s := range []string{p.Group, p.ClientID, p.Addr, p.Language, p.Version, p.Protocol} {
		dst = appendString(dst, s)
	}
	return dst
}

// DecodeProducer is the inverse of AppendProducer.
func DecodeProducer(b []byte) (Producer, error) {
	if len(b) < 4 {
		return Producer{}, fmt.Errorf("%w: producer of %d bytes", ErrFormat, len(b))
	}
	p := Producer{Ref: binary.LittleEndian.Uint32(b)}
	b = b[4:]
	for _, s := range []*string{&p.Group, &p.ClientID, &p.Addr, &p.Language, &p.Version, &p.Protocol} {
		var err error
		if *s, b, err = takeString(b); err != nil {
			return Producer{}, err
		}
	}
	return p, nil
}

// Offset is one consumer offset commit.
type Offset struct {
	Group, Topic string
	QueueID      int32
	Offset       int64  // next offset to consume: everything before it is acknowledged
	Client       string // client id, or "" when unknown
	AtMicros     int64  // when the broker received the commit
}

// AppendOffset appends o's binary form; a KindOffsets body is any number of them.
func AppendOffset(dst []byte, o *Offset) []byte {
	dst = appendString(dst, o.Group)
	dst = appendString(dst, o.Topic)
	dst = appendString(dst, o.Client)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(o.QueueID))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(o.Offset))
	return binary.LittleEndian.AppendUint64(dst, uint64(o.AtMicros))
}

// DecodeOffsets calls f for each commit of a KindOffsets or KindOffsetReset body.
func DecodeOffsets(b []byte, f func(*Offset) error) error {
	for len(b) > 0 {
		var o Offset
		for _, s := range []*string{&o.Group, &o.Topic, &o.Client} {
			var err error
			if *s, b, err = takeString(b); err != nil {
				return err
			}
		}
		if len(b) < 20 {
			return fmt.Errorf("%w: offset commit is cut", ErrFormat)
		}
		o.QueueID = int32(binary.LittleEndian.Uint32(b))
		o.Offset = int64(binary.LittleEndian.Uint64(b[4:]))
		o.AtMicros = int64(binary.LittleEndian.Uint64(b[12:]))
		b = b[20:]
		if err := f(&o); err != nil {
			return err
		}
	}
	return nil
}

func appendString(dst []byte, s string) []byte {
	if len(s) > 0xFFFF {
		s = s[:0xFFFF]
	}
	return append(binary.LittleEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func takeString(b []byte) (string, []byte, error) {
	if len(b) < 2 {
		return "", nil, fmt.Errorf("%w: string is cut", ErrFormat)
	}
	n := int(binary.LittleEndian.Uint16(b))
	if len(b) < 2+n {
		return "", nil, fmt.Errorf("%w: string of %d bytes in %d", ErrFormat, n, len(b)-2)
	}
	return string(b[2 : 2+n]), b[2+n:], nil
}
