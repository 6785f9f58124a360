package trail

import (
	"strings"

	"github.com/contrailmq/contrail/broker/message"
)

// Timings of a stored copy: what it waits for, or came of.
const (
	TimingParked = "parked" // it waits in a parking topic until it is due
	TimingRolled = "rolled" // as parked: the broker stored it again in its parking topic before retention would have removed the copy before
	TimingFired  = "fired"  // the broker stored it again in its real topic, because it was due

	TimingHalf      = "half"      // it waits in the half topic for what its producer decides
	TimingDiscarded = "discarded" // a half message that nobody decided, moved to the topic of such
)

// Parking topics: of delay levels, and of every other due time.
const (
	ScheduleTopic = "SCHEDULE_TOPIC_XXXX"
	WheelTopic    = "rmq_sys_wheel_timer"
)

// Topics of transactions.
const (
	HalfTopic    = "RMQ_SYS_TRANS_HALF_TOPIC"
	DiscardTopic = "TRANS_CHECK_MAX_TIME_TOPIC"
)

// Parks says whether messages of a topic wait there until they are due.
func Parks(topic string) bool { return topic == ScheduleTopic || topic == WheelTopic }

// Prefixes of the topics that belong to a group.
const (
	RetryPrefix = "%RETRY%"
	DeadPrefix  = "%DLQ%"
)

// Parked says that a copy waits, or waited, in a parking topic.
func (m *Message) Parked() bool { return m.Timing == TimingParked || m.Timing == TimingRolled }

// Hidden says that a copy stands in a topic of the broker's, and no group is handed it there.
func (m *Message) Hidden() bool {
	return m.Parked() || m.Timing == TimingHalf || m.Timing == TimingDiscarded
}

// Committed says that a copy was made of a half message by its commit; retries and dead letters of such a one keep the mark.
func (m *Message) Committed() bool {
	return m.SysFlag&message.FlagTxMask == message.FlagTxCommit && m.Owner() == ""
}

// Destination is the topic that a copy is in, or waits for.
func (m *Message) Destination() string {
	if m.Hidden() {
		return m.RealTopic
	}
	return m.Topic
}

// UserTopic is the topic that people know the message by: where it was sent, or what the group consumed that it is a retry or a dead
// letter of.
func (m *Message) UserTopic() string {
	if m.OriginTopic != "" {
		return m.OriginTopic
	}
	return m.Destination()
}

// Owner is the group whose retry or dead letter a copy is; "" for others.
func (m *Message) Owner() string {
	if m.PopGroup != "" {
		return m.PopGroup
	}
	to := m.Destination()
	if g, ok := strings.CutPrefix(to, RetryPrefix); ok {
		return g
	}
	if g, ok := strings.CutPrefix(to, DeadPrefix); ok {
		return g
	}
	return ""
}

// PropOriginGroup is the group that popped what is retried, RocketMQ's name.
const PropOriginGroup = "ORIGIN_GROUP"

// TakePopGroup keeps PopGroup, as the property said it, for a copy that stands in a pop retry topic, %RETRY%group_topic, and what the group
// consumed. Others may have the property: what was a retry and was sent on.
func (m *Message) TakePopGroup() {
	if m.PopGroup == "" {
		return
	}
	rest, ok := strings.CutPrefix(m.Topic, RetryPrefix)
	if ok {
		rest, ok = strings.CutPrefix(rest, m.PopGroup)
	}
	if ok {
		rest, ok = strings.CutPrefix(rest, "_")
	}
	if !ok {
		m.PopGroup = ""
	} else if m.OriginTopic == "" {
		m.OriginTopic = rest
	}
}

// TransactionTiming is the timing of a copy in a topic of transactions; "" for others.
func (m *Message) TransactionTiming() string {
	switch {
	case m.RealTopic == "":
	case m.Topic == HalfTopic:
		return TimingHalf
	case m.Topic == DiscardTopic:
		return TimingDiscarded
	}
	return ""
}

// Dead says that a copy is a dead letter.
func (m *Message) Dead() bool { return strings.HasPrefix(m.Topic, DeadPrefix) }

// LateMicros is how long after its due time a fired copy was stored; 0 for others.
func (m *Message) LateMicros() int64 {
	if m.Timing != TimingFired {
		return 0
	}
	return max(0, m.AppendedMicros-m.DueMicros)
}
