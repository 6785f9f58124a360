package service

import (
	"errors"
	"slices"
	"strconv"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/shard"
)

// Outcomes of a resend.
const (
	OutcomeResent  = "resent"
	OutcomeAlready = "already" // somebody resent it before; its copy is there
	OutcomeMissing = "missing" // there is no such dead letter, or not any more
)

// resentMax bounds the copies of one letter that are looked at, the newest first.
const resentMax = 64

// letters is the queue of a group's dead letters; nil: it has none.
func (s *Service) letters(group string) *queue.Queue {
	if t := s.shard.Index().Lookup(DeadPrefix + group); t != nil {
		return t.Find(0)
	}
	return nil
}

// DeadLetters lists a group's dead letters of this broker group from an offset on.
func (s *Service) DeadLetters(group string, from int64, limit int) (list inspect.DeadLetterList, refused *Error) {
	list.Letters = []inspect.DeadLetter{}
	if _, ok := s.shard.Catalog().Group(group); !ok {
		return list, groupMissing(group)
	}
	q := s.letters(group)
	if q == nil {
		return list, nil
	}
	list.First, list.End, _ = q.Bounds()
	for at := max(from, list.First); at < list.End && len(list.Letters) < min(limit, WaitingMax); at++ {
		v, err := s.letter(q, at)
		if err != nil {
			return list, s.unreadable(err)
		}
		if v == nil {
			break
		}
		list.Letters = append(list.Letters, s.deadLetter(group, at, v))
	}
	return list, nil
}

// letter reads one; nil: retention took it.
func (s *Service) letter(q *queue.Queue, offset int64) (message.View, error) {
	if first, end, _ := q.Bounds(); offset < first || offset >= end {
		return nil, nil
	}
	rows, err := q.Rows(nil, offset, 1)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return s.stored(rows[0].Pos, int(rows[0].Size))
}

func (s *Service) deadLetter(group string, offset int64, v message.View) inspect.DeadLetter {
	run := v.Properties()
	d := inspect.DeadLetter{
		Broker: s.opts.Broker, Group: group, Offset: offset, Topic: text(run, message.PropRetryTopic), Origin: text(run, message.PropOriginMsgID),
		UniqKey: text(run, message.PropUniqKey), Keys: text(run, message.PropKeys), Tags: text(run, message.PropTags), Attempts: v.ReconsumeTimes(),
		Stored: v.StoreTime(), Born: v.BornTime(), Position: v.Position(), Bytes: int32(v.BodySize()),
	}
	if copied := s.resent(group, v); copied != nil {
		d.Resent = copied.StoreTime()
	}
	return d
}

// letterID names a dead letter on the copy that is resent: its offset message id.
func letterID(v message.View) string {
	return string(message.AppendOffsetID(nil, v.StoreHost(), v.Position()))
}

// resent finds the copy of a letter that was resent first; nil: there is none. Retries of that copy name the letter, too.
func (s *Service) resent(group string, letter message.View) (copied message.View) {
	id := letterID(letter)
	for _, topic := range []string{RetryPrefix + group, PopRetryTopic(text(letter.Properties(), message.PropRetryTopic), group)} {
		_ = s.shard.Index().Find(topic, id, resentMax, func(pos int64) (bool, bool) {
			v, err := s.at(pos)
			if err != nil || text(v.Properties(), message.PropResentFrom) != id {
				return false, true
			}
			copied = v
			return true, true
		})
		if copied != nil {
			return copied
		}
	}
	return nil
}

// retryTopicOf is where a group looks for what is given to it again: that of the topic if it pops, else its own. What it does now counts; while nobody is
// there, whether it has ever had one of the topic.
func (s *Service) retryTopicOf(group, topic string) string {
	popped := PopRetryTopic(topic, group)
	online := false
	for _, c := range s.membership().Clients() {
		if slices.Contains(c.ConsumerOf, group) {
			if online = true; c.Protocol == protocolGRPC {
				return popped
			}
		}
	}
	if g, ok := s.membership().Group(group); ok && online {
		if g.ConsumeType == consumesByPop {
			return popped
		}
		return RetryPrefix + group
	}
	if _, ok := s.shard.Catalog().Topic(popped); ok && topic != "" {
		return popped
	}
	return RetryPrefix + group
}

// EnsurePopRetryTopic makes the topic in which a group that pops finds again what it could not consume.
func (s *Service) EnsurePopRetryTopic(topic, group string) error {
	_, err := s.ownQueue(PopRetryTopic(originOf(topic, group), group))
	return err
}

const (
	protocolGRPC  = "grpc" // such clients pop
	consumesByPop = "CONSUME_POP"
)

// errResent ends a deed whose letter was resent before.
var errResent = errors.New("the dead letter was resent before")

// Resend gives a dead letter to its group again, with all its attempts before it, and to nobody else: it goes to the retry topic that the group reads.
// A letter that was resent before is not, unless again is set. by says who asked. done is called once, and must not block.
func (s *Service) Resend(group string, offset int64, again bool, by string, done func(inspect.Resent, *Error)) {
	r := inspect.Resent{Broker: s.opts.Broker, Offset: offset, Outcome: OutcomeMissing}
	if _, ok := s.shard.Catalog().Group(group); !ok {
		done(r, groupMissing(group))
		return
	}
	q := s.letters(group)
	if q == nil {
		done(r, nil)
		return
	}
	v, err := s.letter(q, offset)
	if err != nil || v == nil {
		done(r, s.unreadable(err))
		return
	}
	topic := s.retryTopicOf(group, text(v.Properties(), message.PropRetryTopic))
	if _, ok := s.shard.Catalog().Topic(topic); !ok && topic != RetryPrefix+group {
		go func() { // it waits for the log
			if _, err := s.ownQueue(topic); err != nil {
				done(r, s.refuse(err))
				return
			}
			s.resend(group, topic, v, again, by, r, done)
		}()
		return
	}
	s.resend(group, topic, v, again, by, r, done)
}

func (s *Service) resend(group, topic string, v message.View, again bool, by string, r inspect.Resent, done func(inspect.Resent, *Error)) {
	b := s.resendBatch(group, topic, v, by)
	if b == nil {
		done(r, Refuse(CodeTopicNotExist, "topic[%s] not exist: the group keeps no retries", topic))
		return
	}
	b.Deed = &shard.Deed{Keys: []uint64{letterKey(group, r.Offset)}, Holds: func(int64) error {
		if old := s.resent(group, v); old != nil && !again {
			r.At, r.CopyAt, r.Topic = old.StoreTime(), old.Position(), string(old.Topic())
			return errResent
		}
		return nil
	}}
	b.Done = func(b *shard.Batch) {
		switch {
		case errors.Is(b.Err, errResent):
			r.Outcome = OutcomeAlready
			done(r, nil)
		case b.Err != nil:
			done(r, s.refuse(b.Err))
		default:
			r.Outcome, r.At, r.CopyAt, r.Topic = OutcomeResent, nowMicros()/1000, b.Items[0].Position, b.Items[0].Queue.Topic
			s.happened("dead-letter-resent", text(v.Properties(), message.PropRetryTopic), group, "the dead letter at offset "+strconv.FormatInt(r.Offset, 10)+" was resent by "+by)
			s.pops.tell(group, originOf(topic, group))
			done(r, nil)
		}
	}
	s.shard.Submit(b)
}

func (s *Service) resendBatch(group, topic string, v message.View, by string) *shard.Batch {
	t := s.shard.Index().Lookup(topic)
	if t == nil {
		return nil
	}
	run := message.Without(v.Properties(), append(s.moreNames[:len(s.moreNames):len(s.moreNames)], brokersOwn...)...)
	run = message.Without(run, message.PropDelay, message.PropWait, message.PropResentFrom, message.PropResentBy)
	if topic != RetryPrefix+group { // a pop retry topic's name does not tell where the group's ends
		run = message.AppendProperty(message.Without(run, propOriginGroup), propOriginGroup, group)
	}
	run = message.AppendProperty(run, message.PropResentFrom, letterID(v))
	run = message.AppendProperty(run, message.PropResentBy, by)
	d := message.DraftOf(v)
	d.Topic, d.Properties, d.More, d.StoreHost, d.ReconsumeTimes = []byte(t.Name), run, s.more, s.opts.StoreHost, 0
	b := &shard.Batch{}
	b.Put(shard.Item{Queue: t.Queue(0), ReceivedMicros: nowMicros()}, &d)
	return b
}

type letterOf struct {
	group  string
	offset int64
}

func letterKey(group string, offset int64) uint64 { return shard.KeyOf(letterOf{group, offset}) }
