package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/wire"
)

// template is one send request as bytes; each message is a copy with its own opaque and UNIQ_KEY.
type template struct {
	bytes    []byte
	opaqueAt int
	keyAt    int // of the last 16 hex digits of UNIQ_KEY
	dueAt    int // of the 13 digits of TIMER_DELIVER_MS; 0: it is delivered at once
}

const (
	keyPrefix   = "7F00000100002A9F" // the rest is a counter
	dueProperty = "TIMER_DELIVER_MS\x01"
	dueMark     = "9999999999999"
)

// newTemplate is SEND_MESSAGE_V2 to one queue, as the Java client's benchmark writes it (binary header) or in JSON.
func newTemplate(topic string, queue, size int, json, timed bool) template {
	typ := uint8(wire.Binary)
	if json {
		typ = wire.JSON
	}
	const opaqueMark = 0x7a7a7a7a
	w := wire.Request(nil, typ, opaqueMark, wire.SendMessageV2)
	mark, more := "0123456789ABCDEF", ""
	if timed {
		more = dueProperty + dueMark + "\x02"
	}
	for _, f := range [][2]string{
		{"a", "bench_producer"}, {"b", topic}, {"c", "TBW102"}, {"d", "4"}, {"e", strconv.Itoa(queue)}, {"f", "0"},
		{"g", strconv.FormatInt(time.Now().UnixMilli(), 10)}, {"h", "0"},
		{"i", "UNIQ_KEY\x01" + keyPrefix + mark + "\x02WAIT\x01true\x02TAGS\x01TagA\x02" + more}, {"j", "0"}, {"k", "false"}, {"m", "false"},
	} {
		w.String(f[0], f[1])
	}
	b := w.End(size)
	for i := range size {
		b = append(b, byte('a'+i%26))
	}
	t := template{bytes: b, keyAt: index(b, keyPrefix+mark) + len(keyPrefix)}
	if timed {
		t.dueAt = index(b, dueProperty+dueMark) + len(dueProperty)
	}
	if json {
		t.opaqueAt = index(b, strconv.Itoa(opaqueMark))
	} else {
		t.opaqueAt = 8 + 5
	}
	return t
}

func index(b []byte, s string) int {
	for i := range b {
		if len(b)-i >= len(s) && string(b[i:i+len(s)]) == s {
			return i
		}
	}
	panic("bench: template lacks " + s)
}

// append adds one request.
func (t *template) append(dst []byte, opaque uint32, key uint64, json bool) []byte {
	at := len(dst)
	dst = append(dst, t.bytes...)
	m := dst[at:]
	if json {
		copy(m[t.opaqueAt:t.opaqueAt+10], fmt.Sprintf("%10d", opaque))
	} else {
		binary.BigEndian.PutUint32(m[t.opaqueAt:], opaque)
	}
	const digits = "0123456789ABCDEF"
	for i := 15; i >= 0; i-- {
		m[t.keyAt+i] = digits[key&15]
		key >>= 4
	}
	return dst
}

// setDue says when the request that dst ends with is to be delivered, ms.
func (t *template) setDue(dst []byte, due int64) {
	timer.PutDue(dst[len(dst)-len(t.bytes)+t.dueAt:], due)
}

// answers splits responses off a stream.
type answers struct {
	conn net.Conn
	buf  []byte
	n    int
	f    wire.Frame
}

// next reads once and calls f for each whole answer.
func (a *answers) next(f func(*wire.Frame) error) error {
	if a.buf == nil {
		a.buf = make([]byte, 256<<10)
	}
	n, err := a.conn.Read(a.buf[a.n:])
	if err != nil {
		return err
	}
	a.n += n
	b := a.buf[:a.n]
	for {
		frame, rest, need, err := wire.Split(b)
		if err != nil {
			return err
		}
		if frame == nil {
			a.n = copy(a.buf, rest)
			if need > len(a.buf) {
				a.buf = append(a.buf, make([]byte, need-len(a.buf))...)
			}
			return nil
		}
		if err := a.f.Decode(frame); err != nil {
			return err
		}
		if err := f(&a.f); err != nil {
			return err
		}
		b = rest
	}
}

// createTopic makes the topic before anything is measured.
func createTopic(addr, topic string, queues int) error {
	c := rpc.Client{Addr: addr, Timeout: 10 * time.Second}
	defer c.Close()
	n := strconv.Itoa(queues)
	f, err := c.Do(wire.UpdateTopic, []rpc.Field{
		{Name: "topic", Value: topic}, {Name: "defaultTopic", Value: "TBW102"}, {Name: "readQueueNums", Value: n},
		{Name: "writeQueueNums", Value: n}, {Name: "perm", Value: "6"}, {Name: "topicFilterType", Value: "SINGLE_TAG"},
		{Name: "topicSysFlag", Value: "0"}, {Name: "order", Value: "false"},
	}, nil)
	if err == nil && f.Code != 0 {
		err = fmt.Errorf("create topic %s at %s: code %d %s", topic, addr, f.Code, f.Remark)
	}
	return err
}
