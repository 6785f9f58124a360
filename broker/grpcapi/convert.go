package grpcapi

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/service"
)

// Names of properties that gRPC messages have.
const (
	propBornHost      = "__BORNHOST"
	propBornTime      = "BORN_TIMESTAMP"
	propRecovery      = "CHECK_IMMUNITY_TIME_IN_SECONDS"
	propDeadTopic     = "DLQ_ORIGIN_TOPIC"
	propDeadMessageID = "DLQ_ORIGIN_MESSAGE_ID"
)

// header fills what the service is to store of a message, but for its topic and queue
// (org.apache.rocketmq.proxy.grpc.v2.producer.SendMessageActivity.buildMessageProperty).
func header(h *service.SendHeader, m *pb.Message) {
	sp := m.GetSystemProperties()
	run := h.Properties[:0]
	put := func(name, value string) {
		if value != "" {
			run = message.AppendProperty(run, name, value)
		}
	}
	put(message.PropUniqKey, sp.GetMessageId())
	put(message.PropTags, sp.GetTag())
	if keys := sp.GetKeys(); len(keys) > 0 {
		put(message.PropKeys, strings.Join(keys, " "))
	}
	put(message.PropShardingKey, sp.GetMessageGroup())
	put(message.PropTraceContext, sp.GetTraceContext())
	put(propBornHost, sp.GetBornHost())
	if sp.DeliveryTimestamp != nil {
		put(message.PropTimerDeliverMillis, strconv.FormatInt(sp.DeliveryTimestamp.AsTime().UnixMilli(), 10))
	}
	put(message.PropProducerGroup, string(h.ProducerGroup))
	h.SysFlag = 0
	if sp.GetBodyEncoding() == pb.Encoding_GZIP {
		h.SysFlag |= message.FlagCompressed
	}
	if sp.GetMessageType() == pb.MessageType_TRANSACTION {
		h.SysFlag |= message.FlagTxPrepared
		put(message.PropTranMsg, "true")
		put(message.PropTransactionID, sp.GetMessageId())
		if d := sp.GetOrphanedTransactionRecoveryDuration(); d != nil {
			put(propRecovery, strconv.FormatInt(d.GetSeconds(), 10))
		}
	}
	for name, value := range m.GetUserProperties() {
		run = message.AppendProperty(run, name, value)
	}
	h.Properties, h.BornTime = run, sp.GetBornTimestamp().AsTime().UnixMilli()
	h.QueueID, h.MaxReconsumeTimes = -1, -1
}

// messageOf is a stored message as gRPC clients know it. The body is that of b: it must not outlive it.
func messageOf(b []byte) (*pb.Message, error) {
	v, err := message.Parse(b)
	if err != nil {
		return nil, err
	}
	sp := &pb.SystemProperties{
		BornTimestamp: timestamppb.New(millisTime(v.BornTime())), StoreTimestamp: timestamppb.New(millisTime(v.StoreTime())), StoreHost: v.StoreHost().String(),
		QueueId: v.QueueID(), MessageType: pb.MessageType_NORMAL, BodyEncoding: pb.Encoding_IDENTITY,
	}
	offset, attempt := v.QueueOffset(), v.ReconsumeTimes()+1
	sp.QueueOffset, sp.DeliveryAttempt = &offset, &attempt
	m := &pb.Message{Topic: resourceOf(string(v.Topic())), SystemProperties: sp}
	var dead pb.DeadLetterQueue
	for run := v.Properties(); ; {
		name, value, rest, ok := message.NextProperty(run)
		if !ok {
			break
		}
		run = rest
		property(m, &dead, string(name), string(value))
	}
	if dead.Topic != "" && dead.MessageId != "" {
		sp.DeadLetterQueue = &dead
	}
	if sp.MessageId == "" {
		sp.MessageId = string(message.AppendOffsetID(nil, v.StoreHost(), v.Position()))
	}
	if sp.BornHost == "" {
		sp.BornHost = v.BornHost().Addr().String()
	}
	if v.SysFlag()&message.FlagTxMask != 0 {
		sp.MessageType = pb.MessageType_TRANSACTION
	}
	m.Body = body(sp, v)
	sum := md5.Sum(m.Body) // not CRC32: SDKs do not agree on how that is written
	sp.BodyDigest = &pb.Digest{Type: pb.DigestType_MD5, Checksum: strings.ToUpper(hex.EncodeToString(sum[:]))}
	return m, nil
}

// property takes one property of a stored message; the last of equal names wins.
func property(m *pb.Message, dead *pb.DeadLetterQueue, name, value string) {
	sp := m.SystemProperties
	switch name {
	case message.PropUniqKey:
		sp.MessageId = value
	case message.PropTags:
		sp.Tag = &value
	case message.PropKeys:
		sp.Keys = strings.Fields(value)
	case message.PropShardingKey:
		sp.MessageGroup = &value
		if sp.MessageType == pb.MessageType_NORMAL {
			sp.MessageType = pb.MessageType_FIFO
		}
	case message.PropTraceContext:
		sp.TraceContext = &value
		return
	case message.PropTranMsg:
		sp.MessageType = pb.MessageType_TRANSACTION
	case message.PropDelay, message.PropTimerDelaySec, message.PropTimerDelayMillis, message.PropTimerDeliverMillis:
		if sp.MessageType != pb.MessageType_TRANSACTION && value != "0" {
			sp.MessageType = pb.MessageType_DELAY
		}
		if ms, err := strconv.ParseInt(value, 10, 64); err == nil && name == message.PropTimerDeliverMillis {
			sp.DeliveryTimestamp = timestamppb.New(millisTime(ms))
		}
	case propBornHost:
		sp.BornHost = value
	case propDeadTopic:
		dead.Topic = value
	case propDeadMessageID:
		dead.MessageId = value
	}
	if !brokersNames[name] {
		if m.UserProperties == nil {
			m.UserProperties = map[string]string{}
		}
		m.UserProperties[name] = value
	}
}

func millisTime(ms int64) time.Time { return time.UnixMilli(ms) }

var gzipMagic = []byte{0x1f, 0x8b}

// body is a message's body. gRPC has one compression, gzip: what remoting clients compressed otherwise is unpacked for them, and stays as it is when it
// cannot be.
func body(sp *pb.SystemProperties, v message.View) []byte {
	b := v.Body()
	if v.SysFlag()&message.FlagCompressed == 0 {
		return b
	}
	if bytes.HasPrefix(b, gzipMagic) {
		sp.BodyEncoding = pb.Encoding_GZIP
		return b
	}
	if plain, err := unpack(b, v.SysFlag()); err == nil {
		return plain
	}
	return b
}
