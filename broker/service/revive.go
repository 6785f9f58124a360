package service

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/contrailmq/contrail/broker/beat"
	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/shard"
)

// Revivals (org.apache.rocketmq.broker.processor.PopReviveService). The leader copies messages that were popped and not acknowledged in
// time into the pop retry topic of their group, at once, or to its dead letters when they were popped too often. One deed takes what is
// over in one queue; the copies and the record that takes the messages out of their leases stand in one entry.

// Limits of revivals.
const (
	reviveEvery  = 100 * time.Millisecond
	reviveIdle   = time.Second // while nothing is in flight
	reviveLeases = 256         // that one look at the plan gives
	reviveDeeds  = 4           // on their way: the messages of more are not read yet
	reviveMax    = 1000        // messages of one deed
	reviveQueue  = 0           // of a retry topic or dead-letter queue
)

// Properties of copies in a pop retry topic (MessageConst).
const (
	propFirstPop    = "1ST_POP_TIME" // when the message was popped first, ms
	propOriginGroup = "ORIGIN_GROUP" // which group popped it
)

// revive looks for leases that are over, while this member leads, until the service ends.
func (s *Service) revive() {
	defer s.leads.ended.Done()
	tick := beat.NewTicker(reviveEvery)
	defer tick.Stop()
	led := false
	for {
		select {
		case <-tick.C:
		case <-s.leads.stop:
			return
		}
		if !s.shard.Leads() {
			if led {
				s.shard.Deliveries().Forget()
			}
			led = false
			tick.Rest(reviveIdle)
			continue
		}
		led = true
		if s.reviveDue() {
			tick.Rest(reviveEvery)
		} else {
			tick.Rest(reviveIdle)
		}
	}
}

// reviveDue makes one round; flying: something is in flight.
func (s *Service) reviveDue() (flying bool) {
	for {
		over, free, next := s.shard.Deliveries().Due(nowMicros()/1000, reviveLeases)
		for _, k := range free {
			s.pops.tell(k.Group, k.Topic)
		}
		slices.SortStableFunc(over, func(a, b delivery.Lease) int {
			return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.QueueID, b.QueueID))
		})
		for len(over) > 0 {
			n := 1
			for n < len(over) && over[n].Key == over[0].Key {
				n++
			}
			s.reviveIn(over[:n])
			over = over[n:]
		}
		if ended(s.leads.stop) || next == 0 || next > nowMicros()/1000 {
			return next != 0
		}
	}
}

func ended(stop chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// reviveIn revives what is over in one queue.
func (s *Service) reviveIn(leases []delivery.Lease) {
	k := leases[0].Key
	g, ok := s.shard.Catalog().Group(k.Group)
	if !ok { // its leases go with it
		return
	}
	for len(leases) > 0 {
		r := &revival{s: s, key: k, group: g, from: s.shard.StoredReader()}
		var err error
		if leases, err = r.fill(leases); err != nil {
			s.opts.Log.Warn("messages that were not acknowledged in time wait: they could not be copied", "group", k.Group, "topic", k.Topic, "queue", k.QueueID, "err", err)
			return
		}
		select {
		case s.pops.reviving <- struct{}{}:
			r.submit()
		case <-s.leads.stop:
			return
		}
	}
}

// revival is one deed.
type revival struct {
	s     *Service
	key   delivery.Key
	group catalog.Group
	out   shard.Revival
	from  *shard.StoredReader
}

// fill takes leases up to the limits of a deed, and gives those that are left.
func (r *revival) fill(leases []delivery.Lease) ([]delivery.Lease, error) {
	messages := 0
	for i := range leases {
		l := &leases[i]
		if messages += len(l.Offsets); i > 0 && (messages > reviveMax || len(r.out.Buf) >= shard.EntryBytes) {
			return leases[i:], nil
		}
		r.out.Lease(l)
		for m, offset := range l.Offsets {
			if len(r.out.Buf) >= shard.EntryBytes && len(r.out.Items) > 0 { // the rest of the lease comes with the next deed
				l.Offsets = l.Offsets[m:]
				return leases[i:], nil
			}
			if err := r.copyOf(l, offset); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// copyOf appends the copy of a message.
func (r *revival) copyOf(l *delivery.Lease, offset int64) error {
	v, err := r.read(offset)
	if err != nil {
		return err
	}
	if v == nil { // retention dropped it
		r.out.Drop(offset)
		return nil
	}
	to := delivery.Route(v.ReconsumeTimes(), r.group.RetryMaxTimes, 0)
	topic := r.key.Topic
	if topic == originOf(topic, r.key.Group) {
		topic = PopRetryTopic(topic, r.key.Group)
	}
	run := r.s.revivedProperties(v, l)
	if to == entry.ToDeadLetter {
		topic, run = DeadPrefix+r.key.Group, r.s.deadProperties(v, originOf(r.key.Topic, r.key.Group))
	}
	q, err := r.s.ownQueue(topic)
	if err != nil {
		return err
	}
	d := message.DraftOf(v)
	d.Topic, d.QueueID, d.Properties, d.More, d.SysFlag = []byte(topic), q.ID, run, r.s.more, v.SysFlag()&^message.FlagTxMask
	d.StoreHost, d.ReconsumeTimes, d.PreparedOffset = r.s.opts.StoreHost, v.ReconsumeTimes()+1, 0
	r.out.Copy(offset, to, shard.Item{Queue: q, ReceivedMicros: nowMicros()}, &d)
	return nil
}

// read gives a message of the queue, nil when it is gone.
func (r *revival) read(offset int64) (message.View, error) {
	t := r.s.shard.Index().Lookup(r.key.Topic)
	if t == nil {
		return nil, nil
	}
	q := t.Queue(r.key.QueueID)
	rows, err := q.Rows(nil, offset, 1)
	if err == nil && len(rows) > 0 {
		var v message.View
		if v, err = r.from.Message(rows[0].Pos, int32(rows[0].Size)); err == nil {
			return v, nil
		}
	}
	if from, _, _ := q.Bounds(); offset < from {
		return nil, nil
	}
	if err == nil {
		err = errMoved
	}
	return nil, err
}

// revivedProperties are those of a copy in the retry topic: the message's own, and of which message it is a copy.
func (s *Service) revivedProperties(v message.View, l *delivery.Lease) []byte {
	run := message.Without(v.Properties(), s.moreNames...)
	run = message.Without(run, message.PropPopCheckpoint)
	if v.ReconsumeTimes() == 0 || message.Property(run, propFirstPop) == nil {
		run = message.AppendProperty(message.Without(run, propFirstPop), propFirstPop, strconv.FormatInt(l.PopMillis, 10))
	}
	run = message.AppendProperty(message.Without(run, propOriginGroup), propOriginGroup, l.Group)
	if message.Property(run, message.PropOriginMsgID) == nil {
		run = message.AppendProperty(run, message.PropOriginMsgID, string(message.AppendOffsetID(nil, v.StoreHost(), v.Position())))
	}
	return run
}

// deadProperties are those of a dead letter. A message that came from the retry topic has its own topic's name.
func (s *Service) deadProperties(v message.View, origin string) []byte {
	run := message.Without(s.backProperties(v, 0, true), message.PropRetryTopic, message.PropPopCheckpoint)
	return message.AppendProperty(run, message.PropRetryTopic, origin)
}

// ownQueue is where copies go; the topic is made when it is needed first.
func (s *Service) ownQueue(topic string) (*queue.Queue, error) {
	if _, ok := s.shard.Catalog().Topic(topic); !ok {
		if err := s.createFor(&SendHeader{Topic: []byte(topic)}); err != nil {
			return nil, err
		}
	}
	t := s.shard.Index().Lookup(topic)
	if t == nil {
		return nil, topicMissing(topic)
	}
	return t.Queue(reviveQueue), nil
}

// submit proposes what is still to do when the deed is formed.
func (r *revival) submit() {
	d := r.s.shard.Revive(r.key, &r.out)
	holds := d.Holds
	d.Holds = func(now int64) error {
		if r.s.resetUnderWay(r.key) {
			return shard.ErrNothingOver
		}
		return holds(now)
	}
	r.out.Done = func(b *shard.Batch) { r.ended(b.Err) }
	r.s.shard.Submit(&r.out.Batch)
}

// ended wakes who waits for what came back. What could not be stored is tried again when the plan names the lease again.
func (r *revival) ended(err error) {
	<-r.s.pops.reviving
	if err == nil {
		r.s.pops.tell(r.key.Group, originOf(r.key.Topic, r.key.Group))
		return
	}
	if errors.Is(err, shard.ErrNothingOver) || errors.Is(err, shard.ErrNotLeader) || errors.Is(err, context.Canceled) {
		return
	}
	r.s.opts.Log.Warn("messages that were not acknowledged in time could not be copied; it is tried again", "group", r.key.Group, "topic", r.key.Topic, "queue", r.key.QueueID, "err", err)
}
