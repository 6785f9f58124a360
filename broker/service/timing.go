package service

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/timer"
)

// DefaultDelayLevels are RocketMQ's (MessageStoreConfig.messageDelayLevel); level 1 is the first.
var DefaultDelayLevels = []time.Duration{
	time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 5 * time.Minute, 6 * time.Minute, 7 * time.Minute, 8 * time.Minute, 9 * time.Minute, 10 * time.Minute,
	20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
}

// MaxDelayDefault is how far ahead a message may be scheduled unless the configuration says otherwise.
const MaxDelayDefault = 365 * 24 * time.Hour

// asked is what a message's properties ask of the broker. Values alias the frame.
type asked struct {
	level, delaySec, delayMillis, deliverMillis []byte
	cancel                                      []byte // key of the scheduled message that this one cancels
	transaction                                 bool   // it is a half message
	foreign                                     bool   // names are among them that the broker sets itself: they are left out
	fired                                       bool   // it waited for its time before: what named that time is history
}

// take notes a property that asks for something; false: it does not.
func (a *asked) take(name, value []byte) bool {
	switch string(name) {
	case message.PropTranMsg:
		a.transaction = strings.EqualFold(string(value), "true")
	case message.PropDelay:
		a.level = value
	case message.PropTimerDelaySec:
		a.delaySec = value
	case message.PropTimerDelayMillis:
		a.delayMillis = value
	case message.PropTimerDeliverMillis:
		a.deliverMillis = value
	case message.PropTimerDelUniqKey:
		a.cancel = value
	case message.PropTimerOutMillis:
		a.foreign, a.fired = true, true
	case message.PropRealTopic, message.PropRealQueueID, message.PropPopCheckpoint:
		a.foreign = true
	default:
		return false
	}
	return true
}

// Aliases are other names of the properties that schedule and cancel, as clients of older clouds write them. The second one is remembered
// rather than documented by its vendor.
var DefaultAliases = map[string]string{
	"__STARTDELIVERTIME":     message.PropTimerDeliverMillis,
	"__CANCEL_SCHEDULED_MSG": message.PropTimerDelUniqKey,
}

// Aliased are the names for which there may be others.
var Aliased = []string{message.PropTimerDelaySec, message.PropTimerDelayMillis, message.PropTimerDeliverMillis, message.PropTimerDelUniqKey}

// aliases finds what a name stands for. Most names are none of them, which their length tells.
type aliases struct {
	names   map[string][]byte
	lengths uint64
}

func newAliases(names map[string]string) (a aliases) {
	a.names = map[string][]byte{}
	for n, is := range names {
		a.names[n] = []byte(is)
		a.lengths |= 1 << (len(n) & 63)
	}
	return a
}

func (a *aliases) may(name []byte) bool { return a.lengths&(1<<(len(name)&63)) != 0 }

// timed says that it is not to be delivered at once.
func (a *asked) timed() bool {
	return a.level != nil || a.delaySec != nil || a.delayMillis != nil || a.deliverMillis != nil || a.cancel != nil
}

// plan is when a message is to be delivered, and where it waits until then.
type plan struct {
	due   int64 // ms; 0: at once
	topic string
	queue int32
}

// planOf reads the properties in RocketMQ's order (org.apache.rocketmq.broker.util.HookUtils): a level wins over TIMER_*, then
// TIMER_DELAY_SEC, TIMER_DELAY_MS and TIMER_DELIVER_MS. What is due already is delivered at once, and what was fired before, like a dead
// letter that was once delayed.
func (s *Service) planOf(a *asked, now int64) (plan, *Error) {
	if a.level != nil {
		level, err := number(message.PropDelay, a.level)
		if err != nil || level < 0 {
			return plan{}, Refuse(CodeMessageIllegal, "the message is illegal: delay level [%.40s]; from 1 to %d are possible, 0 is no delay", a.level, len(s.opts.DelayLevels))
		}
		if level > 0 {
			level = min(level, int64(len(s.opts.DelayLevels)))
			return plan{now + s.opts.DelayLevels[level-1].Milliseconds(), timer.ScheduleTopic, int32(level - 1)}, nil
		}
	}
	if a.fired {
		return plan{}, nil
	}
	due, err := dueOf(a, now)
	if err != nil {
		return plan{}, err
	}
	if limit := s.opts.MaxDelay.Milliseconds(); due-now > limit {
		return plan{}, Refuse(CodeMessageIllegal, "timer message illegal, the delay time should not be bigger than the max delay %dms: it is due at %d, in %dms", limit, due, due-now)
	}
	if due <= now {
		return plan{}, nil
	}
	return plan{due, timer.WheelTopic, 0}, nil
}

// dueOf is the time that TIMER_* properties name, ms; 0: none.
func dueOf(a *asked, now int64) (int64, *Error) {
	for _, p := range []struct {
		name  string
		value []byte
		unit  int64
	}{{message.PropTimerDelaySec, a.delaySec, 1000}, {message.PropTimerDelayMillis, a.delayMillis, 1}, {message.PropTimerDeliverMillis, a.deliverMillis, 0}} {
		if p.value == nil {
			continue
		}
		n, err := number(p.name, p.value)
		if err != nil {
			return 0, err
		}
		if p.unit == 0 {
			return n, nil
		}
		if n > (math.MaxInt64-now)/p.unit {
			return math.MaxInt64, nil
		}
		return now + n*p.unit, nil
	}
	return 0, nil
}

func number(name string, value []byte) (int64, *Error) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0, Refuse(CodeMessageIllegal, "timer message illegal: %s [%.40s] is not a whole number", name, value)
	}
	return n, nil
}

// park makes a draft one that waits in a parking topic until it is due. Its due time is its last property, 13 digits: the shard may have
// to raise it. What the broker sets itself must not be among its properties. The properties that are added go into scratch, which is given
// back, perhaps grown.
func (s *Service) park(d *message.Draft, it *shard.Item, w plan, scratch []byte) ([]byte, *Error) {
	scratch = s.hide(d, it, w.topic, w.queue, scratch)
	scratch = append(append(scratch, message.PropTimerOutMillis...), message.NameEnd)
	scratch = append(timer.AppendDue(scratch, w.due), message.ValueEnd)
	d.More, it.Due = scratch, w.due
	return scratch, propertiesFit(d)
}

// hide puts a draft into one of the broker's own topics, from which it comes out again into its real one.
func (s *Service) hide(d *message.Draft, it *shard.Item, topic string, queue int32, scratch []byte) []byte {
	scratch = append(append(append(scratch[:0], d.More...), message.PropRealTopic...), message.NameEnd)
	scratch = append(append(append(scratch, it.Queue.Topic...), message.ValueEnd), message.PropRealQueueID...)
	scratch = append(strconv.AppendInt(append(scratch, message.NameEnd), int64(it.Queue.ID), 10), message.ValueEnd)
	d.More, d.Topic, d.QueueID = scratch, []byte(topic), queue
	it.Queue = s.shard.Index().Lookup(topic).Queue(queue)
	return scratch
}

func propertiesFit(d *message.Draft) *Error {
	if n := len(d.Properties) + len(d.More) + 1; n > message.MaxProperties {
		return Refuse(CodeMessageIllegal, "the message is illegal: msg properties length limit %dB, with what the broker adds these have %dB", message.MaxProperties, n)
	}
	return nil
}

// RecallHandle is what a producer gives to cancel a scheduled message (org.apache.rocketmq.common.producer.RecallMessageHandle).
func RecallHandle[S string | []byte](topic S, broker string, due int64, uniqKey S) string {
	var plain, coded [256]byte
	b := append(append(append(append(plain[:0], "v1 "...), topic...), ' '), broker...)
	b = append(strconv.AppendInt(append(b, ' '), due, 10), ' ')
	return string(base64.URLEncoding.AppendEncode(coded[:0], append(b, uniqKey...)))
}

// RecallBroker is the broker group that a handle names.
func RecallBroker(handle string) (string, error) {
	r, err := parseRecall(handle)
	if err != nil {
		return "", err
	}
	return r.broker, nil
}

// recall is a handle taken apart.
type recall struct {
	topic, broker, uniqKey string
	due                    int64
}

// parseRecall refuses what RecallHandle did not make, with RocketMQ's texts.
func parseRecall(handle string) (recall, *Error) {
	raw, err := base64.URLEncoding.DecodeString(handle)
	if err != nil {
		raw, err = base64.RawURLEncoding.DecodeString(handle)
	}
	parts := strings.Split(string(raw), " ")
	if err != nil || len(parts) < 5 || parts[0] != "v1" {
		return recall{}, Refuse(CodeIllegalOperation, "recall handle is invalid")
	}
	due, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil {
		return recall{}, Refuse(CodeIllegalOperation, "recall failed, timestamp invalid")
	}
	return recall{parts[1], parts[2], parts[4], due}, nil
}
