package derive

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/tracing/trail"
)

// Options name who derives.
type Options struct {
	Broker string // broker group's name
	Node   string // of the notes
	// LedBy is the node that led the broker group in a term, "" when that is not known. nil: it was Node.
	LedBy func(term uint64) string
}

// TraceTopic is where clients report their own view; the cloud style has the region behind TraceTopicCloud.
const (
	TraceTopic      = "RMQ_SYS_TRACE_TOPIC"
	TraceTopicCloud = "rmq_sys_TRACE_DATA_"
)

// Loss is messages of one queue that existed and were not seen: the log had a hole.
type Loss struct {
	Topic                string
	Messages             uint64
	FromMicros, ToMicros int64 // the newest message seen of the queue before, the first one behind; 0 unknown
}

// Counters are what a Deriver could not read.
type Counters struct {
	BadEntries, BadReports uint64
}

// Deriver holds what rows need and their own record does not say.
type Deriver struct {
	o         Options
	producers map[uint32]*producer
	topics    map[string]*topic
	pairs     pairs
	losses    []Loss
	counters  Counters
	now       int64 // µs, of the newest record
	term      uint64
	leader    string // in term

	// of the record at hand
	record    *entry.Record
	fire      entry.TimerFire // that the entry holds; To.Due 0: none
	batch     int64           // NowMicros
	out       trail.Sink
	row       trail.StoredMessage
	carried   trail.Carried
	rolled    bool // the message says that it was parked again
	keys      []string
	offsetID  []byte
	hexes     [48]byte
	lastTopic *topic
	lastWho   *producer
	bornHost  netip.AddrPort
	bornText  string
	settled   trail.StoredSettlement
	acks      entry.PopAcks
	change    entry.PopChange
	revival   entry.PopRevive
	delivered trail.StoredDelivery
	step      trail.StoredStep
	happened  trail.Happening
	inflater  inflater
}

// producer is what a ref means, and where it was last defined.
type producer struct {
	entry.Producer
	pos int64
}

// topic is what is remembered of one topic.
type topic struct {
	name    string
	reports bool // a trace topic
	queues  map[int32]*queue
	groups  map[string]map[int32]*place
	last    *queue
	lastID  int32
}

// queue remembers where the messages of a queue go on.
type queue struct {
	next   int64 // queue offset; -1 not seen yet
	micros int64 // of the newest one
}

// place is a group's place in a queue; -1 unknown.
type place struct {
	committed int64 // next offset to consume, as last committed
	acked     int64 // one behind the highest ever committed
	first     int64 // lowest offset handed out since the deriver knows the group
	handed    int64 // one behind the highest handed out
}

// New is a Deriver that knows nothing.
func New(o Options) *Deriver {
	return &Deriver{o: o, producers: map[uint32]*producer{}, topics: map[string]*topic{}}
}

// Counters are totals since New.
func (d *Deriver) Counters() Counters { return d.counters }

// Micros is the time of the newest record, 0 before the first.
func (d *Deriver) Micros() int64 { return d.now }

// TakeLosses gives the losses found since the last call, one per topic.
func (d *Deriver) TakeLosses() []Loss {
	l := d.losses
	d.losses = nil
	return l
}

// Record derives one committed entry. times says when it reached its stages; the zero value is not recorded. An error
// names what could not be read; everything before it was derived and the Deriver can go on with the next record.
func (d *Deriver) Record(r *entry.Record, times notes.EntryTimes, out trail.Sink) error {
	if len(r.Data) == 0 {
		return nil
	}
	b, err := entry.Decode(r.Data)
	if err != nil {
		d.counters.BadEntries++
		return fmt.Errorf("derive entry %d: %w", r.Index, err)
	}
	d.record, d.batch, d.out, d.fire = r, b.NowMicros, out, entry.TimerFire{}
	d.now = max(d.now, b.NowMicros)
	d.led(r.Term)
	err = b.Commands(d.command)
	if err == nil {
		d.beginMessages(times)
		err = b.Messages(d.message)
	}
	d.record, d.out = nil, nil
	if err != nil {
		d.counters.BadEntries++
		return fmt.Errorf("derive entry %d: %w", r.Index, err)
	}
	return nil
}

// led finds who led in a term.
func (d *Deriver) led(term uint64) {
	if d.o.LedBy == nil {
		d.leader = d.o.Node
	} else if term != d.term || d.leader == "" {
		d.term, d.leader = term, d.o.LedBy(term)
	}
}

// EntryMicros is the time at which a record's entry was formed and how many messages it holds; false for raft's own.
func EntryMicros(r *entry.Record) (micros int64, messages int, ok bool) {
	b, err := entry.Decode(r.Data)
	return b.NowMicros, b.MessageCount, err == nil && len(r.Data) > 0
}

func (d *Deriver) command(k entry.Kind, body []byte) error {
	switch k {
	case entry.KindProducer:
		return d.define(body)
	case entry.KindOffsets:
		return entry.DecodeOffsets(body, d.committed)
	case entry.KindOffsetReset:
		return entry.DecodeOffsets(body, d.reset)
	case entry.KindTimerFire, entry.KindTimerCancel:
		return d.timer(k, body)
	case entry.KindTxnEnd:
		return entry.DecodeTxnEnds(body, d.ended)
	case entry.KindTxnCheck:
		return entry.DecodeTxnChecks(body, d.checked)
	case entry.KindPopAck, entry.KindPopChange, entry.KindPopRevive, entry.KindSentBack:
		return d.consumed(k, body)
	case entry.KindTopicDelete:
		delete(d.topics, string(body))
		d.lastTopic = nil
	case entry.KindGroupDelete:
		for _, t := range d.topics {
			delete(t.groups, string(body))
		}
	}
	return nil
}

// Producers are forgotten when their definition lies further back than any segment is long: their next message would
// have brought a new one.
const (
	producersBack = 2 << 30
	producersMax  = 1 << 16
)

func (d *Deriver) define(body []byte) error {
	p, err := entry.DecodeProducer(body)
	if err != nil {
		return err
	}
	if known := d.producers[p.Ref]; known != nil && known.Producer == p {
		known.pos = d.record.Pos
		return nil
	}
	if len(d.producers) >= producersMax {
		d.forgetProducers()
	}
	d.producers[p.Ref] = &producer{p, d.record.Pos}
	d.lastWho = nil
	return nil
}

// forgetProducers makes room: definitions out of reach go, and when there are none the older half.
func (d *Deriver) forgetProducers() {
	newest := d.record.Pos
	limit := newest - producersBack
	for {
		for ref, p := range d.producers {
			if p.pos <= limit {
				delete(d.producers, ref)
			}
		}
		if len(d.producers) < producersMax/2 || limit == newest {
			return
		}
		if limit += (newest-limit)/2 + 1; limit > newest {
			limit = newest
		}
	}
}

// topic finds what is remembered of a topic; its name is the row's, so that rows need no copy.
func (d *Deriver) topic(name []byte) *topic {
	if t := d.lastTopic; t != nil && t.name == string(name) {
		return t
	}
	t := d.topics[string(name)]
	if t == nil {
		t = d.newTopic(string(name))
	}
	d.lastTopic = t
	return t
}

func (d *Deriver) newTopic(name string) *topic {
	t := &topic{
		name: name, reports: name == TraceTopic || strings.HasPrefix(name, TraceTopicCloud),
		queues: map[int32]*queue{}, groups: map[string]map[int32]*place{},
	}
	d.topics[name] = t
	return t
}

func (t *topic) queue(id int32) *queue {
	if t.last != nil && t.lastID == id {
		return t.last
	}
	q := t.queues[id]
	if q == nil {
		q = &queue{next: -1}
		t.queues[id] = q
	}
	t.last, t.lastID = q, id
	return q
}

// saw checks that a queue's offsets are dense.
func (d *Deriver) saw(t *topic, id int32, offset int64) {
	q := t.queue(id)
	if q.next >= 0 && offset > q.next {
		d.lost(t.name, uint64(offset-q.next), q.micros)
	}
	q.next, q.micros = offset+1, d.batch
}

func (d *Deriver) lost(name string, messages uint64, since int64) {
	for i := range d.losses {
		if l := &d.losses[i]; l.Topic == name {
			l.Messages += messages
			l.FromMicros, l.ToMicros = min(l.FromMicros, since), max(l.ToMicros, d.batch)
			return
		}
	}
	d.losses = append(d.losses, Loss{name, messages, since, d.batch})
}

// place finds a group's place in a queue of a topic.
func (d *Deriver) place(topicName, group string, id int32) *place {
	t := d.topics[topicName]
	if t == nil {
		t = d.newTopic(strings.Clone(topicName))
	}
	g := t.groups[group]
	if g == nil {
		g = map[int32]*place{}
		t.groups[strings.Clone(group)] = g
	}
	p := g[id]
	if p == nil {
		p = &place{-1, -1, -1, -1}
		g[id] = p
	}
	return p
}

// Note derives one note. Entry times give no row: they are joined by Record.
func (d *Deriver) Note(n *notes.Note, out trail.Sink) {
	switch n.Kind {
	case notes.KindDelivery:
		d.delivery(&n.Delivery, out)
	case notes.KindHappening:
		h := &n.Happening
		d.happened = trail.Happening{
			AtMicros: h.AtMicros, Kind: h.Kind, Topic: h.Topic, Group: h.Group, Client: h.Client, Addr: h.Addr, Node: d.o.Node,
			Text: h.Text, Count: h.Count, Detail: h.Detail,
		}
		out.Happening(&d.happened)
	}
}

func (d *Deriver) delivery(n *notes.Delivery, out trail.Sink) {
	p := d.place(n.Topic, n.Group, n.QueueID)
	again := min(max(p.handed, n.From), n.To)
	if p.first < 0 || n.From < p.first {
		p.first = n.From
	}
	p.handed = max(p.handed, n.To)
	d.delivered = trail.StoredDelivery{AgainTo: again, Delivery: trail.Delivery{
		Broker: d.o.Broker, Topic: n.Topic, QueueID: n.QueueID, From: n.From, To: n.To, Group: n.Group, Client: n.Client, Addr: n.Addr,
		Language: n.Language, Version: n.Version, Protocol: n.Protocol, Node: d.o.Node, RequestedMicros: n.RequestedMicros,
		SentMicros: n.SentMicros, WaitedMicros: n.WaitedMicros, Messages: n.Messages, Filtered: n.Filtered, Skipped: n.Skipped,
		Bytes: n.Bytes, Attempt: n.Attempt, Subscription: n.Subscription,
	}}
	out.Delivery(&d.delivered)
}
