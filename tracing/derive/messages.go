package derive

import (
	"bytes"
	"encoding/hex"
	"math"
	"unsafe"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/tracing/trail"
)

// Types of messages.
const (
	TypeNormal      = "normal"
	TypeFIFO        = "fifo"
	TypeDelay       = "delay"
	TypeTransaction = "transaction"
)

// view is b as a string without a copy: for rows, whose strings are valid only within the Sink's call.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// beginMessages fills what all messages of an entry share.
func (d *Deriver) beginMessages(times notes.EntryTimes) {
	m := &d.row.Message
	m.Index, m.Term = d.record.Index, d.record.Term
	m.Broker, m.Node = d.o.Broker, d.leader
	m.AppendedMicros, m.SyncedMicros, m.AckedMicros = d.batch, times.SyncedMicros, times.AckedMicros
	m.CommittedMicros, m.Slowest = times.CommittedMicros, times.Slowest
}

// message derives one message row, and the steps that it reports when it belongs to a trace topic.
func (d *Deriver) message(_ int, v message.View, o entry.Origin) error {
	t := d.topic(v.Topic())
	m := &d.row.Message
	m.Topic, m.QueueID, m.QueueOffset, m.Position = t.name, v.QueueID(), v.QueueOffset(), v.Position()
	m.StoredBytes, m.BodyBytes = uint32(len(v)), uint32(v.BodySize())
	m.SysFlag, m.ReconsumeTimes, m.BornMicros = v.SysFlag(), v.ReconsumeTimes(), v.BornTime()*1000
	m.ReceivedMicros = 0
	if o.WaitedMicros != math.MaxUint32 { // which says: longer than the field can hold, or not known
		m.ReceivedMicros = d.batch - int64(o.WaitedMicros)
	}
	d.offsetID = message.AppendOffsetID(d.offsetID[:0], v.StoreHost(), m.Position)
	m.OffsetID = view(d.offsetID)
	d.row.StoreKey = m.OffsetID[:len(m.OffsetID)-16]
	d.producer(o.ProducerRef, v)
	d.properties(v)
	d.timing(o)
	d.context()
	d.saw(t, m.QueueID, m.QueueOffset)
	d.out.Message(&d.row)
	if t.reports {
		d.reports(v)
	}
	return nil
}

// producer fills who sent it. Without a definition only the address is known: the message itself holds it.
func (d *Deriver) producer(ref uint32, v message.View) {
	m := &d.row.Message
	p := d.lastWho
	if p == nil || p.Ref != ref {
		if p = d.producers[ref]; p != nil {
			d.lastWho = p
		}
	}
	if p != nil {
		m.ProducerGroup, m.ProducerClient, m.ProducerAddr = p.Group, p.ClientID, p.Addr
		m.Language, m.Version, m.Protocol = p.Language, p.Version, p.Protocol
		return
	}
	if h := v.BornHost(); h != d.bornHost || d.bornText == "" {
		d.bornHost, d.bornText = h, h.String()
	}
	m.ProducerGroup, m.ProducerClient, m.ProducerAddr = "", "", d.bornText
	m.Language, m.Version, m.Protocol = "", "", ""
}

// properties fills what the message's properties say: one walk.
func (d *Deriver) properties(v message.View) {
	m := &d.row.Message
	m.ID, m.Tag, m.OriginID, m.Type = "", "", "", TypeNormal
	m.Timing, m.RealTopic, m.RealQueueID, m.DueMicros, m.OriginTopic, d.rolled = "", "", 0, 0, "", false
	m.ResentFrom, m.ResentBy, m.PopGroup = "", "", ""
	d.keys, d.carried = d.keys[:0], trail.Carried{}
	if m.SysFlag&message.FlagTxMask != 0 {
		m.Type = TypeTransaction
	}
	run := v.Properties()
	for {
		name, value, rest, ok := message.NextProperty(run)
		if !ok {
			break
		}
		run = rest
		switch string(name) {
		case message.PropUniqKey:
			m.ID = view(value)
		case message.PropTags:
			m.Tag = view(value)
		case message.PropKeys:
			d.splitKeys(value)
		case message.PropRealTopic:
			m.RealTopic = view(value)
		case message.PropRealQueueID:
			m.RealQueueID = queueID(value)
		case propRolls:
			d.rolled = true
		case message.PropTimerOutMillis:
			m.DueMicros = dueMicros(value)
		case message.PropResentFrom:
			m.ResentFrom = view(value)
		case message.PropResentBy:
			m.ResentBy = view(value)
		case message.PropRetryTopic:
			m.OriginTopic = view(value)
		case trail.PropOriginGroup:
			m.PopGroup = view(value)
		case message.PropProducerGroup:
			if m.ProducerGroup == "" {
				m.ProducerGroup = view(value)
			}
		case message.PropOriginMsgID, "DLQ_ORIGIN_MESSAGE_ID":
			m.OriginID = view(value)
		case message.PropTranMsg:
			m.Type = TypeTransaction
		case message.PropDelay, message.PropTimerDelaySec, message.PropTimerDelayMillis, message.PropTimerDeliverMillis:
			if m.Type != TypeTransaction && string(value) != "0" {
				m.Type = TypeDelay
			}
		case message.PropShardingKey:
			if m.Type == TypeNormal {
				m.Type = TypeFIFO
			}
		default:
			d.carried.Take(name, value)
		}
	}
	m.Keys = d.keys
	if m.ID == "" {
		m.ID = m.OriginID
	}
	if m.ID == "" {
		m.ID = m.OffsetID
	}
}

func (d *Deriver) splitKeys(value []byte) {
	d.keys = d.keys[:0] // the last of equal properties wins, as in Java's map
	for len(value) > 0 {
		var key []byte
		if key, value, _ = bytes.Cut(value, []byte{' '}); len(key) > 0 {
			d.keys = append(d.keys, view(key))
		}
	}
}

// context fills the trace context that the message brought.
func (d *Deriver) context() {
	m := &d.row.Message
	x, ok := d.carried.Context()
	if !ok {
		m.TraceIn, m.ParentIn, m.TraceFlags, d.row.Carrier, d.row.RawTrace = "", "", 0, "", ""
		return
	}
	hex.Encode(d.hexes[:32], x.TraceID[:])
	m.TraceIn, m.ParentIn, m.TraceFlags = view(d.hexes[:32]), "", x.Flags
	if x.HasParent {
		hex.Encode(d.hexes[32:48], x.ParentID[:])
		m.ParentIn = view(d.hexes[32:48])
	}
	d.row.Carrier, d.row.RawTrace = x.Carrier, view(x.Raw)
}
