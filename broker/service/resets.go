package service

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/queue"
)

// Resets of offsets (org.apache.rocketmq.broker.offset.ConsumerOffsetManager, with useServerSideResetOffset).
//
// A reset stores the new offset, and leaves a mark. The next pull of that group and queue is answered with PULL_OFFSET_MOVED and the new
// offset, which takes the mark away; until then what the group commits is ignored, because it is about messages from before. So it works
// for groups that are offline, too.
//
// The stored offset says that it is a reset (offset.ResetBy), so a new leader, or this one after a restart, finds the marks again. It may
// find one that was taken away, when the group has not committed since: the group is then told twice, and gets messages again that it
// had not committed.
//
// Rejected: a mark in memory only, as RocketMQ has it. A change of leader before the group's next pull would lose it, and the next stale
// commit would undo a reset that was answered with success.

// Limits of a reset.
const (
	resetPatience = 10 * time.Second
	resetBytes    = 256 << 10 // of commits in one command
)

// resets is the marks of this leader. The zero value is ready.
type resets struct {
	term  atomic.Uint64 // for which the marks were looked up
	count atomic.Int64  // of marks and storing: 0 costs a pull nothing more

	mu      sync.Mutex
	marks   map[offset.Key]int64 // offset to tell the group
	storing map[offset.Key]int   // resets that are not stored yet
}

// any says whether there may be a mark. It looks them up when this member has begun to lead.
func (s *Service) anyReset() bool {
	if term := s.shard.Term(); s.resets.term.Load() != term {
		if !s.Leads() { // it may not have applied all yet
			return false
		}
		s.lookUpResets(term)
	}
	return s.resets.count.Load() > 0
}

func (s *Service) lookUpResets(term uint64) {
	r := &s.resets
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.term.Load() == term {
		return
	}
	r.marks = s.shard.Offsets().Resets()
	r.countLocked()
	r.term.Store(term)
}

func (r *resets) countLocked() { r.count.Store(int64(len(r.marks) + len(r.storing))) }

// ResetWaits says that a group's place was reset and the group does not know yet: what it commits is ignored.
func (s *Service) ResetWaits(group, topic string, queueID int32) bool {
	if !s.anyReset() {
		return false
	}
	k, r := offset.Key{Group: group, Topic: topic, QueueID: queueID}, &s.resets
	r.mu.Lock()
	defer r.mu.Unlock()
	_, marked := s.markLocked(k)
	return marked || r.storing[k] > 0
}

// markLocked finds a mark. One whose offset is gone went with its group or topic.
func (s *Service) markLocked(k offset.Key) (at int64, ok bool) {
	r := &s.resets
	if at, ok = r.marks[k]; !ok {
		return 0, false
	}
	if _, ok = s.shard.Offsets().Get(k); !ok {
		delete(r.marks, k)
		r.countLocked()
	}
	return at, ok
}

// resetOf takes the mark of a pull's place away.
func (s *Service) resetOf(p *pull) (at int64, ok bool) {
	if p.req.Follower || p.req.Peek || !s.anyReset() {
		return 0, false
	}
	k, r := p.key(), &s.resets
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok = s.markLocked(k); ok {
		delete(r.marks, k)
		r.countLocked()
	}
	return at, ok
}

// isReset says that a pull has something to be told.
func (s *Service) isReset(p *pull) bool {
	if p.req.Follower || p.req.Peek || !s.anyReset() {
		return false
	}
	s.resets.mu.Lock()
	defer s.resets.mu.Unlock()
	_, ok := s.markLocked(p.key())
	return ok
}

func (p *pull) key() offset.Key {
	return offset.Key{Group: p.req.Group, Topic: p.req.Topic, QueueID: p.req.QueueID}
}

// ResetRequest moves a group to another place in a topic (code 222).
type ResetRequest struct {
	Group, Topic string
	QueueID      int32  // < 0: all queues
	Offset       int64  // of one queue; < 0: by time
	Millis       int64  // store time; < 0: the queue's end
	By           string // who asks
}

// ResetPlace is what a reset means for one queue.
type ResetPlace struct {
	QueueID   int32 `json:"queueId"`
	Committed int64 `json:"committed"` // before; -1: none
	To        int64 `json:"to"`
	Min       int64 `json:"min"`
	Max       int64 `json:"max"`
	Again     int64 `json:"messagesAgain"`   // consumed so far, to be delivered once more
	Skipped   int64 `json:"messagesSkipped"` // not consumed so far, and never to be
	Oldest    int64 `json:"oldestMillis"`    // when the first of these was stored; 0: there is none
	Newest    int64 `json:"newestMillis"`    // when the last was
}

// PlanReset says what a reset would do, queue by queue, and does nothing.
func (s *Service) PlanReset(q ResetRequest) ([]ResetPlace, *Error) {
	if err := s.refuseToLead(); err != nil {
		return nil, err
	}
	e, ok := s.shard.Catalog().Topic(q.Topic)
	if !ok {
		return nil, Refuse(CodeTopicNotExist, "Topic %s does not exist", q.Topic)
	}
	if _, ok := s.shard.Catalog().Group(q.Group); !ok {
		return nil, Refuse(CodeSubscriptionGroupMissing, "Group %s does not exist", q.Group)
	}
	ids := []int32{q.QueueID}
	if q.QueueID < 0 {
		ids = ids[:0]
		for id := range e.ReadQueues {
			ids = append(ids, id)
		}
	}
	var out []ResetPlace
	for _, id := range ids {
		p, err := s.resetPlace(q, id)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, Refuse(CodeSystemError, "No queues to reset.")
	}
	return out, nil
}

func (s *Service) resetPlace(q ResetRequest, id int32) (p ResetPlace, err *Error) {
	at, err := s.queueOf(q.Topic, id)
	if err != nil {
		return p, err
	}
	p = ResetPlace{QueueID: id, Committed: -1}
	p.Min, p.Max, _ = at.Bounds()
	switch {
	case q.QueueID >= 0 && q.Offset >= 0:
		if p.To = q.Offset; p.To < p.Min || p.To > p.Max+1 {
			return p, Refuse(CodeSystemError, "Target offset %d not in consume queue range [%d-%d]", q.Offset, p.Min, p.Max)
		}
		p.To = min(p.To, p.Max)
	case q.Millis < 0:
		p.To = p.Max
	default:
		if p.To, err = s.resetTime(at, q.Millis); err != nil {
			return p, err
		}
	}
	c, ok := s.shard.Offsets().Get(offset.Key{Group: q.Group, Topic: q.Topic, QueueID: id})
	if !ok { // nobody knows where the group would begin
		return p, nil
	}
	p.Committed = c.Offset
	return p, s.compare(&p, at)
}

// resetTime is the offset of the first message that was not stored before a time; the queue's end when all were.
func (s *Service) resetTime(q *queue.Queue, millis int64) (int64, *Error) {
	from, end, _ := q.Bounds()
	if from == end {
		return end, nil
	}
	if last, err := s.storeTime(q, end-1); err != nil || last < millis {
		return end, err
	}
	at, err := q.OffsetByTime(millis, false)
	return at, s.unreadable(err)
}

// compare says which messages lie between what the group has committed and where it goes.
func (s *Service) compare(p *ResetPlace, q *queue.Queue) (err *Error) {
	committed := min(max(p.Committed, p.Min), p.Max)
	p.Again, p.Skipped = max(0, committed-p.To), max(0, p.To-committed)
	if from, to := min(committed, p.To), max(committed, p.To); from < to {
		if p.Oldest, err = s.storeTime(q, from); err == nil {
			p.Newest, err = s.storeTime(q, to-1)
		}
	}
	return err
}

// ResetOffsets moves a group (code 222). It returns when the new offsets are stored.
func (s *Service) ResetOffsets(q ResetRequest) ([]ResetPlace, *Error) {
	places, err := s.PlanReset(q)
	if err != nil {
		return nil, err
	}
	commits := make([]entry.Offset, 0, len(places))
	now := nowMicros()
	for _, p := range places {
		commits = append(commits, entry.Offset{
			Group: q.Group, Topic: q.Topic, QueueID: p.QueueID, Offset: p.To, Client: offset.ResetBy(q.By), AtMicros: now,
		})
	}
	if !s.roomFor(commits) {
		return nil, Refuse(CodeSystemError, "offsets of group [%s] not reset: there are %d offsets, which is the limit", q.Group, offset.Max)
	}
	s.anyReset() // the marks of this term are looked up
	s.resets.begin(commits)
	stored := s.storeCommits(entry.KindOffsetReset, commits)
	s.resets.end(commits, stored == nil)
	if stored != nil {
		return nil, stored
	}
	for i := range commits {
		s.settleReset(&commits[i])
	}
	s.happened("reset", q.Topic, q.Group, fmt.Sprintf("%d queues, by %s", len(places), q.By))
	return places, nil
}

func (s *Service) roomFor(commits []entry.Offset) bool {
	return !slices.ContainsFunc(commits, func(o entry.Offset) bool { return !s.shard.Offsets().Room(keyOf(&o)) })
}

func keyOf(o *entry.Offset) offset.Key {
	return offset.Key{Group: o.Group, Topic: o.Topic, QueueID: o.QueueID}
}

// begin has the group's commits ignored from now on.
func (r *resets) begin(commits []entry.Offset) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.storing == nil {
		r.storing = map[offset.Key]int{}
	}
	for i := range commits {
		r.storing[keyOf(&commits[i])]++
	}
	r.countLocked()
}

// end leaves the marks of what was stored.
func (r *resets) end(commits []entry.Offset, stored bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range commits {
		k := keyOf(&commits[i])
		if r.storing[k]--; r.storing[k] <= 0 {
			delete(r.storing, k)
		}
		if stored {
			if r.marks == nil {
				r.marks = map[offset.Key]int64{}
			}
			r.marks[k] = commits[i].Offset
		}
	}
	r.countLocked()
}

// storeCommits stores commits in as few commands as their limit allows.
func (s *Service) storeCommits(kind entry.Kind, commits []entry.Offset) *Error {
	ctx, cancel := context.WithTimeout(context.Background(), resetPatience)
	defer cancel()
	var body []byte
	for i := range commits {
		body = entry.AppendOffset(body, &commits[i])
		if i < len(commits)-1 && len(body) < resetBytes {
			continue
		}
		if err := s.refuse(s.shard.Do(ctx, kind, body)); err != nil {
			return err
		}
		body = nil
	}
	return nil
}

// settleReset makes the reset the last word: a commit that a client had made before may have been on its way to the log. Then it wakes
// who waits for the queue's messages.
func (s *Service) settleReset(o *entry.Offset) {
	if c, ok := s.shard.Offsets().Get(keyOf(o)); ok && c.Offset != o.Offset {
		s.shard.NoteOffset(o)
	}
	if q, err := s.queueOf(o.Topic, o.QueueID); err == nil {
		s.polls.moved(q, o.Group)
	}
}

// moved looks again at the requests that a group waits with at a queue.
func (p *polls) moved(q *queue.Queue, group string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r := range p.byQueue[q] {
		if r.req.Group == group {
			p.removeLocked(r)
			p.readyLocked(r)
		}
	}
}

// CloneOffsets gives a group another one's places (code 314): in one topic, or with "" in all. What wanted says no to is left out. It
// gives the number of places.
func (s *Service) CloneOffsets(from, to, topic, by string, wanted func(topic string) bool) (int, *Error) {
	if err := s.refuseToLead(); err != nil {
		return 0, err
	}
	if err := checkName("group", to, GroupMax); err != nil {
		return 0, err
	}
	var commits []entry.Offset
	now := nowMicros()
	for _, c := range s.shard.Offsets().Group(from) {
		if topic != "" && c.Topic != topic || !wanted(c.Topic) {
			continue
		}
		if _, ok := s.shard.Catalog().Topic(c.Topic); ok {
			commits = append(commits, entry.Offset{Group: to, Topic: c.Topic, QueueID: c.QueueID, Offset: c.Offset, Client: "clone of " + from + " by " + by, AtMicros: now})
		}
	}
	if !s.roomFor(commits) {
		return 0, Refuse(CodeSystemError, "offsets of group [%s] not cloned: there are %d offsets, which is the limit", to, offset.Max)
	}
	if err := s.storeCommits(entry.KindOffsets, commits); err != nil {
		return 0, err
	}
	if len(commits) > 0 {
		s.happened("reset", topic, to, fmt.Sprintf("%d queues as group %s has them, by %s", len(commits), from, by))
	}
	return len(commits), nil
}
