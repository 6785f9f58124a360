package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/timer"
)

// In every third run a group consumes a topic, queue by queue, and fails many messages: it sends them back (code 36) until it is told that
// they are, and commits past them then. It asks again after an answer that it did not hear, with whoever leads then, now and then after one that it did
// hear; it dies and begins where it committed; and when it was refused too often it sends a copy to its retry topic itself, as RocketMQ's
// client does. backs_log.go holds the log against the rules.

const (
	backName     = "j" // names of these messages begin with it
	backTopic    = "jobs"
	backGroup    = "jg"
	backRetry    = "%RETRY%" + backGroup
	backDead     = "%DLQ%" + backGroup
	backTimes    = 3 // retries of a message
	backPatience = 1500 * milli
)

// backs is all about what is sent back.
type backs struct {
	w *world
	dice
	log       backLog
	flying    flying
	consumers []*backConsumer
	direct    map[attempt]int // copies that a consumer sent itself, and that may be stored
	answers   []backAnswer
}

// attempt is a message that was retried so often.
type attempt struct {
	id    string
	times int32
}

// backAnswer is a message of which somebody was told that it is sent back.
type backAnswer struct {
	queue  backQueue
	offset int64
}

type backQueue struct {
	topic string
	id    int32
}

// backConsumer consumes one queue, one message after the other.
type backConsumer struct {
	b      *backs
	queue  backQueue
	cursor int64 // to consume next; < 0: to be read from the broker
	ask    *backAsk
	tries  int // to send the next message back
}

// backAsk is what a consumer waits for.
type backAsk struct {
	m       *member
	life    int
	at      int64
	barrier <-chan error // before an offset is read
	err     error
	ended   bool
}

func (w *world) addBacks() {
	if !w.has(FocusBacks, 2, 4) {
		return
	}
	b := &backs{w: w, dice: dice{rand.New(rand.NewPCG(w.conf.Seed, 0x36))}, flying: flying{}, direct: map[attempt]int{}}
	b.log.init(b)
	w.machines = append(w.machines, b)
	for i := range int32(queues) {
		b.consume(backQueue{backTopic, i})
	}
	b.consume(backQueue{backRetry, 0})
}

func (b *backs) consume(q backQueue) {
	c := &backConsumer{b: b, queue: q, cursor: -1}
	b.consumers = append(b.consumers, c)
	c.loop()
}

func (c *backConsumer) loop() {
	c.b.w.after(c.b.between(10*milli, 150*milli), func() {
		c.step()
		c.loop()
	})
}

func (c *backConsumer) step() {
	b := c.b
	if c.ask != nil {
		c.hear()
		return
	}
	m := b.w.anyLeader()
	if m == nil {
		return
	}
	if !b.topics(m) {
		m.turn()
		return
	}
	if b.chance(4) && !b.w.stopped { // it dies, and another one goes on
		c.cursor, c.tries = -1, 0
	}
	if c.cursor < 0 {
		c.ask = &backAsk{m: m, life: m.life, at: b.w.now, barrier: m.shard.Barrier()}
		m.turn()
		return
	}
	c.look(m)
}

func (b *backs) topics(m *member) bool {
	all := m.has(timer.ScheduleTopic, levels)
	all = m.has(backRetry, 1) && all
	return m.has(backDead, 1) && all
}

func (c *backConsumer) key() delivery.Key {
	return delivery.Key{Group: backGroup, Topic: c.queue.topic, QueueID: c.queue.id}
}

// look takes the next message, if there is one, and consumes it or sends it back.
func (c *backConsumer) look(m *member) {
	b := c.b
	t := m.shard.Index().Lookup(c.queue.topic)
	if t == nil || t.Find(c.queue.id) == nil {
		return
	}
	q := t.Find(c.queue.id)
	from, end, _ := q.Bounds()
	for ; c.cursor < from; c.cursor++ { // retention took it
		b.log.consumed(c.queue, c.cursor)
	}
	if c.cursor >= end {
		return
	}
	if sent := m.shard.Deliveries().SentBackIn(nil, c.key(), c.cursor, c.cursor+1); len(sent) > 0 && c.tries == 0 { // else it is in its consumer's hands
		b.w.covered(SentPassed)
		c.done(m)
		return
	}
	rows, err := q.Rows(nil, c.cursor, 1)
	if err != nil || len(rows) == 0 {
		return
	}
	v, err := m.message(rows[0].Pos, int32(rows[0].Size))
	switch {
	case err != nil:
	case c.tries == 0 && (b.w.stopped || !b.chance(40)):
		b.log.consumed(c.queue, c.cursor)
		c.done(m)
	case c.tries > 0 && !b.w.stopped && b.chance(5):
		c.sendItself(m, v)
	default:
		c.sendBack(m, v)
	}
}

// done goes on behind a message, and commits that.
func (c *backConsumer) done(m *member) {
	c.cursor++
	c.tries = 0
	if m.leads() {
		m.shard.NoteOffset(&entry.Offset{Group: backGroup, Topic: c.queue.topic, QueueID: c.queue.id, Offset: c.cursor, Client: "c", AtMicros: m.now().UnixMicro()})
	}
}

// sendBack is what the service does with code 36.
func (c *backConsumer) sendBack(m *member, v message.View) {
	b, level := c.b, int32(0)
	if b.chance(5) {
		level = -1
	}
	r := delivery.BackOf(v, backGroup, backTimes, level)
	batch := &shard.Batch{Deed: m.shard.SendBackDeed(&r)}
	b.put(m, batch, v, r.To == entry.ToDeadLetter)
	c.tries++
	says := backAnswer{c.queue, r.Offset}
	c.submit(m, batch, func(err error) {
		if err == nil || errors.Is(err, delivery.ErrSentBack) {
			b.told(m, says, err)
		}
	})
}

// told is an answer that a message is sent back, heard or not.
func (b *backs) told(m *member, says backAnswer, err error) {
	if b.w.covered(SentBackDone); err != nil {
		b.w.covered(SentBackAgain)
	}
	if b.answers = append(b.answers, says); b.w.current(m) {
		b.log.judge(says)
	}
}

func (c *backConsumer) submit(m *member, batch *shard.Batch, then func(error)) {
	ask := &backAsk{m: m, life: m.life, at: c.b.w.now}
	c.ask = ask
	batch.Done = func(batch *shard.Batch) {
		c.b.flying.lands(m)
		ask.ended, ask.err = true, batch.Err
		then(batch.Err)
	}
	c.b.flying.takes(m)
	m.shard.Submit(batch)
	m.turn()
}

// put appends the next copy of a message: one that waits for its time to be retried, or a dead letter.
func (b *backs) put(m *member, batch *shard.Batch, v message.View, dead bool) {
	d := message.DraftOf(v)
	d.ReconsumeTimes, d.PreparedOffset = v.ReconsumeTimes()+1, 0
	d.Properties = message.Without(d.Properties, message.PropRealTopic, message.PropRealQueueID, message.PropTimerOutMillis)
	name, level, it := backDead, int32(0), shard.Item{}
	if !dead {
		name, level, it.Due = timer.ScheduleTopic, b.Int32N(levels), m.millis()+b.between(20, 500)
		d.Properties = message.AppendProperty(d.Properties, message.PropRealTopic, backRetry)
		d.Properties = message.AppendProperty(d.Properties, message.PropRealQueueID, strconv.Itoa(0))
		d.Properties = message.AppendProperty(d.Properties, message.PropTimerOutMillis, string(timer.AppendDue(nil, it.Due)))
	}
	d.Topic, d.QueueID, it.Queue = []byte(name), level, m.shard.Index().Lookup(name).Queue(level)
	batch.Put(it, &d)
}

// sendItself is what RocketMQ's client does when code 36 fails: it sends the copy itself.
func (c *backConsumer) sendItself(m *member, v message.View) {
	b, batch, a := c.b, &shard.Batch{}, attempt{idOf(v), v.ReconsumeTimes() + 1}
	b.put(m, batch, v, delivery.RouteOwn(a.times, backTimes, false) == entry.ToDeadLetter)
	b.direct[a]++
	b.w.covered(SentItself)
	from := backAnswer{c.queue, v.QueueOffset()}
	c.submit(m, batch, func(err error) {
		switch {
		case err == nil:
			b.log.replaced(from)
		case definite(err):
			b.direct[a]--
		}
	})
}

// hear takes the answer to what was asked, if it came, and asks again if it does not come.
func (c *backConsumer) hear() {
	b, a := c.b, c.ask
	switch {
	case a.m.life != a.life || b.w.now-a.at > backPatience: // nobody will hear the answer
		c.ask = nil
	case a.barrier != nil:
		c.begin()
	case a.ended:
		c.ask = nil
		c.answered(a)
	}
}

func (c *backConsumer) answered(a *backAsk) {
	if a.err != nil && !errors.Is(a.err, delivery.ErrSentBack) {
		return
	}
	if replaced := c.b.log.isReplaced(backAnswer{c.queue, c.cursor}); replaced || !c.b.chance(15) { // else the answer is lost on its way
		c.done(a.m)
	}
}

// begin reads where the group is.
func (c *backConsumer) begin() {
	a := c.ask
	select {
	case err := <-a.barrier:
		if c.ask = nil; err != nil || !a.m.leads() {
			return
		}
		o, _ := a.m.shard.Offsets().Get(offset.Key(c.key()))
		c.cursor = o.Offset
	default:
	}
}

func (b *backs) tend(*member) {}

func (b *backs) lost(m *member) { delete(b.flying, m) }

// rests: everything is consumed, and nothing is due.
func (b *backs) rests(l *member) bool {
	for _, c := range b.consumers {
		if c.ask != nil || c.cursor < int64(len(b.log.copies[c.queue])) {
			return false
		}
	}
	return len(b.flying) == 0 && b.w.nothingDue(l)
}

func (q backQueue) String() string { return fmt.Sprintf("%s/%d", q.topic, q.id) }
