package brokertest

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// timerRows are W5: scheduled messages and their cancels.
func timerRows() []*Row {
	return []*Row{
		{Number: 36, Fault: "1 000 000 scheduled messages are due in one ms; their leader is killed while they drain", Workload: "W1 W5 W7", Pause: 20 * time.Millisecond, Run: timerStorm},
		{Number: 37, Fault: "cancels race with due times, while leaders are killed", Workload: "W1 W5 W7", Pause: 20 * time.Millisecond, Run: cancelRace},
		{Number: 38, Fault: "all three are down when scheduled messages are due", Workload: "W1 W5 W7", Pause: 10 * time.Millisecond, Run: downWhenDue},
	}
}

// timed is the history of one scheduled message.
type timed struct {
	due    int64 // ms
	acked  bool
	cancel string // what its cancel was answered; "": it was not cancelled; "?": nobody knows
}

// timers is a set of scheduled messages of the first broker group, all of one topic.
type timers struct {
	r      *Round
	row    int
	topic  string
	queues int64

	mu   sync.Mutex
	byID map[string]*timed
	next atomic.Int64
}

func newTimers(r *Round, topic string) *timers {
	t := &timers{r: r, row: r.Row.Number, topic: topic, queues: Queues, byID: map[string]*timed{}}
	r.MakeTopic(Groups[0], topic, Queues)
	return t
}

// schedule makes a message that is due at a time, and the request that sends it.
func (t *timers) schedule(due int64) (id string, fields []rpc.Field) {
	n := t.next.Add(1)
	id = uniqID(t.row, n)
	t.mu.Lock()
	t.byID[id] = &timed{due: due}
	t.mu.Unlock()
	return id, sendFields(t.topic, id, n%t.queues, t.queues, "TIMER_DELIVER_MS", strconv.FormatInt(due, 10))
}

func (t *timers) acked(id string) {
	t.mu.Lock()
	t.byID[id].acked = true
	t.mu.Unlock()
}

func (t *timers) cancelled(id, outcome string) {
	t.mu.Lock()
	t.byID[id].cancel = outcome
	t.mu.Unlock()
}

// park schedules n messages over many connections, until some time; it gives how many were acked.
func (t *timers) park(n int, due int64, until time.Time, addr string) int {
	const conns, width = 16, 250
	var wg sync.WaitGroup
	var acked atomic.Int64
	for range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for left := n / conns; left > 0 && time.Now().Before(until); left -= width {
				acked.Add(t.parkSome(min(left, width), due, addr))
			}
		}()
	}
	wg.Wait()
	return int(acked.Load())
}

func (t *timers) parkSome(n int, due int64, addr string) (acked int64) {
	ids := make([]string, n)
	err := Pipeline(addr, n, n, func(i int) (int32, []rpc.Field, []byte) {
		id, fields := t.schedule(due)
		ids[i] = id
		return wire.SendMessageV2, fields, bodyOf(id, 100)
	}, func(i int, f *wire.Frame) {
		if f.Code == 0 {
			t.acked(ids[i])
			acked++
		}
	})
	if err != nil {
		t.r.Note("while they were parked: %v", err)
	}
	return acked
}

// counts of the broker group's scheduled messages; nil: nobody answers.
func (t *timers) counts(c *Caller) *inspect.ScheduledList {
	f, err := c.Once(wire.Scheduled, []rpc.Field{{Name: "limit", Value: "0"}}, nil)
	if err != nil || f.Code != 0 {
		return nil
	}
	var l inspect.ScheduledList
	if json.Unmarshal(f.Body, &l) != nil {
		return nil
	}
	return &l
}

// drained waits until nothing is pending.
func (t *timers) drained(patience time.Duration) {
	c := t.r.Caller(Groups[0], 0)
	defer c.Close()
	var l *inspect.ScheduledList
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if l = t.counts(c); l != nil && l.Pending == 0 {
			return
		}
	}
	t.r.Fail("scheduled messages are pending %v after they were due: %+v", patience, l)
}

// judge reads what came: each scheduled message once, none before its time, none whose cancel was acknowledged; a message whose cancel
// was refused because it is delivered, is there. Messages whose send has no answer came once or never.
func (t *timers) judge() { t.verdict(t.r.everywhere(Groups[0], t.topic, t.queues)) }

func (t *timers) verdict(kept map[Place]Kept) {
	came := copies(kept)
	early, lost, twice, wrong, acked, late := 0, 0, 0, 0, 0, []int64{}
	for place, k := range kept {
		s := t.byID[k.ID]
		if s == nil {
			t.r.Fail("%v holds %q, which nobody scheduled", place, k.ID)
			continue
		}
		if late = append(late, k.StoreTime-s.due); k.StoreTime < s.due {
			early++
		}
	}
	for id, s := range t.byID {
		n := came[id]
		if n > 1 {
			twice++
		}
		if !s.acked {
			continue
		}
		acked++
		switch s.cancel {
		case service.RecallCancelled:
			wrong += n
		case "", service.RecallTooLate:
			if n == 0 {
				lost++
			}
		}
	}
	slices.Sort(late)
	if len(late) > 0 {
		t.r.Note("%d of %d scheduled came, %d to %d ms after they were due (median %d)", len(late), acked, late[0], late[len(late)-1], late[len(late)/2])
	}
	if early+lost+twice+wrong > 0 {
		t.r.Fail("SCHEDULED: %d early, %d lost, %d more than once, %d came though they were cancelled", early, lost, twice, wrong)
	}
}

// timerStorm parks as many messages as come to be due in one ms, and kills leaders while they drain.
func timerStorm(r *Round) {
	const storm, parking = 1_000_000, 100 * time.Second
	t := newTimers(r, "storm")
	due := time.Now().Add(parking + 3*time.Second).UnixMilli()
	began := time.Now()
	n := t.park(storm, due, began.Add(parking), r.Leader(Groups[0]).Brokers[Groups[0]])
	r.Note("%d parked in %.1f s", n, time.Since(began).Seconds())
	c := r.Caller(Groups[0], 0)
	defer c.Close()
	before := t.counts(c)
	if before == nil || before.Fired != 0 || time.Now().UnixMilli() >= due {
		r.Fail("before the storm: %+v, %d ms before it", before, due-time.Now().UnixMilli())
		return
	}
	time.Sleep(time.Until(time.UnixMilli(due)))
	for _, share := range []int64{8, 2} {
		t.killWhenFired(c, int64(n)/share)
	}
	t.drained(90 * time.Second)
	r.Note("drained %.1f s after it was due", time.Since(time.UnixMilli(due)).Seconds())
	r.Note("%s acked %d of W1 meanwhile, its longest gap %v", Groups[0], r.P.AckedSince(Groups[0], time.UnixMilli(due)), ms(r.P.Gap(Groups[0], time.UnixMilli(due), time.Now())))
	r.data["finish"] = t.judge
}

// killWhenFired kills the leader when so many messages were fired, and starts it again.
func (t *timers) killWhenFired(c *Caller, n int64) {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		l := t.counts(c)
		if l == nil || l.Fired < n {
			continue
		}
		leader := t.r.Leader(Groups[0])
		if leader == nil {
			continue
		}
		at := time.Now()
		leader.Kill()
		t.r.Note("leader killed when %d were fired and %d pending", l.Fired, l.Pending)
		t.r.serving(Groups[0], at)
		t.r.again(leader)
		return
	}
	t.r.Fail("not %d were fired in time", n)
}

// cancelRace schedules messages and cancels each about when it is due.
func cancelRace(r *Round) {
	t := newTimers(r, "raced")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 24 {
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
					t.raceSome(c, 60)
				}
			}
		}()
	}
	kills := 0
	for r.More(2 * time.Second) {
		l := r.Leader(Groups[0])
		if l == nil {
			continue
		}
		l.Kill()
		kills++
		time.Sleep(500 * time.Millisecond)
		r.again(l)
	}
	close(stop)
	wg.Wait()
	t.drained(30 * time.Second)
	r.Note("%d kills", kills)
	r.data["finish"] = func() { t.outcomes(); t.judge() }
}

// raceSome schedules n messages and cancels them at their due times, some ms before or after.
func (t *timers) raceSome(c *Caller, n int) {
	type pair struct {
		id, handle string
		at         time.Time
	}
	var pairs []pair
	for range n {
		due := time.Now().Add(time.Second + time.Duration(rand.IntN(500))*time.Millisecond)
		id, fields := t.schedule(due.UnixMilli())
		f, err := c.Once(wire.SendMessageV2, fields, bodyOf(id, 60))
		if err != nil || f.Code != 0 {
			continue
		}
		t.acked(id)
		pairs = append(pairs, pair{id, f.String("recallHandle"), due.Add(time.Duration(rand.IntN(41)-25) * time.Millisecond)})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return a.at.Compare(b.at) })
	for _, p := range pairs {
		time.Sleep(time.Until(p.at))
		t.cancelled(p.id, t.recall(c, p.handle))
	}
}

// recall cancels, and asks again while the outcome is not known.
func (t *timers) recall(c *Caller, handle string) string {
	f, unknown, err := c.Do(time.Now().Add(10*time.Second), wire.RecallMessage, []rpc.Field{
		{Name: "producerGroup", Value: "by-hand"}, {Name: "topic", Value: t.topic}, {Name: "recallHandle", Value: handle},
	}, nil)
	switch {
	case err != nil:
		return "?"
	case f.Code == 0:
		return service.RecallCancelled
	}
	outcome := service.RecallOutcome(string(f.Remark))
	if unknown > 0 && (outcome == service.RecallAlready || outcome == service.RecallUnknown) { // by a try whose answer was lost
		return service.RecallCancelled
	}
	if outcome != service.RecallTooLate {
		t.r.Fail("a cancel that was tried once is answered %d %s", f.Code, f.Remark)
	}
	return outcome
}

// outcomes tells how the races ended.
func (t *timers) outcomes() {
	n := map[string]int{}
	for _, s := range t.byID {
		if s.cancel != "" {
			n[s.cancel]++
		}
	}
	t.r.Note("%d cancels: %d came in time, %d too late, of %d nobody knows", n["cancelled"]+n["too-late"]+n["?"], n["cancelled"], n["too-late"], n["?"])
	if n["cancelled"] == 0 || n["too-late"] == 0 {
		t.r.Fail("there was no race: %v", n)
	}
}

// downWhenDue schedules messages for the next seconds and takes the whole cluster down across their due times, kill -9 and orderly in turn.
func downWhenDue(r *Round) {
	t := newTimers(r, "down")
	addr := r.Leader(Groups[0]).Brokers[Groups[0]]
	for turn := 0; ; turn++ {
		n := 0
		for i := range 40 { // due from 1 s on, across the time when all are down
			n += int(t.parkSome(50, time.Now().Add(time.Second).UnixMilli()+int64(i)*150, addr))
		}
		time.Sleep(1500 * time.Millisecond)
		for _, node := range r.Nodes {
			if turn%2 == 0 {
				node.Signal(9)
			} else {
				node.Signal(15)
			}
		}
		for _, node := range r.Nodes {
			node.ended(30 * time.Second)
		}
		time.Sleep(4 * time.Second)
		for _, node := range r.Nodes {
			node.Start()
		}
		at := time.Now()
		if !r.Settle(60 * time.Second) {
			r.Fail("not all groups are led 60 s after they were all down")
		}
		t.drained(30 * time.Second)
		r.Note("%d scheduled; all of them delivered %.1f s after the start", n, time.Since(at).Seconds())
		if !r.More(time.Second) || turn > 3 {
			break
		}
		addr = r.Leader(Groups[0]).Brokers[Groups[0]]
	}
	r.data["finish"] = t.judge
}
