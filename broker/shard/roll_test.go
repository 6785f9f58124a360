package shard

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/vfs"
)

// rolledGroup is a group with small segments and little room for its log, whose clock the test moves.
type rolledGroup struct {
	t      *testing.T
	s      Stepper
	fs     *vfs.Mem
	now    time.Time
	events []string
	rng    *rand.Rand
}

func newRolledGroup(t *testing.T, messages int) *rolledGroup {
	t.Helper()
	g := &rolledGroup{t: t, fs: vfs.NewMem(), now: time.Now(), rng: rand.New(rand.NewPCG(1, 1))}
	g.s, _ = parking(t, g.fs, messages)
	g.opens(g.s)
	return g
}

func (g *rolledGroup) opens(s Stepper) {
	s.opts.RetentionBytes = 4 * seglog.SegmentBytesMin
	s.opts.Now = func() time.Time { return g.now }
	s.opts.Event = func(kind, text string) { g.events = append(g.events, kind+": "+text) }
	g.s = s
}

func (g *rolledGroup) restart() {
	g.t.Helper()
	g.fs = g.fs.Kill()
	g.opens(stepped(g.t, g.fs))
}

// work lets everything that is due be done, for some ticks of 5 seconds.
func (g *rolledGroup) work(ticks int) {
	g.t.Helper()
	for range ticks {
		g.now = g.now.Add(5 * time.Second)
		g.s.Tick(g.now)
		for range 100 {
			g.s.Turn()
			switch {
			case g.s.Syncing():
				g.s.EndSync()
			case g.s.Seals():
				g.s.Seal()
			case g.s.Fires():
				g.s.Fire()
			case g.s.Rolls():
				g.s.Roll()
			}
		}
		if err := g.s.Failed(); err != nil {
			g.t.Fatal(err)
		}
	}
}

// write stores so many other messages that retention wants all that came before.
func (g *rolledGroup) write() {
	g.t.Helper()
	for range 20 {
		g.s.Submit(batch(g.s.Index().Lookup("orders"), nil, 30, g.rng, func(*Batch) {}))
		g.work(1)
	}
}

// begin stores other messages until a segment begins.
func (g *rolledGroup) begin(seq uint64) {
	g.t.Helper()
	for g.s.Log().ActiveSeq() < seq {
		g.s.Submit(batch(g.s.Index().Lookup("orders"), nil, 30, g.rng, func(*Batch) {}))
		settle(g.t, g.s)
	}
}

// scheduled are the pending messages by id: due times, and how often they were rolled.
func (g *rolledGroup) scheduled() (out map[string]int64, rolls map[string]string) {
	g.t.Helper()
	out, rolls = map[string]int64{}, map[string]string{}
	for _, e := range pending(g.t, g.s.Shard) {
		v := g.read(e.Pos, e.Size)
		run := v.Properties()
		id := string(message.Property(run, message.PropUniqKey))
		if due, ok := timer.ParseDue(message.Property(run, message.PropTimerOutMillis)); !ok || due != e.Due || len(v.Body()) != 100 {
			g.t.Fatalf("%s is due at %d, its entry says %d", id, due, e.Due)
		}
		out[id], rolls[id] = e.Due, string(message.Property(run, propRolls))
	}
	return out, rolls
}

func (g *rolledGroup) read(pos int64, size uint32) message.View {
	g.t.Helper()
	raw, err := g.s.Message(nil, pos, int(size))
	if err != nil {
		g.t.Fatal(err)
	}
	v, err := message.Parse(raw)
	if err != nil {
		g.t.Fatal(err)
	}
	return v
}

func sameTimes(a, b map[string]int64) bool {
	for id, due := range a {
		if b[id] != due {
			return false
		}
	}
	return len(a) == len(b)
}

// Messages that are due later than retention keeps their segments are parked again, as often as it takes, over restarts, too; and all come, once,
// with what they said.
func TestScheduledMessagesOutliveRetention(t *testing.T) {
	g := newRolledGroup(t, 100)
	want, _ := g.scheduled()
	var first uint64
	for round := range 4 {
		g.write()
		if segs := g.s.Log().Segments(); segs[0].Seq <= first || len(segs) > 10 {
			t.Fatalf("round %d: the log has %d segments from %d on, before from %d on", round, len(segs), segs[0].Seq, first)
		} else {
			first = segs[0].Seq
		}
		got, rolls := g.scheduled()
		if !sameTimes(got, want) {
			t.Fatalf("round %d: %d are pending, expected %d", round, len(got), len(want))
		}
		for id, n := range rolls {
			if round > 0 && n == "" {
				t.Fatalf("round %d: %s was rolled [%s] times", round, id, n)
			}
		}
		if round%2 == 1 {
			before := g.s.Timers().Save()
			if g.restart(); !bytes.Equal(g.s.Timers().Save(), before) {
				t.Fatal("the timers are others after a restart")
			}
		}
	}
	if c := g.s.Timers().Counts(); c.Rolled < 300 || c.Pending() != 100 {
		t.Fatalf("%+v", c)
	}
	g.fireAll(want)
}

// fireAll lets everything come due and compares what comes with what was wanted.
func (g *rolledGroup) fireAll(want map[string]int64) {
	t := g.t
	t.Helper()
	q := g.s.Index().Lookup("orders").Queue(1)
	_, from, _ := q.Bounds()
	g.now = time.UnixMilli(far(2000))
	g.work(5)
	got := map[string]int64{}
	for _, off := range span(from, from+int64(len(want))) {
		rows, err := q.Rows(nil, off, 1)
		if err != nil || len(rows) != 1 {
			t.Fatalf("offset %d: %d rows, %v", off, len(rows), err)
		}
		v := g.read(rows[0].Pos, rows[0].Size)
		id := string(message.Property(v.Properties(), message.PropUniqKey))
		if _, twice := got[id]; twice || len(v.Body()) != 100 {
			t.Fatalf("%s comes twice, or with %d bytes", id, len(v.Body()))
		}
		got[id], _ = timer.ParseDue(message.Property(v.Properties(), message.PropTimerOutMillis))
	}
	if !sameTimes(got, want) || g.s.Timers().Counts().Pending() != 0 {
		t.Fatalf("%d of %d came", len(got), len(want))
	}
}

func span(from, to int64) (out []int64) {
	for ; from < to; from++ {
		out = append(out, from)
	}
	return out
}

// When what is pending takes more than half of the room for the log it is not rolled round and round: it stays, and that is said.
func TestTooMuchThatIsPendingIsNotRolled(t *testing.T) {
	g := newRolledGroup(t, 1000)
	g.write()
	if c := g.s.Timers().Counts(); c.Rolled != 0 || c.Pending() != 1000 {
		t.Fatalf("%+v", c)
	}
	g.work(10)
	said := slices.DeleteFunc(slices.Clone(g.events), func(e string) bool {
		return !strings.HasPrefix(e, "timer-full: 1000 messages that are not due yet take about ")
	})
	if len(said) != 1 {
		t.Fatalf("%q of %q", said, g.events)
	}
}

// A roll is formed only in the state and the term in which it was found, and leaves out what was fired or cancelled meanwhile; what is about to be
// fired is waited for.
func TestARollIsFormedInTheStateInWhichItWasFound(t *testing.T) {
	for name, c := range map[string]struct {
		between func(*rolledGroup, []timer.Entry)
		rolled  int64
		pending int64
	}{
		"nothing":             {func(*rolledGroup, []timer.Entry) {}, 3, 3},
		"one is cancelled":    {func(g *rolledGroup, e []timer.Entry) { g.cancel(e[1]) }, 2, 2},
		"all are cancelled":   {func(g *rolledGroup, e []timer.Entry) { g.cancel(e[0]); g.cancel(e[1]); g.cancel(e[2]) }, 0, 0},
		"one is fired":        {func(g *rolledGroup, e []timer.Entry) { g.fire(e[:1]) }, 2, 2},
		"it was looked for":   {func(g *rolledGroup, e []timer.Entry) { g.s.lookedFor = e[1].Due }, 0, 3},
		"another term":        {func(g *rolledGroup, e []timer.Entry) { g.s.rolling.later.term-- }, 0, 3},
		"rolled by the other": {func(g *rolledGroup, e []timer.Entry) { g.s.rolling.later.from-- }, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRolledGroup(t, 3)
			all := pending(t, g.s.Shard)
			g.begin(2)
			g.s.heldSeq.Store(1)
			if g.s.Turn(); !g.s.Rolls() {
				t.Fatal("nothing is rolled")
			}
			c.between(g, all)
			g.s.Roll()
			settle(t, g.s)
			if counts := g.s.Timers().Counts(); counts.Rolled != c.rolled || counts.Pending() != c.pending {
				t.Fatalf("%+v", counts)
			}
		})
	}
}

func (g *rolledGroup) cancel(e timer.Entry) {
	g.t.Helper()
	proposed(g.t, g.s, entry.KindTimerCancel, entry.AppendTimerCancel(nil, e.Place(), "shop-7"))
}

func (g *rolledGroup) fire(es []timer.Entry) {
	g.t.Helper()
	proposed(g.t, g.s, entry.KindTimerFire, entry.AppendTimerFire(nil, g.s.Timers().Cursor(), es[len(es)-1].Place(), int64(len(es))))
}

// A fire that was found before a roll is over: it would pass over what is parked again.
func TestAFireFoundBeforeARollIsOver(t *testing.T) {
	g := newRolledGroup(t, 3)
	all := pending(t, g.s.Shard)
	g.now = time.UnixMilli(all[2].Due)
	if g.s.Turn(); !g.s.Fires() {
		t.Fatal("nothing is due")
	}
	g.s.lookedFor = 0 // another leader rolled, which had not looked for them
	g.begin(2)
	g.s.heldSeq.Store(1)
	g.s.Turn()
	g.s.Roll()
	settle(t, g.s)
	g.s.Fire()
	settle(t, g.s)
	if c := g.s.Timers().Counts(); c.Rolled != 3 || c.Fired != 0 {
		t.Fatalf("%+v", c)
	}
	g.work(1)
	if c := g.s.Timers().Counts(); c.Fired != 3 || c.Pending() != 0 {
		t.Fatalf("%+v", c)
	}
}

func TestPropertiesOfRolledMessages(t *testing.T) {
	const due = 1764500000123
	run := message.AppendProperty(nil, "TIMER_OUT_MS", "0000000000001")
	run = message.AppendProperty(run, "a", "b")
	for n := range 3 {
		run = rolledProperties(run, due+int64(n))
		want := message.AppendProperty(nil, "a", "b")
		want = message.AppendProperty(want, "TIMER_ROLL_TIMES", fmt.Sprint(n+1))
		want = message.AppendProperty(want, "TIMER_OUT_MS", fmt.Sprint(due+n))
		if !bytes.Equal(run, want) {
			t.Errorf("%q, expected %q", run, want)
		}
	}
	long := message.AppendProperty(message.AppendProperty(nil, "a", strings.Repeat("x", message.MaxProperties-32)), "TIMER_OUT_MS", "0000000000001")
	if got := rolledProperties(long, due); len(got) != len(long) || len(got) >= message.MaxProperties {
		t.Errorf("%d bytes of %d", len(got), len(long))
	}
}

// A shard with its goroutines rolls what retention wants, while it goes on.
func TestARunningShardRolls(t *testing.T) {
	s, err := Open(context.Background(), Options{FS: vfs.NewMem(), Dir: "data", ID: 1, SegmentBytes: seglog.SegmentBytesMin, Durable: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	for _, name := range []string{"orders", timer.WheelTopic} {
		if err := s.Do(ctx, entry.KindTopicPut, topicBody(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	topic, n := s.Index().Lookup(timer.WheelTopic), int64(0)
	for len(s.Log().Segments()) < 3 {
		done := make(chan error, 1)
		b := dated(t, parkedBatch(topic, 100, func(i int) int64 { return far(i) }))
		b.Done = func(b *Batch) { done <- b.Err }
		if s.Submit(b); <-done != nil {
			t.Fatal(b.Err)
		}
		n += 100
	}
	s.heldSeq.Store(2)
	s.inbox.kick()
	for seq := s.Log().Segments()[2]; s.Timers().Rolled() < seq.FirstPos-10_000; {
		if err := s.Barrier(ctx); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	if c := s.Timers().Counts(); c.Pending() != n || c.Rolled < n/2 {
		t.Fatalf("%+v, %d were scheduled", c, n)
	}
}
