package ship

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/broker/vfs"
	"github.com/contrailmq/contrail/tracing/derive"
	"github.com/contrailmq/contrail/tracing/derive/derivetest"
	"github.com/contrailmq/contrail/tracing/trail"
)

// cluster is a broker group of several members with one log, and a store.
type cluster struct {
	log     *derivetest.Log
	store   *store
	to      trail.Writer // the store, unless a test has another one
	members []*member
	sent    int
	acked   int64

	blockRows int
	linger    time.Duration
}

// member is one of them: all have the same entries, each has notes of its own.
type member struct {
	c         *cluster
	name      string
	notes     *notes.Log
	disk      *vfs.Mem
	leads     atomic.Bool
	held      atomic.Uint64 // entries that it has not heard of yet, from the end
	shipper   *Shipper
	life      *life
	delivered int64
	reads     atomic.Int64 // of the log
	to        trail.Writer // nil: the cluster's
}

// life is one process of a member.
type life struct {
	dead   atomic.Bool
	cancel context.CancelFunc
	ended  chan error
	mu     sync.Mutex
	pauses map[string]time.Duration // at a step of the store
	kills  map[string]bool
}

type lifeKey struct{}

func newCluster(t testing.TB, n int) *cluster {
	t.Helper()
	c := &cluster{log: derivetest.NewLog(), store: newStore(), blockRows: 12}
	c.store.askOf, c.to = c.asked, c.store
	for i := range n {
		m := &member{c: c, name: fmt.Sprint("node-", i+1), disk: vfs.NewMem()}
		var err error
		if m.notes, err = notes.Open(notes.Options{FS: vfs.NewMem(), Dir: "notes", FileBytes: 4 << 10}); err != nil {
			t.Fatal(err)
		}
		c.members = append(c.members, m)
	}
	return c
}

// asked lets a process die or sleep at a step of the store. A sleeping one does not hold up the others.
func (c *cluster) asked(ctx context.Context, what string) error {
	l, _ := ctx.Value(lifeKey{}).(*life)
	if l == nil {
		return nil
	}
	l.mu.Lock()
	pause, kill := l.pauses[what], l.kills[what]
	delete(l.pauses, what)
	l.mu.Unlock()
	if pause > 0 {
		c.store.mu.Unlock()
		time.Sleep(pause)
		c.store.mu.Lock()
	}
	if kill {
		l.dead.Store(true)
		l.cancel()
	}
	if l.dead.Load() {
		return errKilled
	}
	return nil
}

// Log as the member sees it.
func (m *member) First() uint64 { return m.c.log.First() }
func (m *member) Committed() uint64 {
	return max(m.c.log.Committed(), m.held.Load()) - m.held.Load()
}
func (m *member) Read(from uint64, n int, f func(entry.Record) error) (uint64, error) {
	m.reads.Add(1)
	if from > m.Committed() {
		return from, nil
	}
	return m.c.log.Read(from, n, f)
}

// start begins a process.
func (m *member) start(t testing.TB, kills ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m.life = &life{cancel: cancel, ended: make(chan error, 1), pauses: map[string]time.Duration{}, kills: map[string]bool{}}
	for _, k := range kills {
		m.life.kills[k] = true
	}
	to := m.to
	if to == nil {
		to = m.c.to
	}
	s, err := New(Options{
		Log: m, Notes: m.notes, Store: to, FS: m.disk, Dir: "trail", Broker: "broker-a", Node: m.name, Group: "g1", Leads: m.leads.Load, BlockRows: m.c.blockRows, Linger: m.c.linger,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.shipper = s
	l := m.life
	go func() { l.ended <- s.Run(context.WithValue(ctx, lifeKey{}, l)) }()
}

// kill ends the process where it is.
func (m *member) kill() {
	if m.life == nil {
		return
	}
	m.life.dead.Store(true)
	m.life.cancel()
	<-m.life.ended
	m.life = nil
}

func (m *member) pause(what string, d time.Duration) {
	m.life.mu.Lock()
	defer m.life.mu.Unlock()
	m.life.pauses[what] = d
}

// lead makes one member the leader.
func (c *cluster) lead(i int) {
	for k, m := range c.members {
		m.leads.Store(k == i)
	}
}

func (c *cluster) leader() *member {
	for _, m := range c.members {
		if m.leads.Load() {
			return m
		}
	}
	return c.members[0]
}

// work appends an entry of messages, a commit and a client's report, and the leader notes its times.
func (c *cluster) work(n int) {
	var all []derivetest.Message
	for range n {
		all = append(all, derivetest.Message{Topic: "orders", Queue: 0, ID: fmt.Sprintf("ID%06d", c.sent), Producer: 7})
		c.sent++
	}
	all = append(all, derivetest.Message{Topic: derive.TraceTopic, Body: []byte("Pub\x011\x01r\x01g\x01orders\x01A\x01\x01\x01h\x011\x015\x010\x01true\x02")})
	now := time.Now().UnixMicro()
	var commands []derivetest.Command
	if c.log.Committed() == 0 {
		commands = append(commands, derivetest.Define(entry.Producer{Ref: 7, Group: "shop", ClientID: "c@1"}))
	}
	if c.acked < int64(c.sent-n) {
		c.acked = int64(c.sent - n)
		commands = append(commands, commit(c.acked))
	}
	r := c.log.Append(now, commands, all...)
	c.leader().notes.NoteEntryTimes(notes.EntryTimes{Index: r.Index, AppendedMicros: now, SyncedMicros: now + 10, AckedMicros: now + 20})
}

func (m *member) deliver() {
	now := time.Now().UnixMicro()
	m.notes.NoteDelivery(&notes.Delivery{Topic: "orders", Group: m.name, From: m.delivered, To: m.delivered + 1, RequestedMicros: now, SentMicros: now, Messages: 1})
	m.delivered++
}

// derived are the log's rows as one deriver gives them that was never stopped.
func (c *cluster) derived(t testing.TB) *derivetest.Rows {
	t.Helper()
	rows, d := &derivetest.Rows{}, derive.New(derive.Options{Broker: "broker-a", Node: "x"})
	if _, err := c.log.Read(1, 1<<40, func(r entry.Record) error { return d.Record(&r, notes.EntryTimes{}, rows) }); err != nil {
		t.Fatal(err)
	}
	return rows
}

// check holds what is stored against the log and the notes: everything once.
func (c *cluster) check(t testing.TB) {
	t.Helper()
	got, shipped, _ := c.store.copy()
	if h := holes(shipped); len(h) != 0 {
		t.Errorf("holes %+v", h)
	}
	want := c.derived(t)
	once(t, "message", len(want.Messages), got.Messages, func(m *trail.StoredMessage) int64 { return m.Position })
	once(t, "settlement", len(want.Settlements), got.Settlements, func(s *trail.StoredSettlement) int64 { return s.Position })
	once(t, "step", len(want.Steps), got.Steps, func(s *trail.StoredStep) int64 { return s.Position })
	for i := range got.Settlements {
		if s := &got.Settlements[i]; s.From != want.Settlements[i].From && s.From != 0 {
			t.Errorf("settlement %d..%d, it began at %d", s.From, s.To, want.Settlements[i].From)
		}
	}
	for i := range got.Messages {
		if m := &got.Messages[i]; m.Topic == "orders" && m.ProducerGroup != "shop" {
			t.Errorf("%s: its producer was forgotten", m.ID)
		}
	}
	for _, m := range c.members {
		next := int64(0)
		for _, r := range got.Deliveries {
			if r.Group == m.name {
				if r.From != next || r.Node != m.name {
					t.Errorf("%s: delivery %d after %d by %s", m.name, r.From, next, r.Node)
				}
				next = r.To
			}
		}
		if next != m.delivered {
			t.Errorf("%s: %d of %d deliveries", m.name, next, m.delivered)
		}
	}
	c.checkLog(t, shipped, len(got.Messages)+len(got.Settlements)+len(got.Steps))
}

// checkLog holds ship_log against the rows: its blocks of the log meet, whoever wrote them.
func (c *cluster) checkLog(t testing.TB, shipped []trail.Shipped, rows int) {
	t.Helper()
	var sum uint64
	next := int64(0)
	for _, s := range shipped {
		if s.Broker != "broker-a" {
			t.Errorf("ship_log without a broker: %+v", s)
		}
		if s.Source == sourceLog {
			if s.From != next {
				t.Errorf("block from %d by %s after one to %d", s.From, s.Node, next)
			}
			next, sum = s.To, sum+s.Rows
		}
	}
	if sum != uint64(rows) {
		t.Errorf("ship_log counts %d rows, there are %d", sum, rows)
	}
}

func once[T any](t testing.TB, what string, want int, rows []T, position func(*T) int64) {
	t.Helper()
	seen := map[int64]int{}
	for i := range rows {
		seen[position(&rows[i])]++
	}
	for p, n := range seen {
		if n > 1 {
			t.Errorf("%s at %d is there %d times", what, p, n)
		}
	}
	if len(seen) != want {
		t.Errorf("%d of %d %ss", len(seen), want, what)
	}
}

func (c *cluster) await(t testing.TB) {
	t.Helper()
	for _, m := range c.members {
		if m.life != nil {
			await(t, m.shipper)
		}
	}
}

func (c *cluster) stop() {
	for _, m := range c.members {
		m.kill()
	}
}

// storeSteps are where a process may end within a block.
var storeSteps = []string{
	"before cuts", "after cuts", "before messages", "after messages", "before settlements", "after settlements", "before steps", "after steps",
	"before ship_log", "after ship_log",
}

// startCluster is a cluster whose first member leads and all of whose members ship.
func startCluster(t *testing.T, n int) *cluster {
	c := newCluster(t, n)
	c.lead(0)
	for _, m := range c.members {
		m.start(t)
	}
	return c
}

// The leader dies in the middle of a block: the next one completes it. It comes back as a follower and stays quiet, then leads again.
func TestTheNextLeaderCompletesTheBlock(t *testing.T) {
	for _, at := range storeSteps {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := startCluster(t, 3)
				defer c.stop()
				c.work(3)
				c.members[1].deliver() // a follower may have served a pull
				c.await(t)
				c.members[0].life.mu.Lock()
				c.members[0].life.kills[at] = true
				c.members[0].life.mu.Unlock()
				c.work(4)
				time.Sleep(2 * time.Second)
				c.lead(1)
				c.members[0].kill()
				c.work(5)
				c.await(t)
				c.check(t)
				c.members[0].start(t, "before cuts", "last cut") // as a follower it asks for neither
				c.members[0].deliver()
				c.work(2)
				c.await(t)
				if c.members[0].life.dead.Load() || c.members[2].reads.Load() > 0 {
					t.Error("a follower cut or read the log")
				}
				c.members[0].kill()
				c.members[0].start(t)
				c.lead(0)
				c.work(2)
				c.await(t)
				c.check(t)
			})
		})
	}
}

// The leader sleeps in the middle of a block while the next one ships, and wakes up where it was, believing that it leads.
func TestALeaderThatSleptWritesNothingTwice(t *testing.T) {
	for _, at := range storeSteps {
		for _, nap := range []time.Duration{3 * time.Second, 3 * time.Minute} {
			t.Run(fmt.Sprint(at, " ", nap), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCluster(t, 2)
					defer c.stop()
					c.lead(0)
					c.members[0].start(t)
					c.members[1].start(t)
					c.work(3)
					c.await(t)
					c.members[0].pause(at, nap)
					c.work(4)
					time.Sleep(time.Second)
					c.members[1].leads.Store(true) // both believe it now
					for range 5 {
						c.work(6)
						time.Sleep(700 * time.Millisecond)
					}
					await(t, c.members[1].shipper)
					c.check(t)
					time.Sleep(nap)
					c.lead(1)
					c.work(1)
					c.await(t)
					c.check(t)
				})
			})
		}
	}
}

// Leaders come and go at random, die, sleep, and lead two at a time.
func TestLeadersComeAndGo(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { comeAndGo(t, rand.New(rand.NewPCG(seed, 5))) })
		})
	}
}

func comeAndGo(t *testing.T, rng *rand.Rand) {
	c := newCluster(t, 3)
	defer c.stop()
	for _, m := range c.members {
		m.start(t)
	}
	c.lead(0)
	for range 150 {
		m := c.members[rng.IntN(3)]
		step := storeSteps[rng.IntN(len(storeSteps))]
		switch rng.IntN(12) {
		case 0:
			c.lead(rng.IntN(3))
		case 1:
			m.leads.Store(true) // beside another one
		case 2:
			m.kill()
			m.start(t)
		case 3:
			m.kill()
			m.start(t, step)
		case 4:
			m.pause(step, time.Duration(rng.IntN(10_000))*time.Millisecond)
		case 5:
			m.held.Store(uint64(rng.IntN(4)))
		case 6:
			m.deliver()
		case 7:
			m.leads.Store(false)
		default:
			c.work(1 + rng.IntN(6))
		}
		time.Sleep(time.Duration(rng.IntN(900)) * time.Millisecond)
	}
	for _, m := range c.members {
		m.held.Store(0)
		m.kill()
		m.start(t)
	}
	c.lead(rng.IntN(3))
	c.work(1)
	c.await(t)
	c.check(t)
}

// A node that shipped for itself becomes a member: what it had shipped is not shipped again, and its half-written block ends as it
// began.
func TestAGroupOfOneGrows(t *testing.T) {
	for _, at := range []string{"before messages", "after messages", "after ship_log", ""} {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 2)
				defer c.stop()
				m := c.members[0]
				alone, err := New(Options{Log: m, Notes: m.notes, Store: c.store, FS: m.disk, Dir: "trail", Broker: "broker-a", Node: m.name})
				if err != nil {
					t.Fatal(err)
				}
				c.work(3)
				m.deliver()
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				l := &life{cancel: cancel, kills: map[string]bool{at: true}}
				if err := alone.Run(context.WithValue(ctx, lifeKey{}, l)); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				c.lead(0)
				m.start(t)
				c.members[1].start(t)
				c.work(3)
				c.await(t)
				c.check(t)
				c.lead(1)
				c.work(3)
				m.deliver()
				c.await(t)
				c.check(t)
			})
		})
	}
}

// Retention takes a half-written block before the next leader can complete it: what is left of it is there once.
func TestRetentionBeforeTheTakeover(t *testing.T) {
	for at, lost := range map[string]uint64{"before messages": 2, "after messages": 2, "after ship_log": 0} {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 2)
				defer c.stop()
				c.lead(0)
				c.members[0].start(t, at)
				for range 4 {
					c.work(2)
				}
				time.Sleep(2 * time.Second)
				c.members[0].kill()
				c.log.Drop(3)
				c.lead(1)
				c.members[1].start(t)
				c.work(1)
				c.await(t)
				rows, shipped, _ := c.store.copy()
				positions(t, rows)
				holed := untold(shipped)
				if holed != lost || at != "before messages" && len(rows.Messages) != 4*3+2 {
					t.Errorf("%d entries in holes, %d messages", holed, len(rows.Messages))
				}
			})
		})
	}
}

// The end of the log was lost by all members, which had not waited for their disks, and was replaced.
func TestAReplacedEndIsShippedByTheNextLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		defer c.stop()
		c.lead(0)
		c.members[0].start(t)
		for range 5 {
			c.work(1)
		}
		c.await(t)
		c.members[0].kill()
		c.log.Truncate(3)
		for range 4 {
			c.work(1)
		}
		c.lead(1)
		c.members[1].start(t)
		c.await(t)
		rows, _, _ := c.store.copy()
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

// While the store's host is away everything waits, and the status says why; then nothing is missing.
func TestTheHostIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.stop()
		c.work(3)
		c.await(t)
		var away atomic.Bool
		away.Store(true)
		c.store.set(nil)
		c.store.mu.Lock()
		c.store.askOf = func(context.Context, string) error {
			if away.Load() {
				return errors.New("node 1 is away")
			}
			return nil
		}
		c.store.mu.Unlock()
		for i := range 20 {
			c.lead(i % 3)
			c.work(5)
			c.members[(i+1)%3].deliver()
			time.Sleep(3 * time.Second)
		}
		since := time.Now().Add(-45 * time.Second).UnixMicro() // who has nothing to ship has shipped all
		for i, m := range c.members {
			st := m.shipper.Status()
			if st.LastError != "node 1 is away" || st.ShippedToMicros > since || st.ShipsLog != (i == 1) {
				t.Errorf("%s: %+v", m.name, st)
			}
		}
		away.Store(false)
		c.await(t)
		c.check(t)
		if st := c.members[1].shipper.Status(); st.LagEntries != 0 || st.RowsShipped == 0 || st.RowsNotRecorded != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A member that led for long has many times of entries that are shipped: they are in nobody's way.
func TestTimesOfShippedEntriesDoNotFillTheQueue(t *testing.T) {
	c := newCluster(t, 1)
	defer c.stop()
	m := c.members[0]
	for range timesMax + 5000 {
		r := c.log.Append(1, nil)
		m.notes.NoteEntryTimes(notes.EntryTimes{Index: r.Index, AppendedMicros: 1, SyncedMicros: 2})
	}
	first := trail.Cut{Broker: "broker-a", Group: "g1", Seq: 1, From: c.log.Committed() + 1, To: c.log.Committed() + 1, FromTerm: 1, ToTerm: 1, Mark: "m"}
	if _, err := c.store.Decide(context.Background(), first); err != nil {
		t.Fatal(err)
	}
	m.leads.Store(true)
	m.start(t)
	await(t, m.shipper)
}

func TestTheNodeOfARowIsWhoLed(t *testing.T) {
	d := derive.New(derive.Options{Broker: "b", Node: "node-2", LedBy: func(term uint64) string { return fmt.Sprint("node-of-", term) }})
	log, rows := derivetest.NewLog(), &derivetest.Rows{}
	r := log.Append(1, nil, derivetest.Message{Topic: "t", ID: "A"})
	if err := d.Record(&r, notes.EntryTimes{}, rows); err != nil || rows.Messages[0].Node != "node-of-1" {
		t.Errorf("%v %+v", err, rows.Messages)
	}
}

// spaced is a log whose entries are far apart without being large.
type spaced struct {
	first, last   uint64
	bytes, micros int64 // between two entries
}

func (l spaced) First() uint64     { return l.first }
func (l spaced) Committed() uint64 { return l.last }
func (l spaced) Read(from uint64, _ int, f func(entry.Record) error) (uint64, error) {
	var b entry.Builder
	return from, f(entry.Record{Index: from, Pos: int64(from) * l.bytes, Data: b.Start(nil, int64(from)*l.micros, 0)})
}

// A reign learns from far enough that every producer in use was defined behind it, and from no further than it must.
func TestHowFarBackAReignLearns(t *testing.T) {
	const mib, second = 1 << 20, 1_000_000
	for _, c := range []struct {
		log      spaced
		min, max uint64 // entries back from the last one
	}{
		{spaced{1, 100_000, mib, second}, 256, 512},           // a segment or two
		{spaced{1, 100_000, mib, second / 100}, 1024, 1024},   // fast: no further than relearnMax
		{spaced{1, 100_000, mib / 64, second}, 16384, 32768},  // slow
		{spaced{1, 200, mib, second}, 200, 200},               // all there is
		{spaced{99_900, 100_000, mib, second}, 101, 101},      // all that is left
		{spaced{99_999, 100_000, 300 * mib, second}, 2, 2},    // large ones
		{spaced{1, 100_000, 100 * mib, 100 * second}, 64, 64}, // a leap at least
	} {
		s := &Shipper{o: Options{Log: c.log}}
		at := boundary{LogNext: c.log.last + 1, LogPosition: int64(c.log.last+1) * c.log.bytes, LogMicros: int64(c.log.last) * c.log.micros}
		from := s.relearnFrom(&at)
		if back := at.LogNext - from; back < c.min || back > c.max {
			t.Errorf("%+v: %d entries back, expected %d to %d", c.log, back, c.min, c.max)
		}
	}
}
