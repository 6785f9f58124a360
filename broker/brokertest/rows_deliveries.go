package brokertest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
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

// retryEvery is the delay of every level where retries must be quick.
const retryEvery = 200 * time.Millisecond

// deliveryRows are sends whose answer is lost, and W3 and W4: consumers that fail, and leases of pop.
func deliveryRows() []*Row {
	quick := "timers: {delayLevels: \"" + strings.TrimSpace(strings.Repeat(retryEvery.String()+" ", 18)) + "\"}\n"
	return []*Row{
		{Number: 42, Fault: "sends are stored and their answers dropped; the client sends again with the same unique id", Workload: "W1 W2 W7", Short: true, Run: answersLost},
		{Number: 44, Fault: "acks are lost, come late, race with expiry; the leader is killed with 100 000 leases out", Workload: "W1 W4 W7", Pause: 20 * time.Millisecond, Run: leases},
		{Number: 45, Fault: "a consumer fails each time, through 16 retries to the dead letters; the leader is killed at each hop", Workload: "W1 W3 W7", Pause: 20 * time.Millisecond,
			Options: ClusterOptions{Extra: quick}, Run: failing},
	}
}

// answersLost sends through a proxy that drops answers half of the time: every message is stored, as often as it may be and no oftener.
func answersLost(r *Round) {
	const topic = "unanswered"
	r.MakeTopic(Groups[0], topic, Queues)
	l := r.Leader(Groups[0])
	host, _, _ := net.SplitHostPort(l.Brokers[Groups[0]])
	if r.Lan != nil {
		host = r.Lan.Addr(hostID)
	}
	proxy := NewFaultyProxy(r.T, host, l.Brokers[Groups[0]])
	var next atomic.Int64
	var mu sync.Mutex
	var hist []Sent
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			k := rpc.Client{Addr: proxy.Addr, Timeout: 200 * time.Millisecond}
			defer k.Close()
			for {
				select {
				case <-stop:
					return
				default:
				}
				s := Sent{ID: uniqID(42, next.Add(1)), Worker: w}
				sendUntilAnswered(&k, topic, int64(w)%Queues, &s)
				mu.Lock()
				hist = append(hist, s)
				mu.Unlock()
			}
		}()
	}
	for r.More(250 * time.Millisecond) {
		proxy.LoseAnswers(true)
		time.Sleep(300 * time.Millisecond)
		proxy.LoseAnswers(false)
	}
	close(stop)
	wg.Wait()
	r.data["finish"] = func() { r.countCopies(topic, hist) }
}

// sendUntilAnswered tries with one unique id until there is an answer; a try without one may have been stored.
func sendUntilAnswered(k *rpc.Client, topic string, queue int64, s *Sent) {
	for !s.Acked && s.Tries < 100 {
		s.Tries++
		f, err := k.Do(wire.SendMessageV2, sendFields(topic, s.ID, queue, Queues), bodyOf(s.ID, 60))
		switch {
		case err != nil && !isDefinite(err):
			s.Unknown++
			s.Why = err.Error()
		case err == nil && f.Code == 0:
			offset, _ := f.Int("queueOffset", -1)
			s.Acked, s.At = true, Place{Groups[0], queue, offset}
		case err == nil:
			s.Why = fmt.Sprintf("code %d %s", f.Code, f.Remark)
		}
	}
}

func (r *Round) countCopies(topic string, hist []Sent) {
	kept := r.everywhere(Groups[0], topic, Queues)
	found := Found{}
	for place, k := range kept {
		found[place] = k.ID
	}
	v := Judge(hist, found)
	again, unknown := 0, 0
	for _, s := range hist {
		unknown += s.Unknown
		if s.Tries > 1 {
			again++
		}
	}
	r.Note("%d messages, %d of them sent again after %d lost answers, %d copies, each explained by one of these", v.Sent, again, unknown, v.Explained)
	for _, p := range v.Problems {
		r.Fail("%s", p)
	}
	if v.Acked != v.Sent || unknown == 0 || v.Explained == 0 {
		r.Fail("%d sent, %d acked in the end, %d answers lost, %d copies", v.Sent, v.Acked, unknown, v.Explained)
	}
}

// failer is a group by hand that sends everything back, dies now and then, and begins again at its committed offset.
type failer struct {
	r     *Round
	group string
	mu    sync.Mutex
	back  map[string]map[int32]int64 // id → times consumed → ms when it was sent back first
	again atomic.Int64               // sent back more than once
	lives atomic.Int64
}

// failing kills the leader in the middle of each hop on the way from a topic through 16 retries to the dead letters.
func failing(r *Round) {
	const topic, retries, messages = "poison", 16, 60
	f := &failer{r: r, group: "failing", back: map[string]map[int32]int64{}}
	r.MakeTopic(Groups[0], topic, Queues)
	c := r.Caller(Groups[0], 0)
	defer c.Close()
	if a, _, err := c.Do(time.Now().Add(20*time.Second), wire.UpdateGroup, nil, []byte(`{"groupName":"failing","retryMaxTimes":16}`)); err != nil || a.Code != 0 {
		r.Fail("the group was not made: %v %v", a, err)
		return
	}
	for i := range int64(messages) {
		id := uniqID(45, i)
		a, unknown, err := c.Do(time.Now().Add(20*time.Second), wire.SendMessageV2, sendFields(topic, id, i%Queues, Queues), bodyOf(id, 50))
		if err != nil || a.Code != 0 || unknown > 0 {
			r.Fail("before the fault a message was not stored: %v %v", a, err)
			return
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for q := range int64(Queues) {
		wg.Add(1)
		go func() { defer wg.Done(); f.queue(topic, q, stop) }()
	}
	wg.Add(1)
	go func() { defer wg.Done(); f.queue(service.RetryPrefix+f.group, 0, stop) }()
	kills := 0
	for hop := range int64(retries + 1) {
		f.await(hop*messages + messages/2)
		if l := r.Leader(Groups[0]); l != nil {
			l.Kill()
			kills++
			r.again(l)
		}
	}
	f.dead(c, messages)
	close(stop)
	wg.Wait()
	r.Notes = slices.DeleteFunc(r.Notes, func(s string) bool { return strings.Contains(s, "back after") })
	r.Note("%d kills, %d lives of consumers, %d messages sent back more than once", kills, f.lives.Load(), f.again.Load())
	r.data["finish"] = func() {
		f.judge(messages, retries, r.everywhere(Groups[0], topic, Queues), r.everywhere(Groups[0], service.RetryPrefix+f.group, 1), r.everywhere(Groups[0], service.DeadPrefix+f.group, 1))
	}
}

// await waits until n copies are on their way to or in the retry topic or the dead letters.
func (f *failer) await(n int64) {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		f.mu.Lock()
		have := int64(0)
		for _, times := range f.back {
			have += int64(len(times))
		}
		f.mu.Unlock()
		if have >= n {
			return
		}
	}
	f.r.Fail("not %d were sent back in a minute", n)
}

// dead waits for the dead letters.
func (f *failer) dead(c *Caller, n int64) {
	var have int64
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		a, err := c.Once(wire.MaxOffset, []rpc.Field{{Name: "topic", Value: service.DeadPrefix + f.group}, {Name: "queueId", Value: "0"}}, nil)
		if err != nil || a.Code != 0 {
			continue
		}
		if have, _ = a.Int("offset", 0); have >= n {
			return
		}
	}
	f.r.Fail("%d dead letters after a minute, expected %d", have, n)
}

func (f *failer) queue(topic string, queue int64, stop chan struct{}) {
	for turn := int(queue); ; turn++ {
		select {
		case <-stop:
			return
		default:
		}
		c := f.r.Caller(Groups[0], turn)
		f.life(c, topic, queue, stop)
		c.Close()
		f.lives.Add(1)
		time.Sleep(5 * time.Millisecond)
	}
}

// life is one consumer's: it goes on where the group is, sends everything back, and dies in the middle of a batch.
func (f *failer) life(c *Caller, topic string, queue int64, stop chan struct{}) {
	who := []rpc.Field{{Name: "consumerGroup", Value: f.group}, {Name: "topic", Value: topic}, {Name: "queueId", Value: strconv.FormatInt(queue, 10)}}
	a, err := c.Once(wire.QueryConsumerOffset, who, nil)
	if err != nil || a.Code != 0 && a.Code != 22 {
		return
	}
	at, _ := a.Int("offset", 0)
	at = max(at, 0)
	for range 1 + rand.IntN(30) {
		select {
		case <-stop:
			return
		default:
		}
		a, err := c.Once(wire.PullMessage, append(who[:3:3], rpc.Field{Name: "queueOffset", Value: strconv.FormatInt(at, 10)}, rpc.Field{Name: "maxMsgNums", Value: "16"},
			rpc.Field{Name: "sysFlag", Value: "4"}, rpc.Field{Name: "commitOffset", Value: "0"}, rpc.Field{Name: "suspendTimeoutMillis", Value: "0"},
			rpc.Field{Name: "subscription", Value: "*"}, rpc.Field{Name: "subVersion", Value: "0"}), nil)
		if err != nil {
			return
		}
		if a.Code != 0 {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		for b := slices.Clone(a.Body); len(b) > 0; {
			v, err := message.Parse(b)
			if err != nil {
				f.r.Fail("pulled what is no message: %v", err)
				return
			}
			if b = b[len(v):]; !f.sendBack(c, v) || rand.IntN(20) == 0 {
				return
			}
			at = v.QueueOffset() + 1
		}
		_, _ = c.Once(wire.UpdateConsumerOffset, append(who[:3:3], rpc.Field{Name: "commitOffset", Value: strconv.FormatInt(at, 10)}), nil)
	}
}

// sendBack says that a message could not be consumed, until that is answered.
func (f *failer) sendBack(c *Caller, v message.View) bool {
	id := string(message.Property(v.Properties(), message.PropUniqKey))
	f.mu.Lock()
	if f.back[id] == nil {
		f.back[id] = map[int32]int64{}
	}
	if _, before := f.back[id][v.ReconsumeTimes()]; before {
		f.again.Add(1)
	} else {
		f.back[id][v.ReconsumeTimes()] = time.Now().UnixMilli()
	}
	f.mu.Unlock()
	for { // now and then again: the answer of the first may have been lost
		a, _, err := c.Do(time.Now().Add(20*time.Second), wire.SendMessageBack, []rpc.Field{
			{Name: "offset", Value: strconv.FormatInt(v.Position(), 10)}, {Name: "group", Value: f.group}, {Name: "delayLevel", Value: "0"}, {Name: "originMsgId", Value: id},
			{Name: "originTopic", Value: string(v.Topic())}, {Name: "unitMode", Value: "false"}, {Name: "maxReconsumeTimes", Value: "-1"},
		}, nil)
		if err != nil {
			return false
		}
		if a.Code != 0 {
			f.r.Fail("%s, sent back after %d attempts, is answered %d %s", id, v.ReconsumeTimes(), a.Code, a.Remark)
			return false
		}
		if rand.IntN(8) > 0 {
			return true
		}
		f.again.Add(1)
	}
}

// judge: each message has one copy of each retry, none before its time, and one dead letter.
func (f *failer) judge(messages, retries int, sent, again, dead map[Place]Kept) {
	for id, n := range copies(sent) {
		if n != 1 {
			f.r.Fail("%s is %d times in its topic", id, n)
		}
	}
	attempts, early := map[string]map[int32]int{}, 0
	for place, k := range again {
		if attempts[k.ID] == nil {
			attempts[k.ID] = map[int32]int{}
		}
		attempts[k.ID][k.Times]++
		before, ok := f.back[k.ID][k.Times-1]
		if !ok {
			f.r.Fail("%v holds attempt %d of %s, which nobody sent back", place, k.Times, k.ID)
		}
		if k.StoreTime < before+retryEvery.Milliseconds() {
			early++
		}
	}
	wrong, copied := 0, 0
	for i := range int64(messages) {
		times := attempts[uniqID(f.r.Row.Number, i)]
		for k := int32(1); k <= int32(retries); k++ {
			if copied += times[k]; times[k] != 1 {
				wrong++
			}
		}
	}
	for place, k := range dead {
		if k.Times != int32(retries+1) {
			f.r.Fail("the dead letter at %v was consumed %d times", place, k.Times)
		}
	}
	letters := copies(dead)
	f.r.Note("%d retries of %d messages, %d dead letters", copied, messages, len(dead))
	if early+wrong > 0 || len(letters) != messages || len(dead) != messages {
		f.r.Fail("RETRIES: %d early, %d hops not exactly once, %d dead letters of %d messages, expected %d", early, wrong, len(dead), len(letters), messages)
	}
}
