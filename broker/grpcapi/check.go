package grpcapi

import (
	"strings"
	"time"
	"unicode"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
)

// Limits, and their texts, are those of RocketMQ's proxy (org.apache.rocketmq.proxy.grpc.v2.common.GrpcValidator, ProxyConfig).
const (
	propertiesMax     = 128
	propertyBytesMax  = 16384
	messageGroupBytes = 64
	recoveryMax       = 3600 // s, before a transaction is asked about
	invisibleMin      = 10 * time.Second
	invisibleMax      = 12 * time.Hour
	receiveMax        = 32 // messages
	messagesMax       = 1024
	acksMax           = 1024
	contextMax        = 1024 // bytes of a trace context
	pollMin           = 5 * time.Second
	pollMax           = 20 * time.Second
	answerTime        = 150 * time.Millisecond // of a call's time, for the answer that nothing came: the service looks every 100 ms whose time is up
)

// nameOf is a resource's internal name; RocketMQ puts a namespace before it.
func nameOf(r *pb.Resource) string {
	if ns := r.GetResourceNamespace(); ns != "" {
		return ns + "%" + r.GetName()
	}
	return r.GetName()
}

// resourceOf is the inverse of nameOf. Retry topics and dead-letter queues have a per cent sign of their own.
func resourceOf(name string) *pb.Resource {
	for _, own := range []string{"%RETRY%", "%DLQ%"} {
		if strings.HasPrefix(name, own) {
			return &pb.Resource{Name: name}
		}
	}
	if ns, rest, ok := strings.Cut(name, "%"); ok {
		return &pb.Resource{ResourceNamespace: ns, Name: rest}
	}
	return &pb.Resource{Name: name}
}

// checkTopic refuses what is no name of a topic that clients may use.
func (s *Server) checkTopic(r *pb.Resource) (string, *pb.Status) {
	name := nameOf(r)
	if name == "" {
		return "", refuse(pb.Code_ILLEGAL_TOPIC, "the topic name cannot be blank")
	}
	if err := service.CheckTopicName(name); err != nil {
		return name, refuse(pb.Code_ILLEGAL_TOPIC, "%s", err.Text)
	}
	if s.systemTopic(name) {
		return name, refuse(pb.Code_ILLEGAL_TOPIC, "cannot access system topic: %s", name)
	}
	return name, nil
}

func (s *Server) systemTopic(name string) bool {
	members := s.o.Members()
	return len(members) > 0 && members[0].Service.IsSystemTopic(name)
}

func checkGroup(r *pb.Resource) (string, *pb.Status) {
	name := nameOf(r)
	if name == "" {
		return "", refuse(pb.Code_ILLEGAL_CONSUMER_GROUP, "the consumer group name cannot be blank")
	}
	if err := service.CheckGroupName(name); err != nil {
		return name, refuse(pb.Code_ILLEGAL_CONSUMER_GROUP, "%s", err.Text)
	}
	if service.IsSystemGroup(name) {
		return name, refuse(pb.Code_ILLEGAL_CONSUMER_GROUP, "cannot use system consumer group: %s", name)
	}
	return name, nil
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

func blank(s string) bool { return strings.TrimSpace(s) == "" }

func checkTag(tag string) *pb.Status {
	switch {
	case tag == "":
	case blank(tag):
		return refuse(pb.Code_ILLEGAL_MESSAGE_TAG, "tag cannot be the char sequence of whitespace")
	case strings.Contains(tag, "|"):
		return refuse(pb.Code_ILLEGAL_MESSAGE_TAG, "tag cannot contain '|': %s", tag)
	case hasControl(tag):
		return refuse(pb.Code_ILLEGAL_MESSAGE_TAG, "tag cannot contain control character")
	}
	return nil
}

func checkKey(key string) *pb.Status {
	switch {
	case key == "":
	case blank(key):
		return refuse(pb.Code_ILLEGAL_MESSAGE_KEY, "key cannot be the char sequence of whitespace")
	case hasControl(key):
		return refuse(pb.Code_ILLEGAL_MESSAGE_KEY, "key cannot contain control character")
	}
	return nil
}

func checkMessageGroup(g string) *pb.Status {
	switch {
	case g == "":
	case blank(g):
		return refuse(pb.Code_ILLEGAL_MESSAGE_GROUP, "message group cannot be the char sequence of whitespace")
	case len(g) >= messageGroupBytes:
		return refuse(pb.Code_ILLEGAL_MESSAGE_GROUP, "message group exceed the max size %d", messageGroupBytes)
	case hasControl(g):
		return refuse(pb.Code_ILLEGAL_MESSAGE_GROUP, "message group cannot contain control character")
	}
	return nil
}

// checkUserProperties also counts what tag and keys take of the same limit.
func checkUserProperties(m *pb.Message) *pb.Status {
	sp, properties := m.GetSystemProperties(), m.GetUserProperties()
	if n := len(properties); n > propertiesMax {
		return refuse(pb.Code_MESSAGE_PROPERTIES_TOO_LARGE, "too many user properties, max is %d", propertiesMax)
	}
	size := len(sp.GetTag())
	for _, k := range sp.GetKeys() {
		size += len(k)
	}
	for name, value := range properties {
		switch {
		case brokersNames[name]:
			return refuse(pb.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "property is used by system: %s", name)
		case hasControl(name):
			return refuse(pb.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "the key of property cannot contain control character")
		case hasControl(value):
			return refuse(pb.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "the value of property cannot contain control character")
		}
		size += len(name) + len(value)
	}
	if size > propertyBytesMax {
		return refuse(pb.Code_MESSAGE_PROPERTIES_TOO_LARGE, "the total size of user property is too large, max is %d", propertyBytesMax)
	}
	return nil
}

// checkMessage refuses what no broker should store.
func (s *Server) checkMessage(m *pb.Message, maxBody int) *pb.Status {
	sp, body := m.GetSystemProperties(), len(m.GetBody())
	switch {
	case body == 0:
		return refuse(pb.Code_MESSAGE_BODY_EMPTY, "message body cannot be empty")
	case body > maxBody:
		return refuse(pb.Code_MESSAGE_BODY_TOO_LARGE, "message body cannot exceed the max %d", maxBody)
	case blank(sp.GetMessageId()):
		return refuse(pb.Code_ILLEGAL_MESSAGE_ID, "message id cannot be empty")
	case hasControl(sp.GetMessageId()) || len(sp.GetMessageId()) > clientIDMax:
		return refuse(pb.Code_ILLEGAL_MESSAGE_ID, "message id of %d bytes: up to %d without control characters are possible", len(sp.GetMessageId()), clientIDMax)
	case hasControl(sp.GetTraceContext()) || hasControl(sp.GetBornHost()):
		return refuse(pb.Code_BAD_REQUEST, "trace context and born host cannot contain control character")
	case len(sp.GetTraceContext()) > contextMax || len(sp.GetBornHost()) > clientIDMax:
		return refuse(pb.Code_BAD_REQUEST, "trace context of %d bytes, born host of %d: up to %d and %d are possible", len(sp.GetTraceContext()), len(sp.GetBornHost()), contextMax, clientIDMax)
	}
	if st := checkTag(sp.GetTag()); st != nil {
		return st
	}
	for _, k := range sp.GetKeys() {
		if st := checkKey(k); st != nil {
			return st
		}
	}
	if st := checkMessageGroup(sp.GetMessageGroup()); st != nil {
		return st
	}
	if st := checkUserProperties(m); st != nil {
		return st
	}
	if d := sp.GetOrphanedTransactionRecoveryDuration(); d.GetSeconds() > recoveryMax {
		return refuse(pb.Code_BAD_REQUEST, "the max transaction recovery time of message is too large, max is %d", recoveryMax)
	}
	return s.checkDelivery(sp)
}

func (s *Server) checkDelivery(sp *pb.SystemProperties) *pb.Status {
	if sp.DeliveryTimestamp == nil {
		return nil
	}
	if !sp.DeliveryTimestamp.IsValid() {
		return refuse(pb.Code_ILLEGAL_DELIVERY_TIME, "the delivery timestamp of %d s is no time", sp.DeliveryTimestamp.GetSeconds())
	}
	if time.Until(sp.DeliveryTimestamp.AsTime()) > s.o.MaxDelay {
		return refuse(pb.Code_ILLEGAL_DELIVERY_TIME, "the max delay time of message is too large, max is %d", s.o.MaxDelay.Milliseconds())
	}
	return nil
}

func checkInvisible(d, least time.Duration) *pb.Status {
	switch {
	case d < least:
		return refuse(pb.Code_ILLEGAL_INVISIBLE_TIME, "the invisibleTime is too small. min is %d", least.Milliseconds())
	case d > invisibleMax:
		return refuse(pb.Code_ILLEGAL_INVISIBLE_TIME, "the invisibleTime is too large. max is %d", invisibleMax.Milliseconds())
	}
	return nil
}

// brokersNames are the names that the broker gives a meaning to (org.apache.rocketmq.common.message.MessageConst.STRING_HASH_SET). __SHARDINGKEY and
// __transactionId__ are not among them: SDKs read those.
var brokersNames = nameSet("TRACE_ON MSG_REGION KEYS TAGS WAIT DELAY RETRY_TOPIC REAL_TOPIC REAL_QID TRAN_MSG PGROUP MIN_OFFSET MAX_OFFSET BUYER_ID ORIGIN_MESSAGE_ID " +
	"TRANSFER_FLAG CORRECTION_FLAG MQ2_FLAG RECONSUME_TIME UNIQ_KEY MAX_RECONSUME_TIMES CONSUME_START_TIME POP_CK POP_CK_OFFSET 1ST_POP_TIME TRAN_PREPARED_QUEUE_OFFSET DUP_INFO " +
	"EXTEND_UNIQ_INFO INSTANCE_ID CORRELATION_ID REPLY_TO_CLIENT TTL ARRIVE_TIME PUSH_REPLY_TIME CLUSTER MSG_TYPE INNER_MULTI_QUEUE_OFFSET TIMER_DELAY_MS TIMER_DELAY_SEC TIMER_DELIVER_MS " +
	"TIMER_ENQUEUE_MS TIMER_DEQUEUE_MS TIMER_ROLL_TIMES TIMER_OUT_MS TIMER_DEL_UNIQKEY TIMER_DELAY_LEVEL __BORNHOST BORN_TIMESTAMP DLQ_ORIGIN_TOPIC DLQ_ORIGIN_MESSAGE_ID __CRC32# " +
	"CHECK_IMMUNITY_TIME_IN_SECONDS ORIGIN_GROUP TRACE_CONTEXT CONTRAIL_RESENT_FROM CONTRAIL_RESENT_BY")

func nameSet(names string) map[string]bool {
	m := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		m[name] = true
	}
	return m
}
