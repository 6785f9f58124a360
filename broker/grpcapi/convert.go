package grpcapi

import (
	"strconv"
	"strings"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/proto"

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

// messageOf is a stored message as gRPC clients know it.
func messageOf(b []byte) (*pb.Message, error) {
	v, err := message.Parse(b)
	if err != nil {
		return nil, err
	}
	var e encoder
	head, body := e.message(v, nil)
	m := &pb.Message{}
	return m, proto.Unmarshal(append(head, body...), m)
}
