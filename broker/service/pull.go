package service

import (
	"encoding/binary"
	"errors"
	"sync"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/shard"
)

// Limits of one answer.
const (
	pullMessages = 32        // default of MaxMessages
	pullMax      = 160       // RocketMQ's pullBatchMaxMessageCount
	pullBytes    = 256 << 10 // a first message may be larger
	pullScan     = 16_000    // rows looked at when a filter lets little through
	evaluateScan = 4 << 20   // bytes of messages that one pull looks at with SQL92; one message may be larger
	evaluateRun  = 256 << 10 // of them read at a time
	rowsAtATime  = 64
	bodyKeep     = 1 << 20
	suspendMax   = 120_000 // ms
)

// pull is one request on its way; it may be held and tried again.
type pull struct {
	req      *PullRequest
	done     func(*PullResult)
	filter   *filter
	queue    *queue.Queue
	identity Identity
	next     int64 // first offset not looked at
	filtered int
	skipped  []int64
	rows     []queue.Row
	looked   int     // bytes of messages evaluated for this answer
	sent     []int64 // offsets from next on that the group sent back: it gets their copies

	heldSince int64 // µs; 0 not held
	held
	due bool // time is up
}

var bodies = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}

func putBody(b *[]byte) {
	if cap(*b) <= bodyKeep {
		*b = (*b)[:0]
		bodies.Put(b)
	}
}

// Pull answers through done, at once or after long polling; done is called exactly once and must not block for long. The
// request must not be changed after the call.
func (s *Service) Pull(req *PullRequest, done func(*PullResult)) {
	p, err := s.checkPull(req)
	if err != nil {
		done(&PullResult{Code: err.Code, Remark: err.Text})
		return
	}
	p.done = done
	if !req.Follower && req.SysFlag&PullCommitOffset != 0 && req.CommitOffset > 0 && req.Group != "" {
		s.CommitOffset(entry.Offset{
			Group: req.Group, Topic: req.Topic, QueueID: req.QueueID, Offset: req.CommitOffset, Client: p.identity.ClientID, AtMicros: nowMicros(),
		}, nil)
	}
	s.pulled(p)
	if r := s.try(p); r != nil {
		done(r)
		return
	}
	s.polls.hold(p)
}

// checkPull is RocketMQ's order of checks (rocketmq.md 6.2).
func (s *Service) checkPull(req *PullRequest) (*pull, *Error) {
	if err := s.checkPullGroup(req); err != nil {
		return nil, err
	}
	e, ok := s.shard.Catalog().Topic(req.Topic)
	if !ok && req.Follower {
		return nil, Refuse(CodeServiceNotAvailable, "this member of the broker group %s does not know the topic [%s], and cannot ask the leader whether there is one", s.opts.Broker, req.Topic)
	}
	if !ok {
		return nil, Refuse(CodeTopicNotExist, "topic[%s] not exist, apply first please! See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.", req.Topic)
	}
	if e.Perm&catalog.PermRead == 0 {
		return nil, Refuse(CodeNoPermission, "the topic[%s] pulling message is forbidden", req.Topic)
	}
	if req.QueueID < 0 || req.QueueID >= e.ReadQueues {
		return nil, Refuse(CodeInvalidParameter, "queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d] consumer:[%s]", req.QueueID, req.Topic, e.ReadQueues, req.Group)
	}
	f, err := s.filterOf(req.ExpressionType, req.Subscription)
	if err != nil {
		return nil, err
	}
	if req.MaxMessages <= 0 {
		req.MaxMessages = pullMessages
	}
	req.MaxMessages = min(req.MaxMessages, pullMax)
	if req.MaxBytes <= 0 || req.MaxBytes > pullBytes {
		req.MaxBytes = pullBytes
	}
	req.SuspendMillis = min(max(req.SuspendMillis, 0), suspendMax)
	p := &pull{req: req, filter: f, queue: s.topicQueues(e).Queue(req.QueueID), next: req.Offset, held: held{at: -1}}
	if req.Client != nil {
		p.identity = req.Client.Identity()
	}
	return p, nil
}

func (s *Service) checkPullGroup(req *PullRequest) *Error {
	if req.Peek {
		return nil
	}
	g, known := s.Group(req.Group)
	if !known && req.Follower && s.opts.AutoCreateGroup {
		return nil // the leader will make it
	}
	if !known {
		made, err := s.makeGroup(req.Group)
		if made == nil && err == nil || err.NotLed() || err != nil && errors.Is(err.Cause, shard.ErrNoSpace) {
			return nil // voted out a moment ago; or reads go on while nothing, and so no new group, can be stored
		}
		if err != nil {
			return err
		}
		g = *made
	}
	if !g.ConsumeEnable {
		return Refuse(CodeNoPermission, "subscription group no permission, %s", req.Group)
	}
	if !g.ConsumeBroadcastEnable && req.SysFlag&PullSubscription == 0 {
		if m, online := s.membership().Group(req.Group); online && m.Model == "BROADCASTING" {
			return Refuse(CodeNoPermission, "the consumer group[%s] can not consume by broadcast way", req.Group)
		}
	}
	return nil
}

// try gives the answer, or nil when the request is to be held.
func (s *Service) try(p *pull) *PullResult {
	from, end, _ := p.queue.Bounds()
	r := &PullResult{MinOffset: from, MaxOffset: end, NextBegin: p.next}
	if p.heldSince > 0 {
		r.WaitedMicros = nowMicros() - p.heldSince
	}
	if at, ok := s.resetOf(p); ok {
		r.Code, r.NextBegin, r.Remark = CodePullOffsetMoved, at, "the group's offset was reset"
		return r
	}
	switch {
	case p.req.Follower && (p.next < from || p.next > end): // this member lags, or began later than the leader: it must not move the client
		return s.nothing(p, r)
	case p.next < from:
		r.Code, r.NextBegin, r.Remark = CodePullOffsetMoved, from, movedUp
		return r
	case p.next > end:
		r.Code, r.NextBegin, r.Remark = CodePullOffsetMoved, end, "the offset is beyond the end of the queue"
		return r
	}
	if p.next < end {
		s.sentBackOf(p)
		if err := s.collect(p, r); err != nil {
			if now, end, _ := p.queue.Bounds(); p.next < now { // retention took it while it was read
				r.Release()
				return &PullResult{Code: CodePullOffsetMoved, Remark: movedUp, MinOffset: now, MaxOffset: end, NextBegin: now, WaitedMicros: r.WaitedMicros}
			}
			s.opts.Log.Error("pull failed", "topic", p.req.Topic, "queue", p.req.QueueID, "offset", p.next, "err", err)
			r.Release()
			return &PullResult{Code: CodeSystemError, Remark: "the broker could not read the messages, see its log", MinOffset: from, MaxOffset: end, NextBegin: p.req.Offset}
		}
		if r.Messages > 0 {
			r.Code = CodeSuccess
			s.delivered(p, r)
			return r
		}
	}
	r.NextBegin = p.next
	if p.looked < evaluateScan { // else its client asks again at once: who looks at much must not keep the poll workers
		r = s.nothing(p, r)
	}
	if r != nil && p.next > p.req.Offset {
		r.Code = CodePullRetryImmediately // the client goes on behind what was filtered out
		s.delivered(p, r)                 // that nothing matched is why the group did not get it
	}
	return r
}

// nothing holds the request, or says that there is nothing new.
func (s *Service) nothing(p *pull, r *PullResult) *PullResult {
	if p.mayWait() && !s.leaderCame(p) {
		return nil
	}
	r.Code = CodePullNotFound
	return r
}

// leaderCame says that a request that is answered for want of a leader has one to be answered by.
func (s *Service) leaderCame(p *pull) bool {
	return p.req.Follower && !p.req.LeaderAway && s.Leader() != 0
}

func (p *pull) mayWait() bool {
	return !p.due && p.req.SysFlag&PullSuspend != 0 && p.req.SuspendMillis > 0
}

// collect reads matching messages from p.next on.
func (s *Service) collect(p *pull, r *PullResult) error {
	body := bodies.Get().(*[]byte)
	r.buffer = body
	scanned := 0
	p.looked = 0
	for scanned < pullScan && r.Messages < int(p.req.MaxMessages) {
		var err error
		if p.rows, err = p.queue.Rows(p.rows[:0], p.next, rowsAtATime); err != nil {
			return err
		}
		if len(p.rows) == 0 {
			break
		}
		scanned += len(p.rows)
		if len(p.sent) > 0 && p.passSent() {
			continue
		}
		var full bool
		if p.filter.sql == nil {
			full, err = s.copyRows(p, r, body)
		} else {
			full, err = s.copyEvaluated(p, r, body)
		}
		if err != nil {
			return err
		}
		if full {
			break
		}
	}
	r.Body, r.NextBegin = *body, p.next
	if r.Messages == 0 {
		r.Release()
	}
	return nil
}

// copyRows appends the matching ones of p.rows to the body; messages that lie side by side in the log are read in one go.
func (s *Service) copyRows(p *pull, r *PullResult, body *[]byte) (full bool, err error) {
	rows := p.rows
	for i := 0; i < len(rows); {
		if !p.filter.matches(rows[i].TagHash) {
			p.skip()
			i++
			continue
		}
		j, size := i, 0
		for j < len(rows) && p.filter.matches(rows[j].TagHash) && r.Messages+j-i < int(p.req.MaxMessages) {
			if j > i && rows[j].Pos != rows[j-1].Pos+int64(rows[j-1].Size) {
				break
			}
			if n := len(*body) + size + int(rows[j].Size); n > int(p.req.MaxBytes) && (len(*body) > 0 || j > i) {
				full = true
				break
			}
			size += int(rows[j].Size)
			j++
		}
		if j == i {
			return true, nil
		}
		if err := s.readRun(rows[i:j], size, body); err != nil {
			return false, err
		}
		r.Messages += j - i
		p.next += int64(j - i)
		i = j
		if full || r.Messages >= int(p.req.MaxMessages) {
			return true, nil
		}
	}
	return false, nil
}

// sentBackOf looks up what the request's group sent back of what it is about to look at.
func (s *Service) sentBackOf(p *pull) {
	if p.sent = p.sent[:0]; s.shard.Deliveries().AnySentBack() && !p.req.Peek {
		k := delivery.Key{Group: p.req.Group, Topic: p.req.Topic, QueueID: p.req.QueueID}
		p.sent = s.shard.Deliveries().SentBackIn(p.sent, k, p.next, p.next+pullScan+rowsAtATime)
	}
}

// passSent passes over the next message if it was sent back; true: it was. Else the rows end before the next one that was.
func (p *pull) passSent() bool {
	for len(p.sent) > 0 && p.sent[0] < p.next {
		p.sent = p.sent[1:]
	}
	if len(p.sent) == 0 {
		return false
	}
	if n := p.sent[0] - p.next; n < int64(len(p.rows)) {
		if p.rows = p.rows[:n]; n == 0 {
			p.skip()
			return true
		}
	}
	return false
}

func (p *pull) skip() {
	p.filtered++
	if len(p.skipped) < skippedMax {
		p.skipped = append(p.skipped, p.next)
	}
	p.next++
}

const movedUp = "the offset is too small: messages before the first one kept are gone"

var errMoved = errors.New("what lies at the position is not the message")

// readRun appends consecutive messages to the body and checks that each is where its row says.
func (s *Service) readRun(rows []queue.Row, size int, body *[]byte) error {
	at := len(*body)
	if err := s.readBytes(rows[0].Pos, size, body); err != nil {
		return err
	}
	b := *body
	for _, row := range rows {
		m := b[at : at+int(row.Size)]
		if !stands(m, row) || !whole(m) {
			return s.damaged(row.Pos)
		}
		at += int(row.Size)
	}
	return nil
}

// readBytes appends size bytes of the log to the body.
func (s *Service) readBytes(pos int64, size int, body *[]byte) error {
	b := *body
	at := len(b)
	if cap(b)-at < size {
		b = append(make([]byte, 0, max(2*cap(b), at+size)), b...)
	}
	b = b[:at+size]
	*body = b
	if err := s.shard.ReadAt(b[at:], pos); err != nil {
		*body = b[:at]
		return err
	}
	return nil
}

// stands says that m is the message of which the row speaks.
func stands(m []byte, row queue.Row) bool {
	return binary.BigEndian.Uint32(m) == row.Size && int64(binary.BigEndian.Uint64(m[28:])) == row.Pos
}

func (s *Service) damaged(pos int64) error {
	s.suspect(pos)
	return &seglog.CorruptError{Segment: s.opts.Dir, Offset: pos, Reason: errMoved.Error()}
}

// whole says that a message's body is the one that was stored: clients do not check it.
func whole(b []byte) bool {
	v, err := message.Parse(b)
	return err == nil && v.Whole()
}

// suspect has the entry at pos read with its checksum: a log that is damaged is mended from the other members.
func (s *Service) suspect(pos int64) {
	index, _, err := s.shard.Contains(pos)
	if err == nil {
		_, err = s.shard.Read(index, 1, func(entry.Record) error { return nil })
	}
	s.opts.Log.Error("a message cannot be read", "position", pos, "entry", index, "err", err)
}

func (s *Service) delivered(p *pull, r *PullResult) {
	s.messageOut.Add(int64(r.Messages))
	s.bytesOut.Add(int64(len(r.Body)))
	if p.req.Peek {
		return
	}
	if r.Messages > 0 {
		s.out.add(p.req.Topic, p.req.Group, r.Messages, len(r.Body))
	}
	if s.opts.Delivered == nil {
		return
	}
	s.opts.Delivered(&Delivery{
		Client: p.req.Client, Identity: p.identity, Group: p.req.Group, Topic: p.req.Topic, Subscription: p.req.Subscription,
		QueueID: p.req.QueueID, From: p.req.Offset, To: p.next, Messages: r.Messages, Filtered: p.filtered, Skipped: p.skipped,
		Bytes: len(r.Body), RequestedMicros: p.req.ReceivedMicros, SentMicros: nowMicros(), WaitedMicros: r.WaitedMicros,
	})
}

// pulled is who asked last for a queue of a group, for the console.
type pulled struct {
	Client string
	Offset int64
	Millis int64
}

func (s *Service) pulled(p *pull) {
	if p.req.Peek {
		return
	}
	k := offset.Key{Group: p.req.Group, Topic: p.req.Topic, QueueID: p.req.QueueID}
	s.lastPulls.Store(k, pulled{p.identity.ClientID, p.req.Offset, nowMicros() / 1000})
}
