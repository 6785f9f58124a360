package ship

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/vfs"
	"github.com/contrailmq/contrail/tracing/derive"
	"github.com/contrailmq/contrail/tracing/derive/derivetest"
	"github.com/contrailmq/contrail/tracing/trail"
)

// world is a broker's log and notes, and a store.
type world struct {
	log   *derivetest.Log
	notes *notes.Log
	store *store
	disk  *vfs.Mem
	fault *vfs.Fault
	sent  int

	scheduled int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{log: derivetest.NewLog(), store: newStore(), disk: vfs.NewMem()}
	w.fault = &vfs.Fault{FS: w.disk}
	var err error
	if w.notes, err = notes.Open(notes.Options{FS: vfs.NewMem(), Dir: "notes", FileBytes: 4 << 10}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) shipper(t testing.TB, change func(*Options)) *Shipper {
	t.Helper()
	o := Options{Log: w.log, Notes: w.notes, Store: w.store, FS: w.fault, Dir: "trail", Broker: "broker-a", Node: "node-1"}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a shipper in the background; the returned function ends it and gives its error.
func run(s *Shipper) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() error { cancel(); return <-ended }
}

// await waits until all that was recorded is in the store.
func await(t testing.TB, s *Shipper) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Await(ctx, time.Now().UnixMicro()); err != nil {
		t.Fatalf("%v; status %+v", err, s.Status())
	}
}

// send appends an entry of n messages and, as the broker does, notes its times.
func (w *world) send(n int, commands ...derivetest.Command) {
	var messages []derivetest.Message
	for range n {
		messages = append(messages, derivetest.Message{Topic: "orders", Queue: int32(w.sent % 2), ID: fmt.Sprintf("ID%06d", w.sent)})
		w.sent++
	}
	now := time.Now().UnixMicro()
	r := w.log.Append(now, commands, messages...)
	w.notes.NoteEntryTimes(notes.EntryTimes{Index: r.Index, AppendedMicros: now, SyncedMicros: now + 10, AckedMicros: now + 20})
}

// schedule parks n messages, cancels the first and fires the others.
func (w *world) schedule(n int) {
	now := time.Now().UnixMicro()
	due := now/1000 + 1
	message := func(topic string, i int) derivetest.Message {
		return derivetest.Message{Topic: topic, ID: fmt.Sprintf("S%06d", w.scheduled+i), Properties: []string{"REAL_TOPIC", "later", "REAL_QID", "0", "TIMER_OUT_MS", fmt.Sprint(due)}}
	}
	var parked, fired []derivetest.Message
	for i := range n {
		parked = append(parked, message(timer.WheelTopic, i))
		if i > 0 {
			fired = append(fired, message("later", i))
		}
	}
	r := w.log.Append(now, nil, parked...)
	first := timer.Cursor{Due: due, Pos: r.DataPos}
	w.log.Append(now, []derivetest.Command{{Kind: entry.KindTimerCancel, Body: entry.AppendTimerCancel(nil, first, "shop-7")}})
	w.log.Append(now+2000, []derivetest.Command{{Kind: entry.KindTimerFire, Body: entry.AppendTimerFire(nil, timer.Cursor{}, timer.Cursor{Due: due, Pos: r.DataPos + 1<<20}, int64(len(fired)))}}, fired...)
	w.scheduled += n
}

func (w *world) deliver(from, to int64) {
	now := time.Now().UnixMicro()
	w.notes.NoteDelivery(&notes.Delivery{Topic: "orders", Group: "billing", QueueID: 0, From: from, To: to, RequestedMicros: now, SentMicros: now, Messages: uint32(to - from)})
}

func commit(offset int64) derivetest.Command {
	return derivetest.Commit(entry.Offset{Group: "billing", Topic: "orders", QueueID: 0, Offset: offset, AtMicros: time.Now().UnixMicro()})
}

func TestRowsArriveWithTheTimesOfTheirEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shipper(t, nil)
		stop := run(s)
		w.send(3)
		w.deliver(0, 2)
		w.send(0, commit(2))
		w.notes.NoteHappening(&notes.Happening{Kind: "connect", AtMicros: 5})
		await(t, s)
		rows, shipped, _ := w.store.copy()
		if len(rows.Messages) != 3 || len(rows.Deliveries) != 1 || len(rows.Settlements) != 1 || len(rows.Happenings) != 1 {
			t.Fatalf("rows %+v", rows)
		}
		for _, m := range rows.Messages {
			if m.SyncedMicros != m.AppendedMicros+10 || m.AckedMicros != m.AppendedMicros+20 || m.Node != "node-1" || m.Broker != "broker-a" {
				t.Errorf("message %+v", m.Message)
			}
		}
		if c := rows.Settlements[0]; c.From != 0 || c.To != 2 {
			t.Errorf("the first commit settles from the first delivery on: %+v", c)
		}
		if len(shipped) != 2 || shipped[0].Rows != 4 || shipped[0].Source != "log" || shipped[1].Rows != 2 || shipped[1].Source != "notes" {
			t.Errorf("ship_log %+v", shipped)
		}
		if st := s.Status(); st.RowsShipped != 6 || st.RowsNotRecorded != 0 || st.LagEntries != 0 {
			t.Errorf("status %+v", st)
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestAMessageIsVisibleSoonAfterItWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shipper(t, nil)
		stop := run(s)
		defer stop()
		var seen time.Duration
		var visible atomic.Int64
		w.store.set(func(what string) error {
			if what == "after messages" {
				visible.Store(time.Now().UnixNano())
			}
			return nil
		})
		for i := range 40 {
			time.Sleep(time.Duration(1000+37*i) * time.Millisecond)
			sentAt := time.Now().UnixNano()
			w.send(1)
			await(t, s)
			seen = max(seen, time.Duration(visible.Load()-sentAt))
		}
		if rows, _, _ := w.store.copy(); len(rows.Messages) != 40 || seen > 900*time.Millisecond {
			t.Errorf("%d messages, the latest visible after %s", len(rows.Messages), seen)
		}
	})
}

func TestAMessageDoesNotWaitForEverForItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shipper(t, nil)
		stop := run(s)
		defer stop()
		began := time.Now()
		w.log.Append(began.UnixMicro(), nil, derivetest.Message{Topic: "orders", ID: "A"})
		await(t, s)
		rows, _, _ := w.store.copy()
		if len(rows.Messages) != 1 || rows.Messages[0].SyncedMicros != 0 || time.Since(began) > 2*time.Second {
			t.Errorf("after %s: %+v", time.Since(began), rows.Messages)
		}
	})
}

func TestTimesOfALaterEntrySayThatNoneWillCome(t *testing.T) {
	var q timesQueue
	q.put(7, notes.EntryTimes{Index: 5, SyncedMicros: 50})
	if _, told := q.take(3); !told {
		t.Error("entry 3 still waits")
	}
	if got, told := q.take(5); !told || got.SyncedMicros != 50 || q.oldest(5, 99) != 7 {
		t.Errorf("entry 5: %+v %v, oldest note %d", got, told, q.oldest(5, 99))
	}
	if _, told := q.take(6); told || q.oldest(6, 99) != 99 {
		t.Errorf("entry 6 is told, oldest note %d", q.oldest(6, 99))
	}
}

// While the store is away nothing is read beyond one block; then it comes in full blocks, once.
func TestTheStoreComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		away := errors.New("connection refused")
		var down atomic.Bool
		down.Store(true)
		var tries atomic.Int64
		w.store.set(func(string) error {
			if down.Load() {
				tries.Add(1)
				return away
			}
			return nil
		})
		s := w.shipper(t, func(o *Options) { o.BlockRows = 500 })
		stop := run(s)
		defer stop()
		for range 600 {
			w.send(10)
			time.Sleep(time.Second)
		}
		st := s.Status()
		if st.RowsShipped != 0 || st.LastError == "" || st.LagEntries < 500 || st.LagMicros < 500e6 {
			t.Errorf("status %+v", st)
		}
		if n := tries.Load(); n < 60 || n > 400 {
			t.Errorf("%d tries in 10 minutes", n)
		}
		down.Store(false)
		await(t, s)
		rows, shipped, sizes := w.store.copy()
		if len(rows.Messages) != 6000 || len(holes(shipped)) != 0 {
			t.Errorf("%d messages, holes %+v", len(rows.Messages), holes(shipped))
		}
		if len(sizes) > 15 || slices.Max(sizes) > 510 {
			t.Errorf("6000 rows came in %d blocks, which hold 500 each: %v", len(sizes), sizes)
		}
	})
}

// recorded = stored + not recorded, while retention takes what the store did not want in time.
func TestWhatRetentionTookIsCountedPerTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shipper(t, func(o *Options) { o.BlockRows = 10 })
		stop := run(s)
		defer stop()
		w.send(6)
		await(t, s)
		w.store.set(func(string) error { return errors.New("away") })
		for range 50 {
			w.send(4)
			time.Sleep(100 * time.Millisecond)
		}
		w.log.Drop(40)
		began := time.Now()
		w.store.set(nil)
		w.send(4)
		await(t, s)
		rows, shipped, _ := w.store.copy()
		var entries, messages uint64
		for _, h := range holes(shipped) {
			if h.FromMicros == 0 || h.FromMicros > began.UnixMicro() || h.ToMicros < h.FromMicros || h.Node != "node-1" {
				t.Errorf("hole %+v names no time", h)
			}
			if h.Topic == "" {
				entries += h.NotRecorded
			} else if h.Topic == "orders" {
				messages += h.NotRecorded
			}
		}
		if stored := uint64(len(rows.Messages)); stored+messages != uint64(w.sent) || messages == 0 || entries == 0 {
			t.Errorf("%d sent, %d stored, %d not recorded in %d entries", w.sent, stored, messages, entries)
		}
		if st := s.Status(); st.RowsNotRecorded != messages {
			t.Errorf("status %+v, want %d not recorded", st, messages)
		}
	})
}

func TestLostNotesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var err error
		if w.notes, err = notes.Open(notes.Options{FS: vfs.NewMem(), Dir: "notes", FileBytes: 1000, TotalBytes: 3000}); err != nil {
			t.Fatal(err)
		}
		w.store.set(func(string) error { return errors.New("away") })
		s := w.shipper(t, nil)
		stop := run(s)
		defer stop()
		w.deliver(0, 1)
		time.Sleep(2 * time.Second)
		for i := range 300 {
			w.deliver(int64(i), int64(i+1))
			w.notes.Flush()
		}
		w.store.set(nil)
		await(t, s)
		_, shipped, _ := w.store.copy()
		if h := holes(shipped); len(h) != 1 || h[0].Source != "notes" || h[0].NotRecorded != w.notes.Stats().Lost-uint64(h[0].From-1) || h[0].FromMicros == 0 {
			t.Errorf("holes %+v, notes %+v", h, w.notes.Stats())
		}
	})
}

func TestADamagedEntryIsCountedAndTheRestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shipper(t, nil)
		stop := run(s)
		defer stop()
		w.send(2)
		w.log.Raw([]byte("no payload at all, but long enough for one"))
		w.send(2)
		await(t, s)
		rows, shipped, _ := w.store.copy()
		if h := holes(shipped); len(rows.Messages) != 4 || len(h) != 1 || h[0].Reason != reasonBad {
			t.Errorf("%d messages, holes %+v", len(rows.Messages), h)
		}
	})
}

func TestAFailingLogIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shipper(t, nil)
		stop := run(s)
		defer stop()
		w.log.Fail(errors.New("input/output error"))
		w.send(1)
		time.Sleep(5 * time.Second)
		if st := s.Status(); st.LastError == "" || st.RowsShipped != 0 {
			t.Errorf("status %+v", st)
		}
		w.log.Fail(nil)
		await(t, s)
		if rows, shipped, _ := w.store.copy(); len(rows.Messages) != 1 || len(holes(shipped)) != 0 {
			t.Errorf("%d messages, holes %+v", len(rows.Messages), holes(shipped))
		}
	})
}

func TestShippedNotesMayGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shipper(t, nil)
		stop := run(s)
		defer stop()
		for i := range 1000 {
			w.deliver(int64(i), int64(i+1))
			if i%50 == 0 {
				w.notes.Flush()
			}
		}
		await(t, s)
		time.Sleep(5 * time.Second)
		if st := w.notes.Stats(); st.Files > 1 || st.Lost != 0 {
			t.Errorf("%d files of %d bytes are kept", st.Files, st.Bytes)
		}
	})
}

// An entry that took the place of a shipped one is shipped: a log that does not wait for the disk may lose its end.
func TestAReplacedEndOfTheLogIsShipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shipper(t, nil)
		stop := run(s)
		for range 5 {
			w.send(1)
		}
		await(t, s)
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		w.log.Truncate(3) // the machine died
		for range 4 {
			w.send(1)
		}
		s = w.shipper(t, nil)
		stop = run(s)
		defer stop()
		await(t, s)
		rows, _, _ := w.store.copy()
		seen := map[string]int{}
		for _, m := range rows.Messages {
			seen[m.ID]++
		}
		for i := range 9 {
			if id := fmt.Sprintf("ID%06d", i); seen[id] != 1 {
				t.Errorf("%s is stored %d times", id, seen[id])
			}
		}
	})
}

// work is what a broker does while the shipper is killed again and again.
func (w *world) work(rng *rand.Rand, offsets *[2]int64) {
	switch rng.IntN(6) {
	case 0:
		from := offsets[0]
		offsets[0] += int64(1 + rng.IntN(3))
		w.deliver(from, offsets[0])
	case 1:
		if offsets[1] < offsets[0] {
			offsets[1] = offsets[0]
			w.send(0, commit(offsets[1]))
		}
	case 2:
		w.notes.NoteHappening(&notes.Happening{AtMicros: int64(1000 + w.sent), Kind: "connect"})
	case 3:
		w.log.Append(time.Now().UnixMicro(), nil, derivetest.Message{Topic: derive.TraceTopic, Body: []byte("Pub\x011\x01r\x01g\x01orders\x01A\x01\x01\x01h\x011\x015\x010\x01true\x02")})
	default:
		w.send(1 + rng.IntN(4))
	}
}

var errKilled = errors.New("killed")

// killer lets the n-th step of the store or the disk be the last one of the process, before or after its effect.
type killer struct {
	n    atomic.Int64
	kill context.CancelFunc
	dead atomic.Bool
}

func (k *killer) step() error {
	if k.dead.Load() {
		return errKilled
	}
	if k.n.Add(-1) == 0 {
		k.dead.Store(true)
		k.kill()
		return errKilled
	}
	return nil
}

// The process dies at every step that it takes, in turn: no row is missing, none is there twice.
func TestKilledAtEveryStep(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { killAtEveryStep(t, seed) })
		})
	}
}

func killAtEveryStep(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t)
	var offsets [2]int64
	small := func(o *Options) { o.BlockRows = 6 }
	for step := int64(1); step <= 80; step++ {
		for range 1 + rng.IntN(12) {
			w.work(rng, &offsets)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		k := &killer{kill: cancel}
		k.n.Store(1 + step%40)
		w.fault.Hook = func(vfs.Op, string) error { return k.step() }
		w.store.set(func(string) error { return k.step() })
		s := w.shipper(t, small)
		if seed%2 == 1 {
			s.stateSmall = -1 // the state is old at most restarts and learned again
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		_ = s.Await(ctx, time.Now().UnixMicro())
		cancel()
		<-ended
		w.fault.FS, w.fault.Hook = w.disk, nil
		if rng.IntN(2) == 0 { // the machine dies with it
			w.disk = w.disk.Crash(rng)
			w.fault.FS = w.disk
		}
	}
	w.store.set(nil)
	s := w.shipper(t, small)
	stop := run(s)
	defer stop()
	await(t, s)
	compare(t, w)
}

// compare holds what is stored against what one deriver that was never killed gives.
func compare(t *testing.T, w *world) {
	t.Helper()
	got, shipped, _ := w.store.copy()
	if h := holes(shipped); len(h) != 0 {
		t.Errorf("holes %+v", h)
	}
	want := &derivetest.Rows{}
	d := derive.New(derive.Options{Broker: "broker-a", Node: "node-1"})
	if _, err := w.log.Read(1, 1<<40, func(r entry.Record) error { return d.Record(&r, notes.EntryTimes{}, want) }); err != nil {
		t.Fatal(err)
	}
	var messages []string
	for i := range want.Messages {
		messages = append(messages, fmt.Sprint(want.Messages[i].Position))
	}
	var stored []string
	for i := range got.Messages {
		stored = append(stored, fmt.Sprint(got.Messages[i].Position))
	}
	if !reflect.DeepEqual(messages, stored) {
		i := 0
		for i < min(len(stored), len(messages)) && stored[i] == messages[i] {
			i++
		}
		t.Errorf("messages: %d stored, %d recorded; they differ at number %d", len(stored), len(messages), i)
	}
	if !reflect.DeepEqual(steps(got.Steps), steps(want.Steps)) {
		t.Errorf("%d steps stored, %d recorded", len(got.Steps), len(want.Steps))
	}
	covered := int64(0)
	for _, c := range got.Settlements { // ranges meet without gap or overlap
		if c.From >= 0 && c.From != covered {
			t.Errorf("settlement %d..%d after %d", c.From, c.To, covered)
		}
		covered = c.To
	}
	delivered := int64(0)
	for _, c := range got.Deliveries {
		if c.From != delivered || c.AgainTo != c.From {
			t.Errorf("delivery %d..%d, again to %d, after %d", c.From, c.To, c.AgainTo, delivered)
		}
		delivered = c.To
	}
	if len(got.Settlements) != len(want.Settlements) {
		t.Errorf("%d settlements, want %d", len(got.Settlements), len(want.Settlements))
	}
	contiguous(t, shipped)
}

func steps(all []trail.StoredStep) (positions []int64) {
	for i := range all {
		positions = append(positions, all[i].Position)
	}
	return positions
}

// contiguous checks that ship_log's blocks of each source meet.
func contiguous(t *testing.T, shipped []trail.Shipped) {
	t.Helper()
	next := map[string]int64{}
	for _, s := range shipped {
		if s.NotRecorded > 0 {
			continue
		}
		if n, ok := next[s.Source]; ok && s.From != n {
			t.Errorf("%s: block from %d after one to %d", s.Source, s.From, n)
		}
		next[s.Source] = s.To
	}
}

// Retention takes entries of a block while the shipper that was killed over it is down.
func TestRetentionTakesTheIntent(t *testing.T) {
	for _, c := range []struct {
		name   string
		killed string // where the process died
		drop   uint64 // first entry that is left; the intent holds 1 to 5
		stored int    // messages that are in the store at the end, of 7
		lost   uint64 // counted
	}{
		{"it was recorded", "after ship_log", 4, 7, 0},
		{"its rows were written", "after messages", 4, 7, 3},
		{"its rows were written, nothing is left of it", "after messages", 6, 7, 5},
		{"it was not written", "before messages", 4, 4, 3},
		{"it was not written, and more is gone", "before messages", 7, 1, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for range 5 {
					w.send(1)
				}
				ctx, cancel := context.WithCancel(context.Background())
				var dead atomic.Bool
				die := func(what string) error {
					if dead.Load() || what == c.killed {
						dead.Store(true)
						cancel()
						return errKilled
					}
					return nil
				}
				w.store.set(die)
				w.fault.Hook = func(vfs.Op, string) error { return die("") }
				if err := w.shipper(t, nil).Run(ctx); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				w.send(1)
				w.send(1)
				w.log.Drop(c.drop)
				w.store.set(nil)
				w.fault.Hook = nil
				s := w.shipper(t, nil)
				stop := run(s)
				defer stop()
				await(t, s)
				rows, shipped, _ := w.store.copy()
				positions(t, rows)
				lost := untold(shipped)
				if len(rows.Messages) != c.stored || lost != c.lost {
					t.Errorf("%d messages stored, %d entries not recorded; want %d and %d; holes %+v", len(rows.Messages), lost, c.stored, c.lost, holes(shipped))
				}
			})
		})
	}
}

func TestADamagedStateCostsKnowledgeNotRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shipper(t, nil)
		stop := run(s)
		w.deliver(0, 4)
		w.send(8, commit(2))
		await(t, s)
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := w.disk.Flip("trail/ship.state", stateHeader+3, 1); err != nil {
			t.Fatal(err)
		}
		s = w.shipper(t, nil)
		stop = run(s)
		defer stop()
		w.send(1, commit(4))
		await(t, s)
		rows, shipped, _ := w.store.copy()
		if len(rows.Messages) != 9 || len(holes(shipped)) != 0 {
			t.Errorf("%d messages, holes %+v", len(rows.Messages), holes(shipped))
		}
		if c := rows.Settlements[1]; c.From != -1 || c.To != 4 {
			t.Errorf("where the commit began is not known any more, yet %+v", c)
		}
	})
}

func TestADamagedCheckpointStopsIt(t *testing.T) {
	w := newWorld(t)
	if err := vfs.WriteFileAtomic(w.disk, "trail/ship.checkpoint", []byte(`{"version": 9}`)); err != nil {
		t.Fatal(err)
	}
	if err := w.shipper(t, nil).Run(context.Background()); err == nil {
		t.Error("it ran with a checkpoint of another version")
	}
}

func TestNotesMadeAnewAreShippedFromTheirBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shipper(t, nil)
		stop := run(s)
		for i := range int64(50) {
			w.deliver(i, i+1)
		}
		await(t, s)
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		var err error
		if w.notes, err = notes.Open(notes.Options{FS: vfs.NewMem(), Dir: "notes"}); err != nil {
			t.Fatal(err)
		}
		w.deliver(50, 51)
		s = w.shipper(t, nil)
		stop = run(s)
		defer stop()
		await(t, s)
		if rows, _, _ := w.store.copy(); len(rows.Deliveries) != 51 {
			t.Errorf("%d deliveries", len(rows.Deliveries))
		}
	})
}

func TestATeeGetsEveryRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tee := &derivetest.Rows{}
		s := w.shipper(t, func(o *Options) { o.Tee = tee })
		stop := run(s)
		w.deliver(0, 2)
		w.send(3, commit(2))
		w.log.Append(time.Now().UnixMicro(), nil, derivetest.Message{Topic: derive.TraceTopic, Body: []byte("Pub\x011\x01r\x01g\x01orders\x01A\x01\x01\x01h\x011\x015\x010\x01true\x02")})
		w.notes.NoteHappening(&notes.Happening{Kind: "connect"})
		await(t, s)
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		rows, _, _ := w.store.copy()
		if !reflect.DeepEqual(tee, &rows) || tee.Rows() != 8 {
			t.Errorf("tee %+v\nstore %+v", tee, rows)
		}
	})
}

// Each block is told once, with all tries to write it; one that the stop gave up is told with its error.
func TestBlocksAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		type block struct {
			rows, bytes, tries int
			took               time.Duration
			err                error
		}
		var told []block
		failures := 2
		refuse := func(string) error {
			if failures--; failures >= 0 {
				return errors.New("connection refused")
			}
			return nil
		}
		w.store.set(refuse)
		s := w.shipper(t, func(o *Options) {
			o.Shipped = func(began time.Time, rows, bytes, tries int, err error) {
				told = append(told, block{rows, bytes, tries, time.Since(began), err})
			}
		})
		stop := run(s)
		w.send(5)
		await(t, s)
		w.store.set(func(string) error { return errors.New("away") })
		w.send(3)
		time.Sleep(time.Minute)
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if len(told) != 2 {
			t.Fatalf("%d blocks told: %+v", len(told), told)
		}
		if b := told[0]; b.rows != 5 || b.bytes == 0 || b.tries != 3 || b.err != nil || b.took < 2*backoffMin/2 || b.took > time.Second {
			t.Errorf("a block that was written at the third try: %+v", b)
		}
		if b := told[1]; b.rows != 3 || b.tries < 5 || !errors.Is(b.err, context.Canceled) {
			t.Errorf("a block that was given up: %+v", b)
		}
	})
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("no log, no store, and it was taken")
	}
}
