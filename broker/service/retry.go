package service

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
)

// Back is what a consumer says of a message that it could not consume (code 36, ConsumerSendMsgBackRequestHeader).
type Back struct {
	Group             string
	Position          int64 // of the message
	DelayLevel        int32 // 0: the broker chooses; < 0: to the dead letters
	MaxReconsumeTimes int32 // < 0: the group's
	// Attempts is how often the message was tried by a consumer that counts by itself, as ordered ones of gRPC do; 0: the message tells.
	Attempts       int32
	ReceivedMicros int64
}

// firstRetryLevel is the delay level of a message's first retry; each further one waits a level longer.
const firstRetryLevel = 3

// SendBack stores a copy of a message that was sent back, in its group's retry topic after a delay or among its dead letters
// (org.apache.rocketmq.broker.processor.AbstractSendMessageProcessor.consumerSendMsgBack), and a record that it did: the same message sent
// back again makes no other copy. done is called once, perhaps at once, by any goroutine, and must not block.
func (s *Service) SendBack(c *Client, b *Back, done func(*Error)) {
	if err := s.refuseToLead(); err != nil {
		done(err)
		return
	}
	back, err := s.backOf(b)
	if err != nil || back == nil { // nil: the group keeps no retries
		done(err)
		return
	}
	p := s.Parcel(c)
	back.record.Client = c.Identity().ClientID
	p.batch.Deed = s.shard.SendBackDeed(&back.record)
	p.add(&back.header, back.body, Token{}, nil)
	p.Submit(func(p *Parcel) {
		r, err := p.Results[0], p.batch.Err
		p.batch.Deed = nil
		p.Release()
		switch {
		case errors.Is(err, delivery.ErrSentBack), r.Code == CodeSuccess:
			done(nil)
		case err != nil:
			done(s.refuse(err))
		default:
			done(Refuse(r.Code, "%s", r.Remark))
		}
	})
}

// sentBack is a copy to make, and what is recorded of it.
type sentBack struct {
	header SendHeader
	body   []byte
	record entry.SentBack
}

// backOf is the message to store; nil: none.
func (s *Service) backOf(b *Back) (*sentBack, *Error) {
	g, ok := s.shard.Catalog().Group(b.Group)
	if !ok {
		return nil, groupMissing(b.Group)
	}
	if g.RetryQueues <= 0 {
		return nil, nil
	}
	v, err := s.at(b.Position)
	if err != nil {
		return nil, &Error{CodeSystemError, "look message by offset failed, " + strconv.FormatInt(b.Position, 10), err}
	}
	limit := b.MaxReconsumeTimes
	if limit < 0 {
		limit = g.RetryMaxTimes
	}
	record := delivery.BackOf(v, b.Group, limit, b.DelayLevel)
	dead := record.To == entry.ToDeadLetter
	h := SendHeader{
		ProducerGroup: []byte(b.Group), QueueID: -1, Flag: v.Flag(), SysFlag: v.SysFlag(), BornTime: v.BornTime(), BornHost: v.BornHost(),
		ReconsumeTimes: max(v.ReconsumeTimes()+1, min(b.Attempts, g.RetryMaxTimes+1)), ReceivedMicros: b.ReceivedMicros, Inner: true,
	}
	h.Topic, h.Properties = []byte(RetryPrefix+b.Group), s.backProperties(v, b.DelayLevel, dead)
	if dead {
		h.Topic = []byte(DeadPrefix + b.Group)
	}
	return &sentBack{h, v.Body(), record}, nil
}

// backProperties are those of the next copy of a message.
func (s *Service) backProperties(v message.View, level int32, dead bool) []byte {
	run := v.Properties()
	origin, first := message.Property(run, message.PropRetryTopic), message.Property(run, message.PropOriginMsgID)
	if len(origin) == 0 {
		origin = v.Topic()
	}
	if len(bytes.TrimSpace(first)) == 0 {
		first = message.AppendOffsetID(nil, v.StoreHost(), v.Position())
	}
	switch {
	case dead:
		level = 0
	case level == 0:
		level = firstRetryLevel + v.ReconsumeTimes()
	}
	run = message.Without(run, s.moreNames...)
	run = message.Without(run, message.PropRetryTopic, message.PropOriginMsgID, message.PropDelay, message.PropWait)
	run = message.AppendProperty(run, message.PropRetryTopic, string(origin))
	run = message.AppendProperty(run, message.PropOriginMsgID, string(first))
	run = message.AppendProperty(run, message.PropWait, "false")
	return message.AppendProperty(run, message.PropDelay, strconv.Itoa(int(level)))
}

func groupMissing(name string) *Error {
	return Refuse(CodeSubscriptionGroupMissing, "subscription group not exist, %s See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.", name)
}

// retried applies the rule for a consumer that sends a message to its retry topic itself, as it does when code 36 failed, and when an
// ordered one gives up: too many attempts, or an ordered group, make it a dead letter
// (org.apache.rocketmq.broker.processor.SendMessageProcessor.handleRetryAndDLQ).
func (s *Service) retried(h *SendHeader) *Error {
	name := string(h.Topic[len(RetryPrefix):])
	g, ok := s.shard.Catalog().Group(name)
	if !ok {
		return groupMissing(name)
	}
	h.attempts()
	limit := h.MaxReconsumeTimes
	if limit < 0 {
		limit = g.RetryMaxTimes
	}
	if delivery.RouteOwn(h.ReconsumeTimes, limit, s.shard.Locks().Any(s.shard.LockNow(), name)) == entry.ToRetry {
		return nil
	}
	h.Topic, h.QueueID, h.Inner = []byte(DeadPrefix+name), -1, true
	h.Properties = message.AppendProperty(message.Without(h.Properties, message.PropDelay), message.PropDelay, "0")
	return nil
}

// attempts takes from the properties what clients that do not move it into the header themselves leave there.
func (h *SendHeader) attempts() {
	if h.ReconsumeTimes == 0 {
		h.ReconsumeTimes = digits(h.Properties, message.PropReconsumeTime)
	}
	if h.MaxReconsumeTimes < 0 && message.Property(h.Properties, message.PropMaxReconsume) != nil {
		h.MaxReconsumeTimes = digits(h.Properties, message.PropMaxReconsume)
	}
}

// ownTopic makes a topic that belongs to a group: for its retries or its dead letters.
func (s *Service) ownTopic(name string) (catalog.Topic, bool) {
	if group, ok := bytes.CutPrefix([]byte(name), []byte(RetryPrefix)); ok {
		queues := int32(1)
		if g, ok := s.shard.Catalog().Group(string(group)); ok && g.RetryQueues > 0 {
			queues = g.RetryQueues
		}
		return catalog.NewTopic(name, queues), true
	}
	if bytes.HasPrefix([]byte(name), []byte(DeadPrefix)) {
		return catalog.NewTopic(name, deadQueues), true
	}
	return catalog.Topic{}, false
}

const deadQueues = 1 // of a group's dead letters, as RocketMQ's DLQ_NUMS_PER_GROUP

// born is who sent a message first.
func (h *SendHeader) born(client netip.AddrPort) netip.AddrPort {
	if h.BornHost.IsValid() {
		return h.BornHost
	}
	return client
}
