package shard

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/timer"
)

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
		case message.PropTimerOutMillis:
			out = value
		}
	}
	due, ok := timer.ParseDue(out)
	if !ok || len(topic) == 0 {
		return timer.Entry{}, false
	}
	return timer.Entry{Due: due, Pos: pos, Key: timer.KeyHash(topic, uniqKey), Size: uint32(len(v)), Sum: crc32.Checksum(v, castagnoli)}, true
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

// errLost is a parked message that decayed on the only disk that had it.
var errLost = errors.New("the message is damaged, and there is no other copy of it")

// besideMax is how many bytes of messages that lie side by side are read at once.
const besideMax = 256 << 10

// parkedReader reads parked messages where they are. In a storm many lie side by side.
type parkedReader struct {
	s   *Shard
	raw []byte // what was read last
	pos int64  // from there
}

// read gives the bytes of the first of some entries; they are good until the next read.
func (r *parkedReader) read(entries []timer.Entry) ([]byte, error) {
	e := &entries[0]
	if at := e.Pos - r.pos; at >= 0 && at+int64(e.Size) <= int64(len(r.raw)) {
		return r.raw[at:][:e.Size], nil
	}
	n := int(e.Size)
	for _, next := range entries[1:] {
		if next.Pos != e.Pos+int64(n) || n+int(next.Size) > besideMax {
			break
		}
		n += int(next.Size)
	}
	var err error
	if r.raw, err = r.s.Message(r.raw, e.Pos, n); err != nil {
		r.raw = r.raw[:0]
		return nil, err
	}
	r.pos = e.Pos
	return r.raw[:e.Size], nil
}

// message is the first of some entries' message. Reading a message checks nothing, but what is stored again gets new checksums, on every member: so
// it must be what was parked. What is not is mended from the other members, and read again later.
func (r *parkedReader) message(entries []timer.Entry) (message.View, error) {
	s, e := r.s, &entries[0]
	raw, err := r.read(entries)
	if err != nil {
		return nil, err
	}
	if crc32.Checksum(raw, castagnoli) == e.Sum || s.opts.Planted.TrustParked {
		v, err := message.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("parked message at position %d: %w", e.Pos, err)
		}
		return v, nil
	}
	if s.onlyCopy() {
		return nil, errLost
	}
	damage := &seglog.CorruptError{Reason: "checksum of a parked message"}
	for _, seg := range s.log.Segments() {
		if e.Pos >= seg.FirstPos && e.Pos < seg.EndPos {
			damage.Segment, damage.Offset = seg.Name, e.Pos-seg.FirstPos+seglog.SegmentHeaderSize
		}
	}
	s.damaged(damage)
	return nil, damage
}

// What is parked must be due behind everything that is fired before it is applied, or a fire would pass over it, and it would never be
// delivered. So what is formed is due behind all that the leader has looked for, and the leader looks only for what is due before all that
// is formed and not applied.

// mayFire is up to which time, ms, the loop may look now for what is due. What is parked from here on is due behind now.
func (s *Shard) mayFire(now int64) (upTo int64) {
	s.lookedFor = max(s.lookedFor, now)
	upTo = now
	for _, p := range s.inflight {
		if p.due != 0 && !s.opts.Planted.FireFormed {
			upTo = min(upTo, p.due-1)
		}
	}
	return upTo
}

// noteFire sees each command that comes into an entry.
func (s *Shard) noteFire(k entry.Kind, body []byte) {
	if k != entry.KindTimerFire {
		return
	}
	if f, err := entry.DecodeTimerFire(body); err == nil {
		s.lookedFor = max(s.lookedFor, f.To.Due)
	}
}

// raiseDue gives a parked message that comes into an entry a due time behind all that was looked for.
func (s *Shard) raiseDue(p *proposal, it *Item, stored []byte) {
	if it.Due <= s.lookedFor && !s.opts.Planted.KeepDue {
		it.Due = s.lookedFor + 1
		timer.PutDue(stored[it.DueAt:], it.Due)
	}
	if p.due == 0 || it.Due < p.due {
		p.due = it.Due
	}
}

// applyTimer applies a fire, a roll or a cancel. A cancel that comes too late changes nothing: the order of the log decides.
func (s *Shard) applyTimer(k entry.Kind, body []byte) error {
	switch k {
	case entry.KindTimerRoll:
		return s.applyRoll(body)
	case entry.KindTimerFire:
		f, err := entry.DecodeTimerFire(body)
		if err != nil {
			return err
		}
		return s.timers.Fire(f.From, f.To, f.Count)
	}
	c, _, err := entry.DecodeTimerCancel(body)
	if err == nil {
		_ = s.timers.Cancel(c)
	}
	return err
}
