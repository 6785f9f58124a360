package grpcapi

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"time"
	"unicode/utf8"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/contrailmq/contrail/broker/message"
)

// Numbers of fields, as apache/rocketmq/v2/definition.proto and service.proto have them.
const (
	receivedMessage = 2 // of ReceiveMessageResponse

	messageTopic, messageUserProperties, messageSystemProperties, messageBody = 1, 2, 3, 4

	resourceNamespace, resourceName  = 1, 2
	digestType, digestChecksum       = 1, 2
	entryKey, entryValue             = 1, 2
	timeSeconds, timeNanos           = 1, 2
	deadTopicField, deadMessageField = 1, 2

	systemTag, systemKeys, systemMessageID, systemBodyDigest, systemBodyEncoding, systemMessageType                        = 1, 2, 3, 4, 5, 6
	systemBornTimestamp, systemBornHost, systemStoreTimestamp, systemStoreHost, systemDeliveryTimestamp                    = 7, 8, 9, 10, 11
	systemReceiptHandle, systemQueueID, systemQueueOffset, systemInvisibleDuration, systemDeliveryAttempt                  = 12, 13, 14, 15, 16
	systemMessageGroup, systemTraceContext, systemRecoveryDuration, systemDeadLetterQueue, systemFields   protowire.Number = 17, 18, 19, 20, 21
)

// encoder writes stored messages in the wire form of protocol/v2's Message, from the stored bytes: what a receive streams is most of what this
// package does, and a struct of it in between would be two thirds of its cost. It keeps its buffers for the next message.
type encoder struct {
	head []byte // a Message without its body
	sys  []byte // its SystemProperties
	part []byte // a message within one of these
	said properties

	topicName string
	topicPart []byte // its Resource
}

// properties are those that have fields of their own; nil: there is none.
type properties struct {
	id, tag, group, trace, bornHost, deadTopic, deadID []byte
	delivery                                           int64 // ms; 0: none
	kind                                               pb.MessageType
}

// delivered is what a message has when a client receives it.
type delivered struct {
	receipt   []byte
	invisible time.Duration
	crc32     bool // its SDK reads this checksum; else MD5, which all do, and which is a seventh of what a receive costs
}

// message encodes v; d is nil for a message that nobody receives. Body and head are good until the next call, or until v's bytes are not.
func (e *encoder) message(v message.View, d *delivered) (head, body []byte) {
	e.head, e.sys, e.said = e.head[:0], e.sys[:0], properties{kind: pb.MessageType_NORMAL}
	e.topic(v.Topic())
	for run := v.Properties(); ; {
		name, value, rest, ok := message.NextProperty(run)
		if !ok {
			break
		}
		run = rest
		e.property(name, value)
	}
	if v.SysFlag()&message.FlagTxMask != 0 {
		e.said.kind = pb.MessageType_TRANSACTION
	}
	body, encoding := bodyOf(v)
	e.told(v)
	e.digest(body, d != nil && d.crc32)
	e.stored(v, encoding)
	if d != nil {
		e.sys = appendText(e.sys, systemReceiptHandle, d.receipt)
		e.sys = e.appendTime(e.sys, systemInvisibleDuration, d.invisible.Milliseconds())
	}
	e.head = protowire.AppendBytes(protowire.AppendTag(e.head, messageSystemProperties, protowire.BytesType), e.sys)
	if len(body) > 0 {
		e.head = protowire.AppendTag(e.head, messageBody, protowire.BytesType)
		e.head = protowire.AppendVarint(e.head, uint64(len(body)))
	}
	return e.head, body
}

// topic: messages that are encoded one after the other have mostly the same.
func (e *encoder) topic(name []byte) {
	if e.topicPart == nil || e.topicName != string(name) {
		e.topicName = string(name)
		r := resourceOf(e.topicName)
		e.topicPart = nil
		if r.ResourceNamespace != "" {
			e.topicPart = appendText(e.topicPart, resourceNamespace, []byte(r.ResourceNamespace))
		}
		e.topicPart = appendText(e.topicPart, resourceName, []byte(r.Name))
	}
	e.head = appendMessage(e.head, messageTopic, e.topicPart)
}

// property takes one property of a stored message; the last of equal names wins.
func (e *encoder) property(name, value []byte) {
	p := &e.said
	switch string(name) {
	case message.PropUniqKey:
		p.id = value
	case message.PropTags:
		p.tag = value
	case message.PropKeys:
		for key := range bytes.FieldsSeq(value) {
			e.sys = appendText(e.sys, systemKeys, key)
		}
	case message.PropShardingKey:
		if p.group = value; p.kind == pb.MessageType_NORMAL {
			p.kind = pb.MessageType_FIFO
		}
	case message.PropTraceContext:
		p.trace = value
	case message.PropTranMsg:
		p.kind = pb.MessageType_TRANSACTION
	case message.PropDelay, message.PropTimerDelaySec, message.PropTimerDelayMillis, message.PropTimerDeliverMillis:
		if p.kind != pb.MessageType_TRANSACTION && string(value) != "0" {
			p.kind = pb.MessageType_DELAY
		}
		if ms, err := strconv.ParseInt(string(value), 10, 64); err == nil && string(name) == message.PropTimerDeliverMillis {
			p.delivery = ms
		}
	case propBornHost:
		p.bornHost = value
	case propDeadTopic:
		p.deadTopic = value
	case propDeadMessageID:
		p.deadID = value
	}
	if !brokersNames[string(name)] {
		e.part = appendText(appendText(e.part[:0], entryKey, name), entryValue, value)
		e.head = appendMessage(e.head, messageUserProperties, e.part)
	}
}

// told is what the producer said of the message.
func (e *encoder) told(v message.View) {
	p := &e.said
	if len(p.id) == 0 {
		p.id = message.AppendOffsetID(nil, v.StoreHost(), v.Position())
	}
	e.sys = appendText(e.sys, systemMessageID, p.id)
	if p.tag != nil {
		e.sys = appendText(e.sys, systemTag, p.tag)
	}
	if p.group != nil {
		e.sys = appendText(e.sys, systemMessageGroup, p.group)
	}
	if p.trace != nil {
		e.sys = appendText(e.sys, systemTraceContext, p.trace)
	}
	if p.delivery > 0 {
		e.sys = e.appendTime(e.sys, systemDeliveryTimestamp, p.delivery)
	}
	if len(p.deadTopic) > 0 && len(p.deadID) > 0 {
		e.part = appendText(appendText(e.part[:0], deadTopicField, p.deadTopic), deadMessageField, p.deadID)
		e.sys = appendMessage(e.sys, systemDeadLetterQueue, e.part)
	}
	if e.sys = e.appendTime(e.sys, systemBornTimestamp, v.BornTime()); len(p.bornHost) > 0 {
		e.sys = appendText(e.sys, systemBornHost, p.bornHost)
	} else {
		e.sys = appendText(e.sys, systemBornHost, v.BornHost().Addr().AppendTo(e.part[:0]))
	}
}

// digest lets the client see that a body came as it was sent.
func (e *encoder) digest(body []byte, crc bool) {
	kind, text := pb.DigestType_MD5, e.part[:0]
	if crc {
		var sum [4]byte
		binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE(body))
		kind, text = pb.DigestType_CRC32, appendHex(text, sum[:])
		for len(text) > 1 && text[0] == '0' {
			text = text[1:]
		}
	} else {
		sum := md5.Sum(body)
		text = appendHex(text, sum[:])
	}
	e.sys = protowire.AppendTag(e.sys, systemBodyDigest, protowire.BytesType)
	e.sys = protowire.AppendVarint(e.sys, uint64(protowire.SizeTag(digestType)+1+protowire.SizeTag(digestChecksum)+protowire.SizeBytes(len(text)))) // the type's number is one byte
	e.sys = appendText(appendNumber(e.sys, digestType, int64(kind)), digestChecksum, text)
}

// stored is what the broker says of it.
func (e *encoder) stored(v message.View, encoding pb.Encoding) {
	b := appendNumber(e.sys, systemBodyEncoding, int64(encoding))
	b = appendNumber(b, systemMessageType, int64(e.said.kind))
	b = e.appendTime(b, systemStoreTimestamp, v.StoreTime())
	b = appendText(b, systemStoreHost, v.StoreHost().AppendTo(e.part[:0]))
	b = appendNumber(b, systemQueueID, int64(v.QueueID()))
	b = appendNumber(b, systemQueueOffset, v.QueueOffset())
	e.sys = appendNumber(b, systemDeliveryAttempt, int64(v.ReconsumeTimes()+1))
}

// bodyOf is a message's body as clients get it. gRPC has one compression, gzip: what remoting clients compressed otherwise is unpacked for them, and stays as it
// is when it cannot be.
func bodyOf(v message.View) ([]byte, pb.Encoding) {
	b := v.Body()
	if v.SysFlag()&message.FlagCompressed == 0 {
		return b, pb.Encoding_IDENTITY
	}
	if bytes.HasPrefix(b, gzipMagic) {
		return b, pb.Encoding_GZIP
	}
	if plain, err := unpack(b, v.SysFlag()); err == nil {
		return plain, pb.Encoding_IDENTITY
	}
	return b, pb.Encoding_IDENTITY
}

var gzipMagic = []byte{0x1f, 0x8b}

// appendTime appends a Timestamp or a Duration of so many ms.
func (e *encoder) appendTime(dst []byte, field protowire.Number, ms int64) []byte {
	seconds, rest := ms/1000, ms%1000
	if rest < 0 { // nanos count forward
		seconds, rest = seconds-1, rest+1000
	}
	e.part = e.part[:0]
	if seconds != 0 {
		e.part = appendNumber(e.part, timeSeconds, seconds)
	}
	if rest != 0 {
		e.part = appendNumber(e.part, timeNanos, rest*1e6)
	}
	return appendMessage(dst, field, e.part)
}

func appendNumber(dst []byte, field protowire.Number, n int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), uint64(n))
}

// appendMessage appends a message, or bytes.
func appendMessage(dst []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), m)
}

// appendText appends a string. Those of protobuf are UTF-8, those of remoting clients may be anything: a client could not read the whole answer.
func appendText(dst []byte, field protowire.Number, text []byte) []byte {
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	return appendMessage(dst, field, text)
}

func appendHex(dst, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}
