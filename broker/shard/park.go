package shard

import (
	"fmt"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/timer"
)

// propOut is when a parked message is due, ms, in timer.DueDigits digits.
const propOut = "TIMER_OUT_MS"

// Timers are the parked messages as applied.
func (s *Shard) Timers() *timer.Table { return s.timers }

// parkedEntry is the timer's entry of a message that stands at pos in a parking topic. It is not ok without a real topic or without a due time:
// such a message is stored and never fires.
func parkedEntry(v message.View, pos int64) (e timer.Entry, ok bool) {
	var topic, uniqKey, out []byte
	for run := v.Properties(); ; {
		name, value, rest, more := message.NextProperty(run)
		if !more {
			break
		}
		switch run = rest; string(name) { // the last of equal names wins, as in Java's map
		case message.PropRealTopic:
			topic = value
		case message.PropUniqKey:
			uniqKey = value
		case propOut:
			out = value
		}
	}
	due, ok := timer.ParseDue(out)
	if !ok || len(topic) == 0 {
		return timer.Entry{}, false
	}
	return timer.Entry{Due: due, Pos: pos, Key: timer.KeyHash(topic, uniqKey), Size: uint32(len(v))}, true
}

// park notes that a message of a parking topic was applied.
func (s *Shard) park(v message.View, pos int64) error {
	e, ok := parkedEntry(v, pos)
	if !ok {
		s.opts.Log.Error("a parked message has no real topic or no due time: it is never delivered", "topic", string(v.Topic()), "position", pos)
		s.event("timer-lost", fmt.Sprintf("the message at position %d in [%s] has no real topic or no due time: it is never delivered", pos, v.Topic()))
		return nil
	}
	return s.timers.Park(s.writer.Seq(), e)
}

// applyTimer applies a fire or a cancel. A cancel that comes too late changes nothing: the order of the log decides.
func (s *Shard) applyTimer(k entry.Kind, body []byte) error {
	if k == entry.KindTimerFire {
		f, err := entry.DecodeTimerFire(body)
		if err != nil {
			return err
		}
		return s.timers.Fire(f.From, f.To, f.Count)
	}
	c, err := entry.DecodeTimerCancel(body)
	if err == nil {
		_ = s.timers.Cancel(c)
	}
	return err
}
