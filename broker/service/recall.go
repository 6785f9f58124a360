package service

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/timer"
)

// Recall cancels a scheduled message by the handle that its send was answered with (code 370,
// org.apache.rocketmq.broker.processor.RecallMessageProcessor), and gives its UNIQ_KEY.
func (s *Service) Recall(ctx context.Context, c *Client, topic, handle string) (uniqKey string, refused *Error) {
	if _, ok := s.shard.Catalog().Topic(topic); !ok {
		return "", Refuse(CodeTopicNotExist, "recall failed, the topic[%s] not exist", topic)
	}
	r, refused := parseRecall(handle)
	switch {
	case refused != nil:
		return "", refused
	case r.topic != topic:
		return "", Refuse(CodeIllegalOperation, "recall failed, topic not match: the handle is of topic [%.127s]", r.topic)
	case r.broker != s.opts.Broker:
		return "", Refuse(CodeIllegalOperation, "recall failed, broker service not available: the handle is of broker [%.127s], this is %s", r.broker, s.opts.Broker)
	}
	return r.uniqKey, s.cancel(ctx, c, r.topic, r.uniqKey, r.due)
}

// cancel tells each outcome apart: what is not cancelled is refused.
func (s *Service) cancel(ctx context.Context, c *Client, topic, uniqKey string, due int64) *Error {
	err := s.shard.CancelTimer(ctx, topic, uniqKey, due, c.name())
	switch {
	case err == nil:
		return nil
	case errors.Is(err, timer.ErrTooLate):
		return s.tooLate(ctx, topic, uniqKey, due)
	case errors.Is(err, timer.ErrCancelled):
		return Refuse(CodeIllegalOperation, "recall failed, the message %.80s is cancelled already", uniqKey)
	case errors.Is(err, shard.ErrNotScheduled):
		return Refuse(CodeIllegalOperation, "recall failed, no message %.80s of topic [%s] is scheduled for %d", uniqKey, topic, due)
	case errors.Is(err, timer.ErrFull):
		return Refuse(CodeFlowControl, "recall failed, %v", err)
	}
	return s.refuse(err)
}

// tooLate tells a message that was delivered from one that was cancelled before it was due, or never sent: of what is over the timer knows
// nothing more, and who asks again after an answer that was lost must not be told that what it cancelled is delivered.
func (s *Service) tooLate(ctx context.Context, topic, uniqKey string, due int64) *Error {
	delivered, looks := false, 0
	err := s.shard.Index().Find(topic, uniqKey, 1, func(pos int64) (take, more bool) {
		looks++
		v, err := s.at(pos)
		if err == nil && v.StoreTime() < due { // the newest come first
			return false, false
		}
		delivered = err == nil && string(v.Topic()) == topic && string(message.Property(v.Properties(), message.PropUniqKey)) == uniqKey
		return delivered, looks < queryLooks && ctx.Err() == nil
	})
	switch {
	case err != nil:
		return s.unreadable(err)
	case delivered:
		return Refuse(CodeIllegalOperation, "recall failed, timestamp invalid: the message %.80s was due at %d and is delivered", uniqKey, due)
	case ctx.Err() != nil:
		return s.refuse(errors.Join(shard.ErrUncertain, ctx.Err()))
	}
	return Refuse(CodeIllegalOperation, "recall failed, timestamp invalid: no message %.80s of topic [%s] is scheduled for %d any more, and none is delivered", uniqKey, topic, due)
}

// cancelOf is what a message with TIMER_DEL_UNIQKEY cancels: its value is the key, or from RocketMQ 5.3.2 on the real topic, a plus and
// the key; its timer properties name the due time.
func cancelOf(topic string, a *asked, now int64) (r recall, refused *Error) {
	r = recall{topic: topic, uniqKey: string(a.cancel)}
	if real, key, ok := strings.Cut(r.uniqKey, "+"); ok {
		r.topic, r.uniqKey = real, key
	}
	if r.due, refused = dueOf(a, now); refused == nil && r.due <= now {
		refused = Refuse(CodeMessageIllegal, "timer message illegal, if set del msg, the delay time should be bigger than the current time: it is %s, now is %d", strconv.FormatInt(r.due, 10), now)
	}
	return r, refused
}

// Outcomes of a cancel.
const (
	RecallCancelled = "cancelled"
	RecallTooLate   = "too-late"
	RecallAlready   = "already" // it was cancelled before
	RecallUnknown   = "unknown" // no such message is scheduled, or was delivered
)

// RecallOutcome tells cancel's refusals apart by their texts, which is all that the wire has of them; "": it is none of these.
func RecallOutcome(text string) string {
	switch {
	case strings.HasSuffix(text, " and is delivered"):
		return RecallTooLate
	case strings.HasSuffix(text, " is cancelled already"):
		return RecallAlready
	case strings.Contains(text, "] is scheduled for "):
		return RecallUnknown
	}
	return ""
}
