package service

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/timer"
)

// Parcel is the messages of one read of one connection. Use: Add for each request, then Submit once; after done was called
// read Results, then Release. Not safe for concurrent use.
type Parcel struct {
	Results []Result

	s       *Service
	client  *Client
	batch   shard.Batch
	spans   []span    // of each result
	late    []late    // messages of topics that do not exist yet
	cancels []cancels // of scheduled messages
	at      int       // the result whose request is being put
	inner   bool      // it is the broker's own
	more    []byte    // properties of the message that is being put, beside its own
	done    func(*Parcel)
}

// span is the items of one result; none when it was refused.
type span struct {
	from, n int
	queue   int32 // that the messages are for
}

// late is a request whose topic must be made first.
type late struct {
	h      SendHeader
	client *Client
	body   []byte
	who    *shard.Producer
	result int
}

// cancels is a request that is a message, and stores nothing.
type cancels struct {
	client *Client
	recall recall
	result int
}

// target is a topic as sending needs it.
type target struct {
	of      *Service
	version uint64
	topic   catalog.Topic
	queues  *queue.Topic
	byID    []*queue.Queue
}

// Limits of sending.
const (
	parcelKeep = 1 << 20  // larger buffers are not kept for the next parcel
	batchMax   = 16_384   // messages of one request: each is stored with much that the request does not hold
	lateMax    = 10_000   // requests that wait for their topic to be made; more are refused
	lateBytes  = 64 << 20 // of them
)

// Parcel takes an empty parcel from the pool.
func (s *Service) Parcel(c *Client) *Parcel {
	p := s.parcels.Get().(*Parcel)
	p.client = c
	return p
}

// From says whose the messages are that are added next: a connection may bring those of several clients.
func (p *Parcel) From(c *Client) { p.client = c }

// Release returns the parcel to the pool.
func (p *Parcel) Release() {
	if cap(p.batch.Buf) > parcelKeep {
		p.batch.Buf = nil
	}
	clear(p.Results)
	clear(p.batch.Items)
	clear(p.late)
	p.Results, p.spans, p.late, p.cancels, p.client, p.done = p.Results[:0], p.spans[:0], p.late[:0], p.cancels[:0], nil, nil
	p.batch.Buf, p.batch.Items, p.batch.Err = p.batch.Buf[:0], p.batch.Items[:0], nil
	p.s.parcels.Put(p)
}

// Add appends one message (or, with h.Batch, a batch). It never fails: what is refused gets its Result at once.
func (p *Parcel) Add(h *SendHeader, body []byte, token Token) {
	h.Inner = false
	var err *Error
	if bytes.HasPrefix(h.Topic, retryPrefix) {
		err = p.s.retried(h)
	}
	p.add(h, body, token, err)
}

var retryPrefix = []byte(RetryPrefix)

func (p *Parcel) add(h *SendHeader, body []byte, token Token, err *Error) {
	at := len(p.Results)
	p.Results = append(p.Results, Result{Token: token, StoreHost: p.s.opts.StoreHost})
	p.spans = append(p.spans, span{len(p.batch.Items), 0, h.QueueID})
	var t *target
	if err == nil {
		t, err = p.s.target(p.client, h)
	}
	if err == nil {
		err = checkProducer(h.ProducerGroup)
	}
	if err == nil {
		who := p.s.producer(p.client, h.ProducerGroup)
		if t == nil {
			err = p.wait(at, h, body, who)
		} else {
			err = p.put(at, t, h, body, who)
		}
	}
	p.refused(at, err)
}

// checkProducer bounds a name that the trail writes down; RocketMQ leaves its form to the clients.
func checkProducer(group []byte) *Error {
	if len(group) > GroupMax {
		return Refuse(CodeInvalidParameter, "the producer group [%.40s…] has %d bytes, the limit is %d", group, len(group), GroupMax)
	}
	return nil
}

// wait keeps a request until its topic was made.
func (p *Parcel) wait(at int, h *SendHeader, body []byte, who *shard.Producer) *Error {
	l := late{h: h.clone(), client: p.client, body: append([]byte(nil), body...), who: who, result: at}
	requests, bytes := p.s.late.Add(1), p.s.lateBytes.Add(l.bytes())
	if requests > lateMax || bytes > lateBytes {
		p.s.lateEnded(&l)
		return Refuse(CodeSystemBusy, "[TOO MANY MESSAGES WAIT] %d messages of %d bytes wait for new topics, the limits are %d and %d, try again", requests, bytes, lateMax, lateBytes)
	}
	p.late = append(p.late, l)
	return nil
}

func (l *late) bytes() int64 { return int64(len(l.body) + len(l.h.Properties)) }

func (s *Service) lateEnded(l *late) {
	s.late.Add(-1)
	s.lateBytes.Add(-l.bytes())
}

func (p *Parcel) refused(at int, err *Error) {
	if err != nil {
		p.Results[at].Code, p.Results[at].Remark, p.Results[at].NotLed = err.Code, err.Text, err.NotLed()
	}
}

// clone keeps a header beyond its frame.
func (h *SendHeader) clone() SendHeader {
	c := *h
	for _, b := range []*[]byte{&c.ProducerGroup, &c.Topic, &c.DefaultTopic, &c.Properties} {
		*b = append([]byte(nil), *b...)
	}
	return c
}

// target finds the topic of a message; nil without error: it must be created first.
func (s *Service) target(c *Client, h *SendHeader) (*target, *Error) {
	version := s.shard.Catalog().Version()
	if t := c.last; t != nil && t.of == s && t.version == version && string(h.Topic) == t.topic.Name {
		return t, nil
	}
	if err := s.checkSendTopic(string(h.Topic)); err != nil && !h.Inner {
		return nil, err
	}
	e, ok := s.shard.Catalog().Topic(string(h.Topic))
	if !ok {
		return nil, nil
	}
	if e.Perm&catalog.PermWrite == 0 {
		return nil, Refuse(CodeNoPermission, "the topic[%s] sending message is forbidden: its permission is %d", e.Name, e.Perm)
	}
	t := &target{of: s, version: version, topic: e.Topic, queues: s.topicQueues(e)}
	if !t.queues.Live() {
		return nil, nil
	}
	for id := range max(e.WriteQueues, e.ReadQueues) {
		t.byID = append(t.byID, t.queues.Queue(id))
	}
	c.last = t
	return t, nil
}

func (t *target) queue(id int32) (*queue.Queue, *Error) {
	if id < 0 {
		return t.byID[rand.IntN(max(1, int(min(t.topic.WriteQueues, int32(len(t.byID))))))], nil
	}
	if int(id) >= len(t.byID) {
		return nil, Refuse(CodeInvalidParameter, "request queueId[%d] is illegal, topic:[%s] has %d queues", id, t.topic.Name, len(t.byID))
	}
	return t.byID[id], nil
}

// put encodes the message or messages of one request.
func (p *Parcel) put(at int, t *target, h *SendHeader, body []byte, who *shard.Producer) *Error {
	if len(body) > p.s.opts.MaxMessage {
		return Refuse(CodeMessageIllegal, "the message is illegal, maybe msg body or properties length not matched. msg body length limit %dB, this one has %dB", p.s.opts.MaxMessage, len(body))
	}
	if len(t.byID) == 0 {
		return Refuse(CodeNoPermission, "the topic[%s] has no queues to write to", t.topic.Name)
	}
	q, err := t.queue(h.QueueID)
	if err != nil {
		return err
	}
	d := message.Draft{
		Topic: h.Topic, Body: body, Properties: h.Properties, More: p.s.more, QueueID: q.ID, Flag: h.Flag, BornTime: h.BornTime,
		SysFlag: h.SysFlag &^ (message.FlagTxMask | message.FlagInnerBatch | message.FlagNeedUnwrap), BornHost: h.born(p.client.Addr),
		StoreHost: p.s.opts.StoreHost, ReconsumeTimes: h.ReconsumeTimes,
	}
	from, bytes := len(p.batch.Items), len(p.batch.Buf)
	if p.at, p.inner = at, h.Inner; h.Batch {
		err = p.putBatch(&d, q, who, h.ReceivedMicros, body)
	} else {
		err = p.putOne(&d, q, who, h.ReceivedMicros, false)
	}
	if err != nil {
		p.batch.Items, p.batch.Buf = p.batch.Items[:from], p.batch.Buf[:bytes]
		return err
	}
	p.spans[at] = span{from, len(p.batch.Items) - from, q.ID}
	return nil
}

func (p *Parcel) putOne(d *message.Draft, q *queue.Queue, who *shard.Producer, received int64, batch bool) *Error {
	ask, err := p.s.readProperties(d.Properties, len(d.More))
	if err != nil {
		return err
	}
	if ask.cancel != nil {
		return p.cancel(string(d.Topic), &ask, batch)
	}
	item := shard.Item{Queue: q, Producer: who, ReceivedMicros: received}
	if ask.foreign && !p.inner {
		d.Properties = message.Without(d.Properties, brokersOwn...)
	}
	switch {
	case ask.transaction && batch:
		err = Refuse(CodeMessageIllegal, "the message is illegal: a message of a batch cannot be a half message")
	case ask.transaction:
		err = p.half(d, &item)
	case ask.timed():
		err = p.time(d, &item, &ask, batch)
	}
	if err != nil {
		return err
	}
	p.batch.Put(item, d)
	return nil
}

// cancel keeps a request to cancel a scheduled message until the parcel is submitted.
func (p *Parcel) cancel(topic string, ask *asked, batch bool) *Error {
	r, err := cancelOf(topic, ask, nowMicros()/1000)
	if err != nil {
		return err
	}
	if batch {
		return Refuse(CodeMessageIllegal, "the message is illegal: a message of a batch cannot cancel another one")
	}
	if n := p.s.late.Add(1); n > lateMax {
		p.s.late.Add(-1)
		return Refuse(CodeSystemBusy, "[TOO MANY MESSAGES WAIT] %d requests wait for new topics or to cancel, the limit is %d, try again", n, lateMax)
	}
	p.cancels = append(p.cancels, cancels{p.client, r, p.at})
	return nil
}

// time has a message wait for its time, if that is not now.
func (p *Parcel) time(d *message.Draft, it *shard.Item, ask *asked, batch bool) *Error {
	w, err := p.s.planOf(ask, nowMicros()/1000)
	if err != nil || w.due == 0 {
		return err
	}
	if batch {
		return Refuse(CodeMessageIllegal, "the message is illegal: a message of a batch cannot be delayed")
	}
	if w.topic == timer.ScheduleTopic && (ask.delaySec != nil || ask.delayMillis != nil || ask.deliverMillis != nil) { // a level wins over them
		d.Properties = message.Without(d.Properties, message.PropTimerDelaySec, message.PropTimerDelayMillis, message.PropTimerDeliverMillis)
	}
	if p.inner && ask.foreign {
		d.Properties = message.Without(d.Properties, brokersOwn...)
	}
	p.more, err = p.s.park(d, it, w, p.more)
	return err
}

// putBatch takes RocketMQ's batch body apart (rocketmq MessageDecoder.decodeMessages): per message total 4, magic 4, CRC 4,
// flag 4, body length 4, body, properties length 2, properties.
func (p *Parcel) putBatch(d *message.Draft, q *queue.Queue, who *shard.Producer, received int64, body []byte) *Error {
	be := binary.BigEndian
	if len(body) == 0 {
		return Refuse(CodeMessageIllegal, "the message is illegal: an empty batch")
	}
	for n := 0; len(body) > 0; n++ {
		if n == batchMax {
			return Refuse(CodeMessageIllegal, "the message is illegal: a batch of more than %d messages", batchMax)
		}
		if len(body) < 22 {
			return Refuse(CodeMessageIllegal, "the message is illegal: message %d of the batch is cut", n)
		}
		total, size := int64(int32(be.Uint32(body))), int64(int32(be.Uint32(body[16:])))
		if size < 0 || total < 22+size || total > int64(len(body)) {
			return Refuse(CodeMessageIllegal, "the message is illegal: message %d of the batch says %d bytes with a body of %d, %d are left", n, total, size, len(body))
		}
		props := int64(be.Uint16(body[20+size:]))
		if 22+size+props != total {
			return Refuse(CodeMessageIllegal, "the message is illegal: message %d of the batch has %d bytes of properties, its size says %d", n, props, total-22-size)
		}
		d.Flag, d.Body, d.Properties = int32(be.Uint32(body[12:])), body[20:20+size], body[22+size:total]
		if err := p.putOne(d, q, who, received, true); err != nil {
			return err
		}
		body = body[total:]
	}
	return nil
}

// readProperties finds what a message asks for, in one walk, and refuses what this version does not serve.
func (s *Service) readProperties(run []byte, more int) (a asked, err *Error) {
	if len(run)+more+1 > message.MaxProperties {
		return a, Refuse(CodeMessageIllegal, "the message is illegal, maybe msg body or properties length not matched. msg properties length limit %dB, these have %dB", message.MaxProperties-more-1, len(run))
	}
	for {
		name, value, rest, ok := message.NextProperty(run)
		if !ok {
			break
		}
		if run = rest; !a.take(name, value) && s.aliases.may(name) {
			a.take(s.aliases.names[string(name)], value)
		}
	}
	return a, nil
}

// brokersOwn are properties that clients send because messages that they got and send again have them. The broker sets its own.
var brokersOwn = []string{message.PropRealTopic, message.PropRealQueueID, message.PropTimerOutMillis, message.PropPopCheckpoint}

// Submit hands the parcel over. done is called exactly once, perhaps before Submit returns, from another goroutine; it must
// not block.
func (p *Parcel) Submit(done func(*Parcel)) {
	p.done = done
	if len(p.late)+len(p.cancels) > 0 {
		go p.submitLate()
		return
	}
	p.submit()
}

func (p *Parcel) submit() {
	if len(p.batch.Items) == 0 {
		p.done(p)
		return
	}
	p.batch.Done = p.finish
	p.s.shard.Submit(&p.batch)
}

// submitLate makes the topics that are missing, then goes on.
func (p *Parcel) submitLate() {
	for i := range p.late {
		l := &p.late[i]
		err := p.s.createFor(&l.h)
		var t *target
		if err == nil {
			t, err = p.s.target(&Client{}, &l.h)
		}
		if err == nil && t == nil {
			err = topicMissing(string(l.h.Topic))
		}
		if err == nil {
			p.client = l.client
			err = p.put(l.result, t, &l.h, l.body, l.who)
		}
		p.refused(l.result, err)
		p.s.lateEnded(l)
	}
	p.cancelNow()
	p.submit()
}

// cancelNow does what requests to cancel ask for, and answers them.
func (p *Parcel) cancelNow() {
	ctx, stop := context.WithTimeout(context.Background(), createPatience)
	defer stop()
	for _, c := range p.cancels {
		p.refused(c.result, p.s.cancel(ctx, c.client, c.recall.topic, c.recall.uniqKey, c.recall.due))
		p.Results[c.result].TransactionID = []byte(c.recall.uniqKey)
		p.s.late.Add(-1)
	}
}

// finish is called by the shard's goroutine.
func (p *Parcel) finish(b *shard.Batch) {
	if b.Err != nil {
		err := p.s.refuse(b.Err)
		for i := range p.Results {
			if p.spans[i].n > 0 {
				p.refused(i, err)
			}
		}
		p.done(p)
		return
	}
	for i := range p.Results {
		if n := p.spans[i].n; n > 0 {
			p.fill(&p.Results[i], b.Items[p.spans[i].from:p.spans[i].from+n], p.spans[i].queue)
		}
	}
	p.done(p)
}

func (p *Parcel) fill(r *Result, items []shard.Item, queue int32) {
	first := &items[0]
	if first.Gone {
		r.Code, r.Remark = CodeTopicNotExist, topicMissing(first.Queue.Topic).Text
		return
	}
	r.QueueID, r.QueueOffset, r.Position, r.Due = queue, first.Offset, first.Position, first.Due
	if len(items) > 1 {
		r.Positions = make([]int64, len(items))
		for i := range items {
			r.Positions[i] = items[i].Position
		}
		return
	}
	run := message.View(p.batch.Buf[first.From:first.To]).Properties()
	if first.Due == 0 {
		r.TransactionID = message.Property(run, message.PropUniqKey)
		return
	}
	var real []byte
	r.TransactionID, real = twoProperties(run, message.PropUniqKey, message.PropRealTopic)
	if !bytes.HasPrefix(real, retryPrefix) {
		r.RecallHandle = RecallHandle(real, p.s.opts.Broker, first.Due, r.TransactionID)
	}
}

// twoProperties is message.Property of two names in one pass: it is done for every scheduled message.
func twoProperties(run []byte, first, second string) (a, b []byte) {
	for {
		n, v, rest, ok := message.NextProperty(run)
		if !ok {
			return a, b
		}
		switch string(n) {
		case first:
			a = v
		case second:
			b = v
		}
		run = rest
	}
}

func nowMicros() int64 { return time.Now().UnixMicro() }

// Bytes is how much the parcel holds.
func (p *Parcel) Bytes() int { return len(p.batch.Buf) }
