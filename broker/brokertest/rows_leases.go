package brokertest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// lease is one delivery by pop.
type lease struct {
	id           string
	topic        string // in which it stands: its own, or the group's retry topic of it
	queue        int32
	offset       int64
	handle       string
	popped       int64 // ms, the broker's pop time
	until        int64 // ms, when its time is over
	asked, heard int64 // ms, when the pop was sent and answered
}

// taken is the history of one message.
type taken struct {
	leases  []lease
	inTime  int64 // ms, when its ack was answered before its time was over; 0: none was
	settled bool  // an ack was answered with success
}

// popper is a group that pops a topic of the first broker group.
type popper struct {
	r            *Round
	topic, group string
	queues       int

	mu   sync.Mutex
	byID map[string]*taken

	lost, late, raced, changed, dropped atomic.Int64
}

func newPopper(r *Round, topic string, queues int) *popper {
	r.MakeTopic(Groups[0], topic, queues)
	return &popper{r: r, topic: topic, group: topic + "-group", queues: queues, byID: map[string]*taken{}}
}

// fill stores n messages before the fault.
func (p *popper) fill(n int, base int64) {
	const conns, width = 16, 200
	addr := p.r.Leader(Groups[0]).Brokers[Groups[0]]
	var wg sync.WaitGroup
	for w := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := Pipeline(addr, n/conns, width, func(i int) (int32, []rpc.Field, []byte) {
				k := base + int64(w*(n/conns)+i)
				id := uniqID(p.r.Row.Number, k)
				return wire.SendMessageV2, sendFields(p.topic, id, k%int64(p.queues), int64(p.queues)), bodyOf(id, 60)
			}, func(i int, f *wire.Frame) {
				id := uniqID(p.r.Row.Number, base+int64(w*(n/conns)+i))
				if f.Code != 0 {
					p.r.Fail("before the fault %s is answered %d %s", id, f.Code, f.Remark)
				}
				p.mu.Lock()
				p.byID[id] = &taken{}
				p.mu.Unlock()
			})
			if err != nil {
				p.r.Fail("before the fault: %v", err)
			}
		}()
	}
	wg.Wait()
}

func (p *popper) popFields(n int, invisible time.Duration) []rpc.Field {
	return []rpc.Field{
		{Name: "consumerGroup", Value: p.group}, {Name: "topic", Value: p.topic}, {Name: "queueId", Value: "-1"}, {Name: "maxMsgNums", Value: strconv.Itoa(n)},
		{Name: "invisibleTime", Value: strconv.FormatInt(invisible.Milliseconds(), 10)}, {Name: "pollTime", Value: "0"}, {Name: "bornTime", Value: "0"}, {Name: "initMode", Value: "0"},
		{Name: "expType", Value: "TAG"}, {Name: "exp", Value: "*"}, {Name: "order", Value: "false"},
	}
}

// pop takes up to n messages and notes that they are leased.
func (p *popper) pop(c *Caller, n int, invisible time.Duration) []lease {
	asked := time.Now().UnixMilli()
	f, err := c.Once(wire.PopMessage, p.popFields(n, invisible), nil)
	if err != nil || f.Code != 0 {
		if err == nil && f.Code != 209 && f.Code != 210 {
			p.r.Fail("a pop is answered %d %s", f.Code, f.Remark)
		}
		return nil
	}
	got, err := p.leasesOf(f)
	if err != nil {
		p.r.Fail("a pop's answer: %v", err)
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range got {
		l := &got[i]
		l.asked, l.heard = asked, time.Now().UnixMilli()
		t := p.byID[l.id]
		if t == nil {
			p.r.Fail("%s is popped, which nobody sent", l.id)
			continue
		}
		p.leaseTwice(t, l)
		t.leases = append(t.leases, *l)
	}
	return got
}

// leaseTwice fails the round when a message is leased while another lease of it holds, or after it was acked in time. The lists of one
// message are short.
func (p *popper) leaseTwice(t *taken, l *lease) {
	for _, before := range t.leases {
		if l.popped < before.until && before.popped < l.until {
			p.r.Fail("LEASED TWICE %s: popped at %d, and at %d until %d", l.id, l.popped, before.popped, before.until)
		}
	}
	if t.inTime > 0 {
		p.r.Fail("REDELIVERED %s: acked in time, answered at %d; popped again at %d", l.id, t.inTime, l.popped)
	}
}

// leasesOf is what a client makes of a pop's answer (ExtraInfoUtil).
func (p *popper) leasesOf(f *wire.Frame) (out []lease, err error) {
	popTime, _ := f.Int("popTime", 0)
	invisible, _ := f.Int("invisibleTime", 0)
	starts := map[string]string{}
	for _, info := range strings.Split(f.String("startOffsetInfo"), ";") {
		if w := strings.Fields(info); len(w) == 3 {
			starts[w[0]+" "+w[1]] = w[2]
		}
	}
	for b := f.Body; len(b) > 0; {
		v, err := message.Parse(b)
		if err != nil {
			return nil, err
		}
		b = b[len(v):]
		l := lease{id: strings.Clone(string(message.Property(v.Properties(), message.PropUniqKey))), queue: v.QueueID(), offset: v.QueueOffset(), popped: popTime, until: popTime + invisible}
		l.handle = string(message.Property(v.Properties(), message.PropPopCheckpoint))
		if l.handle == "" {
			l.handle = fmt.Sprintf("%s %d %d %s 0 %s %d %d", starts[fmt.Sprintf("0 %d", l.queue)], popTime, invisible, f.String("reviveQid"), Groups[0], l.queue, l.offset)
		}
		h, refused := service.ParseHandle(l.handle)
		if refused != nil {
			return nil, refused
		}
		if l.topic, refused = service.RealTopic(p.topic, p.group, h.Type); refused != nil {
			return nil, refused
		}
		l.queue, l.offset = h.QueueID, h.Offset
		out = append(out, l)
	}
	return out, nil
}

func (p *popper) ackFields(l *lease) []rpc.Field {
	return []rpc.Field{
		{Name: "consumerGroup", Value: p.group}, {Name: "topic", Value: l.topic}, {Name: "queueId", Value: strconv.Itoa(int(l.queue))}, {Name: "extraInfo", Value: l.handle},
		{Name: "offset", Value: strconv.FormatInt(l.offset, 10)},
	}
}

// ack acknowledges until there is an answer.
func (p *popper) ack(c *Caller, l *lease) {
	f, _, err := c.Do(time.Now().Add(20*time.Second), wire.AckMessage, p.ackFields(l), nil)
	if err == nil {
		p.acked(l, f, time.Now().UnixMilli())
	}
}

// acked notes an ack's answer. One that came before the message's time was over settles it for good.
func (p *popper) acked(l *lease, f *wire.Frame, at int64) {
	if f.Code != 0 && f.Code != 208 {
		p.r.Fail("an ack is answered %d %s", f.Code, f.Remark)
		return
	}
	if f.Code != 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.byID[l.id]
	t.settled = true
	if at < l.until && t.inTime == 0 {
		t.inTime = at
	}
}

// change gives a lease another time; false: it is over.
func (p *popper) change(c *Caller, l *lease, invisible time.Duration) bool {
	f, unknown, err := c.Do(time.Now().Add(20*time.Second), wire.ChangeInvisibleTime,
		append(p.ackFields(l), rpc.Field{Name: "invisibleTime", Value: strconv.FormatInt(invisible.Milliseconds(), 10)}), nil)
	if err != nil || f.Code != 0 {
		if err == nil && f.Code != 208 {
			p.r.Fail("a change of the invisible time is answered %d %s", f.Code, f.Remark)
		}
		if err != nil || unknown > 0 { // it may hold until its new time is over
			p.mu.Lock()
			p.byID[l.id].leases = nil
			p.mu.Unlock()
		}
		return false
	}
	popTime, _ := f.Int("popTime", 0)
	parts := strings.Fields(l.handle)
	parts[0] = strconv.FormatInt(l.offset, 10) // a lease of this message alone (MQClientAPIImpl.changeInvisibleTimeAsync)
	parts[1], parts[2], parts[3] = f.String("popTime"), f.String("invisibleTime"), f.String("reviveQid")
	l.handle, l.popped, l.until = strings.Join(parts, " "), popTime, popTime+invisible.Milliseconds()
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.byID[l.id]
	for _, other := range t.leases { // it was popped again before the change was answered
		if other.popped > l.popped && other.popped < l.until {
			p.r.Fail("LEASED TWICE %s: changed at %d until %d, popped at %d", l.id, l.popped, l.until, other.popped)
		}
	}
	t.leases = append(t.leases, *l)
	return true
}

// leases is row 44: first consumers that behave badly while leaders are killed, then a change of leader with very many leases.
func leases(r *Round) {
	p := newPopper(r, "leased", 4)
	p.fill(16_000, 0)
	stop := make(chan struct{})
	var calm atomic.Bool
	var wg sync.WaitGroup
	for w := range 40 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := r.Caller(Groups[0], w)
			defer c.Close()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !p.misbehave(c, calm.Load()) {
					time.Sleep(20 * time.Millisecond)
				}
			}
		}()
	}
	kills := 0
	for r.More(2 * time.Second) {
		if l := r.Leader(Groups[0]); l != nil {
			l.Kill()
			kills++
			time.Sleep(500 * time.Millisecond)
			r.again(l)
		}
	}
	calm.Store(true)
	p.settle(60 * time.Second)
	close(stop)
	wg.Wait()
	r.Note("%d kills; acks with a lost answer %d, late %d; changes that raced with expiry %d, of these in time %d; consumers that died %d", kills, p.lost.Load(), p.late.Load(), p.raced.Load(), p.changed.Load(), p.dropped.Load())
	p.tell("misbehaving")
	r.manyLeases()
}

// misbehave pops and does with each message what chance says; calm: everything is acked. false: there was nothing.
func (p *popper) misbehave(c *Caller, calm bool) bool {
	const invisible = 1500 * time.Millisecond
	got := p.pop(c, 1+rand.IntN(16), invisible)
	var raced, late []lease
	for i := range got {
		l := &got[i]
		switch n := rand.IntN(10); {
		case calm || n < 6:
			p.ack(c, l)
		case n == 6: // its answer is lost, and the client asks again
			p.lost.Add(1)
			_ = Pipeline(p.r.Nodes[rand.IntN(3)].Brokers[Groups[0]], 1, 1, func(int) (int32, []rpc.Field, []byte) { return wire.AckMessage, p.ackFields(l), nil }, func(int, *wire.Frame) {})
			p.ack(c, l)
		case n == 7:
			late = append(late, *l)
		case n == 8:
			raced = append(raced, *l)
		default: // the consumer dies
			p.dropped.Add(1)
		}
	}
	for i := range raced {
		l := &raced[i]
		time.Sleep(time.Until(time.UnixMilli(l.until + int64(rand.IntN(151)-30))))
		p.raced.Add(1)
		if p.change(c, l, invisible) {
			p.changed.Add(1)
			p.ack(c, l)
		}
	}
	for i := range late {
		l := &late[i]
		time.Sleep(time.Until(time.UnixMilli(l.until + int64(rand.IntN(300)))))
		p.late.Add(1)
		p.ack(c, l)
	}
	return len(got) > 0
}

// settle waits until each message was acked, and nothing more comes.
func (p *popper) settle(patience time.Duration) {
	left, quiet := 0, time.Now()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		left = 0
		newest := int64(0)
		p.mu.Lock()
		for _, t := range p.byID {
			if !t.settled {
				left++
			}
			if n := len(t.leases); n > 0 {
				newest = max(newest, t.leases[n-1].until)
			}
		}
		p.mu.Unlock()
		if left > 0 {
			quiet = time.Now()
		}
		if left == 0 && time.Now().UnixMilli() > newest+1000 && time.Since(quiet) > time.Second {
			return
		}
	}
	p.r.Fail("LOST %d messages were not acked %v after the last fault", left, patience)
}

func (p *popper) tell(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	more, inTime := 0, 0
	for _, t := range p.byID {
		if len(t.leases) > 1 {
			more++
		}
		if t.inTime > 0 {
			inTime++
		}
	}
	p.r.Note("%s: %d messages, %d leased more than once, %d acked in time and not popped again", what, len(p.byID), more, inTime)
}

// manyLeases kills the leader with as many leases out as the group may have. Half of them are acked through the next leader by their old
// handles; the others, and none else, come again when their time is over, and not before.
func (r *Round) manyLeases() {
	const many, queues, invisible = 100_000, 12, 40 * time.Second
	p := newPopper(r, "many", queues)
	p.fill(many, 1<<30)
	began := time.Now()
	out := p.popAll(many, invisible)
	if len(out) < many*99/100 {
		r.Fail("%d of %d could be leased", len(out), many)
	}
	took := time.Since(began)
	l := r.Leader(Groups[0])
	at := time.Now()
	l.Kill()
	r.serving(Groups[0], at)
	r.again(l)
	p.ackHalf(out)
	r.Note("%d leases taken in %.1f s were out when the leader was killed; half of them acked %.1f s after the kill", len(out), took.Seconds(), time.Since(at).Seconds())
	if time.Since(began) > invisible {
		r.Note("the first leases were over by then")
	}
	const again = 20 * time.Second
	rest := p.popAll(len(out), again) // what is leased does not come
	p.ackEach(rest)
	for len(rest) < len(out)/2 && time.Since(began) < invisible+90*time.Second {
		more := p.popAll(len(out), again)
		p.ackEach(more)
		rest = append(rest, more...)
	}
	p.settle(60 * time.Second)
	if more := p.popAll(len(out), again); len(more) > 0 {
		r.Fail("%d messages come again when all are acked", len(more))
	}
	p.tell("many leases")
}

// popAll pops with many at once until nothing comes any more.
func (p *popper) popAll(most int, invisible time.Duration) (all []lease) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range 12 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := p.r.Caller(Groups[0], w)
			defer c.Close()
			for nothing := 0; nothing < 40; {
				got := p.pop(c, 32, invisible)
				mu.Lock()
				all = append(all, got...)
				full := len(all) >= most
				mu.Unlock()
				if full {
					return
				}
				if nothing++; len(got) > 0 {
					nothing = 0
				} else {
					time.Sleep(25 * time.Millisecond)
				}
			}
		}()
	}
	wg.Wait()
	return all
}

// ackHalf acks those with an even place in a list.
func (p *popper) ackHalf(out []lease) {
	var half []lease
	for i := 0; i < len(out); i += 2 {
		half = append(half, out[i])
	}
	p.ackEach(half)
}

// ackEach acks over many connections, many at a time.
func (p *popper) ackEach(all []lease) {
	const conns = 8
	var wg sync.WaitGroup
	for w := range conns {
		from, to := len(all)*w/conns, len(all)*(w+1)/conns
		wg.Add(1)
		go func() {
			defer wg.Done()
			some := all[from:to]
			err := Pipeline(p.r.Nodes[w%3].Brokers[Groups[0]], len(some), 100, func(i int) (int32, []rpc.Field, []byte) { return wire.AckMessage, p.ackFields(&some[i]), nil },
				func(i int, f *wire.Frame) { p.acked(&some[i], f, time.Now().UnixMilli()) })
			if err != nil {
				p.r.Fail("acks after the change of leader: %v", err)
			}
		}()
	}
	wg.Wait()
}
