package timer

import (
	"cmp"
	"fmt"
)

// Parking topics (org.apache.rocketmq.common.topic.TopicValidator and org.apache.rocketmq.store.timer.TimerMessageStore).
const (
	ScheduleTopic = "SCHEDULE_TOPIC_XXXX" // delay levels; queue = level - 1
	WheelTopic    = "rmq_sys_wheel_timer" // every other due time
)

// A parked message has its due time, ms, as a property of a fixed width, so that the leader can raise it in place when it forms the entry.
const (
	DueDigits = 13
	DueMax    = 9_999_999_999_999 // ms; the year 2286
)

// Parks says whether messages of a topic are parked.
func Parks(topic string) bool { return topic == ScheduleTopic || topic == WheelTopic }

// Entry is what is kept of one parked message.
type Entry struct {
	Due  int64  // ms
	Pos  int64  // physical offset
	Key  uint64 // KeyHash of its real topic and UNIQ_KEY
	Size uint32 // bytes as stored
	Sum  uint32 // CRC-32C of them: they are stored again, and must be what they were
}

// Cursor is the place of an entry in the order in which they fire.
type Cursor struct {
	Due int64 // ms
	Pos int64
}

// Place is where the entry stands.
func (e *Entry) Place() Cursor { return Cursor{e.Due, e.Pos} }

// Compare orders by due time, then by position.
func (c Cursor) Compare(d Cursor) int {
	return cmp.Or(cmp.Compare(c.Due, d.Due), cmp.Compare(c.Pos, d.Pos))
}

// Before says that c comes before d.
func (c Cursor) Before(d Cursor) bool { return c.Due < d.Due || c.Due == d.Due && c.Pos < d.Pos }

func (c Cursor) String() string { return fmt.Sprintf("due %d at position %d", c.Due, c.Pos) }

// KeyHash is FNV-1a over real topic, '+' and UNIQ_KEY, finished with a mix: fixed, because it is on disk. RocketMQ names a message to be
// recalled in the same way (TimerMessageStore.buildDeleteKey).
func KeyHash(topic, uniqKey []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range topic {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h = (h ^ '+') * 1099511628211
	for _, c := range uniqKey {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 32
	return h * 0x9E3779B97F4A7C15
}

// AppendDue appends a due time's digits. due is between 1 and DueMax: callers refuse others.
func AppendDue(dst []byte, due int64) []byte {
	n := len(dst)
	dst = append(dst, "0000000000000"...)
	PutDue(dst[n:], due)
	return dst
}

// PutDue writes a due time over the first DueDigits bytes of b.
func PutDue(b []byte, due int64) {
	for i := DueDigits - 1; i >= 0; i-- {
		b[i] = byte('0' + due%10)
		due /= 10
	}
}

// ParseDue reads what AppendDue wrote; nothing else is ok, nor is a due time of 0.
func ParseDue(b []byte) (due int64, ok bool) {
	if len(b) != DueDigits {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		due = due*10 + int64(c-'0')
	}
	return due, due > 0
}
