package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/txn"
)

// In every third run some producers send half messages and end them: once, twice, with a commit and a rollback that race, late, for another
// group, or never, because they died. The leader checks what is open, and whichever producer of the group is asked answers what it likes; some
// halves nobody knows of, and an operator decides or they are given up. txns_log.go holds the log against the rules, and the answers against the log.

const (
	txnProducers = 2
	txnName      = "x" // names of these messages begin with it
	txnTopic     = "payments"
	txnQueues    = 2
)

// txnSettings are RocketMQ's, some twenty times as fast.
var txnSettings = txn.Settings{TimeoutMillis: 300, IntervalMillis: 500, ChecksMax: 3, MaxAgeMillis: 8000}

// txns is all about transactions.
type txns struct {
	w *world
	dice
	log     txnLog
	flying  flying
	sent    map[string]*half
	acked   []*half
	answers []endAnswer
	deletes bool // the real topic is deleted now and then
}

// half is a half message as its producer knows it.
type half struct {
	id       string
	group    string
	tries    int
	immunity int64 // s
	offset   int64 // as answered
	position int64
	orphan   bool // no producer knows of it any more
}

type txnProducer struct {
	t     *txns
	group string
	next  int
	again []*half // of which it is not known whether they are stored
}

// endAnswer is what who wished to end a transaction was told.
type endAnswer struct {
	wish txn.Wish
	half *half // as the producer knows it; nil: who wished knows it from the broker
	err  error
}

func (w *world) addTxns() {
	if !w.has(FocusTxns, 1, 4) {
		return
	}
	t := &txns{w: w, dice: dice{rand.New(rand.NewPCG(w.conf.Seed, 0x2bc))}, flying: flying{}, sent: map[string]*half{}}
	t.log.init(t)
	w.machines = append(w.machines, t)
	for i := range txnProducers {
		p := &txnProducer{t: t, group: fmt.Sprintf("%sg%d", txnName, i)}
		p.loop()
	}
	t.deletes = t.chance(25)
}

func (p *txnProducer) loop() {
	longest := 500 * milli
	if p.t.w.conf.Focus == FocusTxns {
		longest = 150 * milli
	}
	p.t.w.after(p.t.between(20*milli, int64(longest)), func() {
		if !p.t.w.stopped {
			p.step()
			p.loop()
		}
	})
}

func (p *txnProducer) step() {
	m := p.t.w.anyLeader()
	if m == nil {
		return
	}
	topics := m.has(txn.HalfTopic, 1)
	topics = m.has(txn.ParkTopic, 1) && topics
	if m.has(txnTopic, txnQueues) && topics {
		for range p.t.between(1, 3) {
			p.submit(m, p.pick())
		}
	}
	m.turn()
}

func (p *txnProducer) pick() *half {
	if len(p.again) > 0 && p.t.chance(50) {
		h := p.again[0]
		p.again = p.again[1:]
		return h
	}
	p.next++
	h := &half{id: fmt.Sprintf("%s-%d", p.group, p.next), group: p.group, orphan: p.t.chance(15)}
	if p.t.chance(20) {
		h.immunity = p.t.between(1, 2)
	}
	p.t.sent[h.id] = h
	return h
}

// submit sends a half message.
func (p *txnProducer) submit(m *member, h *half) {
	t := p.t
	h.tries++
	b := &shard.Batch{Done: func(b *shard.Batch) { t.flying.lands(m); p.stored(h, b) }}
	b.Put(shard.Item{Queue: m.shard.Index().Lookup(txn.HalfTopic).Queue(0)}, t.draft(h))
	t.flying.takes(m)
	m.shard.Submit(b)
}

// draft is a half message as the service stores it.
func (t *txns) draft(h *half) *message.Draft {
	props := message.AppendProperty(nil, message.PropUniqKey, h.id)
	props = message.AppendProperty(props, message.PropTranMsg, "true")
	props = message.AppendProperty(props, message.PropProducerGroup, h.group)
	if h.immunity > 0 {
		props = message.AppendProperty(props, txn.PropImmunity, strconv.FormatInt(h.immunity, 10))
	}
	props = message.AppendProperty(props, message.PropRealTopic, txnTopic)
	props = message.AppendProperty(props, message.PropRealQueueID, strconv.Itoa(t.IntN(txnQueues)))
	return &message.Draft{
		Topic: []byte(txn.HalfTopic), Body: []byte(h.id + " " + strings.Repeat("x", t.IntN(300))), Properties: props,
		BornTime: t.Int64N(1 << 40), BornHost: host, StoreHost: host,
	}
}

func (p *txnProducer) stored(h *half, b *shard.Batch) {
	t := p.t
	switch {
	case b.Err == nil:
		h.offset, h.position = b.Items[0].Offset, b.Items[0].Position
		t.w.covered(Halves)
		known := *h
		t.acked = append(t.acked, &known)
		t.decide(&known)
	case definite(b.Err):
		if h.tries--; h.tries < t.log.copies[h.id] {
			t.w.violate("half message %s was refused (%v) and is stored", h.id, b.Err)
		}
		p.again = append(p.again, h)
	case t.chance(50):
		p.again = append(p.again, h)
	}
}

// decide is what a producer does with a half message that is stored: it ends it, or dies before.
func (t *txns) decide(h *half) {
	if h.orphan {
		if t.chance(30) {
			t.operate(h)
		}
		return
	}
	var ends []entry.TxnDecision
	switch n := t.IntN(100); {
	case n < 40:
		ends = []entry.TxnDecision{entry.TxnCommit}
	case n < 55:
		ends = []entry.TxnDecision{entry.TxnRollback}
	case n < 75: // both, in whatever order
		ends = []entry.TxnDecision{entry.TxnCommit, entry.TxnRollback}
	}
	for _, d := range ends {
		for again := true; again; again = t.chance(30) {
			t.endLater(h, d)
		}
	}
}

// operate has an operator decide what nobody knows of.
func (t *txns) operate(h *half) {
	w := txn.Wish{Offset: h.offset, Position: h.position, Decision: entry.TxnCommit, How: entry.TxnByAdmin}
	if t.chance(50) {
		w.Decision = entry.TxnRollback
	}
	t.w.after(t.between(0, 3*second), func() { t.endAnywhere(w, h) })
}

func (t *txns) endLater(h *half, d entry.TxnDecision) {
	w := txn.Wish{Offset: h.offset, Position: h.position, Group: h.group, Decision: d, How: entry.TxnByProducer}
	switch n := t.IntN(40); n {
	case 0:
		w.Group = "another"
	case 1:
		w.Position++
	}
	longest := 300 * milli
	if t.chance(20) {
		longest = 3 * second
	}
	t.w.after(t.between(0, int64(longest)), func() { t.endAnywhere(w, h) })
}

func (t *txns) endAnywhere(wish txn.Wish, h *half) {
	m := t.w.anyLeader()
	if m == nil || t.w.stopped {
		return
	}
	t.end(m, wish, h)
	m.turn()
	for _, other := range t.w.members { // who heard no answer asks another one that says to lead
		if other != m && other.leads() && t.chance(70) {
			t.end(other, wish, h)
			other.turn()
		}
	}
}

// end is what the service does with the wish to end a transaction.
func (t *txns) end(m *member, wish txn.Wish, h *half) {
	answer := func(err error) { t.answered(m, endAnswer{wish, h, err}) }
	open, again, err := m.shard.Txn().CanEnd(m.millis(), txnSettings.TimeoutMillis, &wish)
	if again {
		answer(nil)
		return
	}
	b := &shard.Batch{Done: func(b *shard.Batch) { t.flying.lands(m); answer(b.Err) }}
	if err != nil {
		b.Deed = m.shard.RefuseEnd(&wish, txnSettings.TimeoutMillis)
	} else {
		b.Deed = m.shard.EndDeed(&wish, "", txnSettings.TimeoutMillis)
		if wish.Decision != entry.TxnRollback && !t.becomes(m, b, &open, wish.Decision) {
			return
		}
	}
	t.flying.takes(m)
	m.shard.Submit(b)
	if t.deletes && t.chance(3) { // just when a message is about to come into it; a producer makes it again
		t.w.say("%s is asked to delete topic %s", m, txnTopic)
		m.shard.Command(entry.KindTopicDelete, []byte(txnTopic))
	}
}

// becomes appends what becomes of a half message; false: it cannot be read, or its topic is gone.
func (t *txns) becomes(m *member, b *shard.Batch, open *txn.Half, d entry.TxnDecision) bool {
	v, err := m.shard.HalfMessage(open)
	if err != nil {
		return false
	}
	draft, err := txn.Ended(v, d)
	if err != nil {
		t.w.violate("%s: %v", m, err)
		return false
	}
	to := m.shard.Index().Lookup(string(draft.Topic))
	if to == nil {
		return false
	}
	b.Put(shard.Item{Queue: to.Queue(draft.QueueID)}, &draft)
	return true
}

// tend asks about what is undecided, and gives up what nobody decided.
func (t *txns) tend(m *member) {
	check, give, _ := m.shard.Txn().Due(m.millis(), txnSettings, 64)
	for i := range give {
		h := &give[i]
		t.end(m, *txnSettings.GiveUp(h), nil)
	}
	for i := range check {
		h := check[i]
		t.flying.takes(m)
		m.shard.Submit(&shard.Batch{
			Deed: m.shard.CheckDeed(entry.TxnCheck{Offset: h.Offset, Times: h.Checks + 1, Group: h.Group}),
			Done: func(b *shard.Batch) {
				if t.flying.lands(m); b.Err == nil {
					t.asked(m, &h)
				}
			},
		})
	}
}

// asked is a check, which any producer of the group answers, or nobody.
func (t *txns) asked(m *member, h *txn.Half) {
	t.w.covered(HalfChecks)
	if t.log.asked(h); t.w.current(m) {
		t.log.judgeAsked(h)
	}
	if a := t.sent[t.log.idOf(h.Offset)]; a == nil || a.orphan {
		return
	}
	d := entry.TxnCommit
	switch n := t.IntN(100); {
	case n < 40:
		return
	case n < 60:
		d = entry.TxnRollback
	}
	wish := txn.Wish{Offset: h.Offset, Position: h.Position, Group: h.Group, Decision: d, How: entry.TxnByCheck}
	t.w.after(t.between(0, 700*milli), func() { t.endAnywhere(wish, nil) })
}

func (t *txns) answered(m *member, says endAnswer) {
	var refused *txn.Refusal
	switch {
	case says.err == nil, errors.Is(says.err, txn.ErrDecided):
		t.w.covered(EndsDone)
	case errors.As(says.err, &refused):
		t.w.covered(EndsRefused)
	default:
		return // it was not decided, or nobody knows
	}
	if t.w.current(m) {
		t.log.judge(&says)
	}
	t.answers = append(t.answers, says)
}

func (t *txns) lost(m *member) { delete(t.flying, m) }

func (t *txns) rests(l *member) bool { return len(t.flying) == 0 && !t.log.anyDue(l.millis()) }
