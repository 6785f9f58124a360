package shard

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/vfs"
)

// parkedBatch is n messages that are parked, due at the times that due gives.
func parkedBatch(topic *queue.Topic, n int, due func(i int) int64) *Batch {
	b := &Batch{Done: func(*Batch) {}}
	for i := range n {
		from, at := len(b.Buf), due(i)
		props := message.AppendProperty(nil, message.PropUniqKey, fmt.Sprintf("id%d-%d", at, i))
		props = message.AppendProperty(props, message.PropRealTopic, "orders")
		props = message.AppendProperty(props, message.PropRealQueueID, "1")
		props = message.AppendProperty(props, message.PropTimerOutMillis, string(timer.AppendDue(nil, at)))
		b.Buf = message.Append(b.Buf, &message.Draft{Topic: []byte(topic.Name), Body: make([]byte, 100), Properties: props, BornHost: host, StoreHost: host})
		b.Items = append(b.Items, Item{From: from, To: len(b.Buf), Queue: topic.Queue(0)})
	}
	return b
}

// far is a due time that does not come while a test runs.
func far(minutes int) int64 { return time.Now().UnixMilli() + int64(minutes+1000)*60_000 }

// parking is a group in which n messages are parked, in several segments.
func parking(t *testing.T, fs vfs.FS, n int) (s Stepper, topic *queue.Topic) {
	t.Helper()
	s = stepped(t, fs)
	for _, name := range []string{"orders", timer.WheelTopic} {
		s.Command(entry.KindTopicPut, topicBody(t, name))
	}
	settle(t, s)
	topic, rng := s.Index().Lookup(timer.WheelTopic), rand.New(rand.NewPCG(1, 1))
	for left := n; left > 0; left -= 50 {
		s.Submit(parkedBatch(topic, min(left, 50), func(int) int64 { return far(rng.IntN(500)) }))
		settle(t, s)
	}
	return s, topic
}

func sealSome(t *testing.T, s Stepper, n int) {
	t.Helper()
	for range n {
		if !s.Seals() || !s.Seal() {
			t.Fatal("there are too few segments: the test shows too little")
		}
	}
}

func pending(t *testing.T, s *Shard) []timer.Entry {
	t.Helper()
	all, _, err := s.Timers().Due(nil, timer.DueMax, 1_000_000)
	if err != nil || s.Timers().Counts().Pending() != int64(len(all)) {
		t.Fatalf("%d of %+v: %v", len(all), s.Timers().Counts(), err)
	}
	return all
}

// proposed is a command of the timer that is applied.
func proposed(t *testing.T, s Stepper, k entry.Kind, body []byte) {
	t.Helper()
	done := s.Command(k, body)
	settle(t, s)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// What is parked is found again after a restart, whichever of its segments were sealed, and whatever was fired and cancelled before.
func TestParkedMessagesAreFoundAgain(t *testing.T) {
	for _, seals := range []int{0, 1, 3} {
		fs := vfs.NewMem()
		s, _ := parking(t, fs, 2000)
		all := pending(t, s.Shard)
		if len(all) != 2000 || !slices.IsSortedFunc(all, func(a, b timer.Entry) int { return a.Place().Compare(b.Place()) }) {
			t.Fatalf("%d are pending", len(all))
		}
		sealSome(t, s, seals)
		if got := pending(t, s.Shard); !slices.Equal(got, all) {
			t.Fatalf("%d are pending after %d seals", len(got), seals)
		}
		proposed(t, s, entry.KindTimerCancel, entry.AppendTimerCancel(nil, all[50].Place(), "shop-7"))
		proposed(t, s, entry.KindTimerCancel, entry.AppendTimerCancel(nil, all[1500].Place(), "shop-7"))
		proposed(t, s, entry.KindTimerFire, entry.AppendTimerFire(nil, timer.Cursor{}, all[99].Place(), 99))
		proposed(t, s, entry.KindTimerCancel, entry.AppendTimerCancel(nil, all[98].Place(), "shop-7")) // too late: nothing happens
		all = slices.Concat(all[100:1500], all[1501:])
		if got := pending(t, s.Shard); !slices.Equal(got, all) {
			t.Fatalf("%d are pending, expected %d", len(got), len(all))
		}
		counts := s.Timers().Counts()
		s = stepped(t, fs.Kill())
		if got := pending(t, s.Shard); !slices.Equal(got, all) || s.Timers().Counts() != counts {
			t.Fatalf("after %d seals and a restart %d are pending, %+v; expected %d, %+v", seals, len(got), s.Timers().Counts(), len(all), counts)
		}
		for s.Seals() {
			s.Seal()
		}
		if got := pending(t, s.Shard); !slices.Equal(got, all) {
			t.Fatalf("%d are pending when all is sealed", len(got))
		}
	}
}

// A sidecar that is lost, or whose timers are damaged, is made again from the log, byte for byte, whatever was fired meanwhile.
func TestLostTimersAreMadeAgain(t *testing.T) {
	fs := vfs.NewMem()
	s, _ := parking(t, fs, 2000)
	all := pending(t, s.Shard)
	sealSome(t, s, 2)
	proposed(t, s, entry.KindTimerFire, entry.AppendTimerFire(nil, timer.Cursor{}, all[99].Place(), 100))
	sealSome(t, s, 1)
	fs = fs.Kill()
	want := map[string][]byte{}
	for _, n := range fs.Names("data") {
		if !strings.HasSuffix(n, ".idx") {
			continue
		}
		name := filepath.Join("data", filepath.Base(n))
		b, err := vfs.ReadFile(fs, name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if want[name] = b; len(want) == 1 {
			err = fs.Flip(name, int64(len(b))/2, 1) // somewhere in rows, timers or keys
		} else {
			err = fs.Remove(name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s = stepped(t, fs)
	if got := pending(t, s.Shard); !slices.Equal(got, all[100:]) {
		t.Fatalf("%d are pending, expected %d", len(got), len(all)-100)
	}
	for name, b := range want {
		again, err := vfs.ReadFile(fs, name, 1<<20)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: %d bytes, %d before: %v", name, len(again), len(b), err)
		}
	}
	if len(want) != 3 {
		t.Errorf("%d sidecars", len(want))
	}
}

// A message that is parked and due before what was fired stops the member: it would never be delivered.
func TestAParkedMessageOfThePastStopsTheMember(t *testing.T) {
	s, topic := parking(t, vfs.NewMem(), 50)
	all := pending(t, s.Shard)
	proposed(t, s, entry.KindTimerFire, entry.AppendTimerFire(nil, timer.Cursor{}, all[20].Place(), 21))
	s.Submit(parkedBatch(topic, 1, func(int) int64 { return all[20].Due - 1 }))
	for range 5 {
		s.Turn()
		if s.Syncing() {
			s.EndSync()
		}
	}
	if err := s.Failed(); err == nil || !strings.Contains(err.Error(), timer.ErrPast.Error()) {
		t.Fatalf("%v", err)
	}
}

// Retention keeps a segment while something in it is to be fired, and says so once.
func TestRetentionKeepsWhatIsParked(t *testing.T) {
	var events []string
	fs := vfs.NewMem()
	s, _ := parking(t, fs, 1)
	rng := rand.New(rand.NewPCG(1, 1))
	s.opts.Event = func(kind, text string) { events = append(events, kind+": "+text) }
	s.opts.RetentionBytes = 1
	for range 20 {
		s.Submit(batch(s.Index().Lookup("orders"), nil, 30, rng, func(*Batch) {}))
		settle(t, s)
	}
	for s.Seals() {
		s.Seal()
	}
	segments := len(s.Log().Segments())
	for range 2 {
		if err := s.retain(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Log().Segments()); n != segments || segments < 3 {
		t.Fatalf("%d of %d segments are kept", n, segments)
	}
	if seq := s.HeldBack(); seq != 1 {
		t.Errorf("segment %d is held back", seq)
	}
	if len(events) != 1 || !strings.Contains(events[0], "retention-held: segment 1 and those after it are kept: 1 messages") {
		t.Fatalf("%q", events)
	}
	proposed(t, s, entry.KindTimerCancel, entry.AppendTimerCancel(nil, pending(t, s.Shard)[0].Place(), "shop-7"))
	if err := s.retain(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Log().Segments()); n >= segments || s.HeldBack() != 0 {
		t.Fatalf("%d of %d segments are kept, because of segment %d", n, segments, s.HeldBack())
	}
	s = stepped(t, fs.Kill())
	if got := pending(t, s.Shard); len(got) != 0 || s.Timers().Counts().Cancelled != 1 {
		t.Fatalf("%d are pending, %+v", len(got), s.Timers().Counts())
	}
}

func TestEntriesOfParkedMessages(t *testing.T) {
	const due, out = "1764500000123", message.PropTimerOutMillis
	want := timer.Entry{Due: 1764500000123, Pos: 77, Key: timer.KeyHash([]byte("orders"), []byte("id1"))}
	for name, c := range map[string]struct {
		properties []string
		ok         bool
	}{
		"parked":               {[]string{"REAL_TOPIC", "orders", "UNIQ_KEY", "id1", out, due}, true},
		"the last one counts":  {[]string{out, "1", "REAL_TOPIC", "old", "REAL_TOPIC", "orders", "UNIQ_KEY", "id1", out, due}, true},
		"without a topic":      {[]string{"UNIQ_KEY", "id1", out, due}, false},
		"without a due time":   {[]string{"REAL_TOPIC", "orders", "UNIQ_KEY", "id1"}, false},
		"a due time too short": {[]string{"REAL_TOPIC", "orders", "UNIQ_KEY", "id1", out, due[1:]}, false},
		"never":                {[]string{"REAL_TOPIC", "orders", "UNIQ_KEY", "id1", out, "0000000000000"}, false},
	} {
		var run []byte
		for i := 0; i < len(c.properties); i += 2 {
			run = message.AppendProperty(run, c.properties[i], c.properties[i+1])
		}
		v, err := message.Parse(message.Append(nil, &message.Draft{Topic: []byte(timer.WheelTopic), Properties: run, BornHost: host, StoreHost: host}))
		if err != nil {
			t.Fatal(err)
		}
		want.Size, want.Sum = uint32(len(v)), crc32.Checksum(v, castagnoli)
		if e, ok := parkedEntry(v, 77); ok != c.ok || ok && e != want {
			t.Errorf("%s: %+v %t", name, e, ok)
		}
	}
}

// Who gets everything as a snapshot has the same timers, and the members' states are equal.
func TestTimersComeWithASnapshot(t *testing.T) {
	p := newPair(t)
	p.leader.Command(entry.KindTopicPut, topicBody(t, timer.WheelTopic))
	settle(t, p.leader)
	topic := p.leader.Index().Lookup(timer.WheelTopic)
	for i := range 40 {
		p.leader.Submit(parkedBatch(topic, 50, func(j int) int64 { return far(i*7919%500) + int64(j) }))
		settle(t, p.leader)
	}
	all := pending(t, p.leader.Shard)
	proposed(t, p.leader, entry.KindTimerFire, entry.AppendTimerFire(nil, timer.Cursor{}, all[99].Place(), 100))
	proposed(t, p.leader, entry.KindTimerCancel, entry.AppendTimerCancel(nil, all[100].Place(), "shop-7"))
	oldest, err := p.leader.Timers().Oldest(math.MaxUint64, 10)
	if err != nil || len(oldest) != 10 {
		t.Fatal(oldest, err)
	}
	r := entry.TimerRoll{To: oldest[9].Pos + 1, Count: 10} // as if they were parked again
	proposed(t, p.leader, entry.KindTimerRoll, entry.AppendTimerRoll(nil, r))
	for p.leader.Seals() {
		p.leader.Seal()
	}
	segs := p.leader.Log().Segments()
	if err := p.leader.drop(segs[1].Seq, segs[1].FirstIndex, 1); err != nil { // so that the log does not begin with what the new one lacks
		t.Fatal(err)
	}
	p.learn()
	p.run(200, true)
	p.learned()
	if got, want := pending(t, p.fresh.Shard), pending(t, p.leader.Shard); !slices.Equal(got, want) || len(got) == 0 {
		t.Fatalf("%d are pending, %d at the leader", len(got), len(want))
	}
	if !bytes.Equal(encodeMark(0, p.fresh.checkpoint(1).hashes()), encodeMark(0, p.leader.checkpoint(1).hashes())) {
		t.Fatal("the states differ")
	}
}

// dated makes a batch of parked messages one whose due times the shard may raise.
func dated(t *testing.T, b *Batch) *Batch {
	t.Helper()
	for i := range b.Items {
		it := &b.Items[i]
		v, err := message.Parse(b.Buf[it.From:it.To])
		if err != nil {
			t.Fatal(err)
		}
		out := message.Property(v.Properties(), message.PropTimerOutMillis)
		it.Due, _ = timer.ParseDue(out)
		it.DueAt = bytes.LastIndex(v, out)
	}
	return b
}

// What is parked is due behind everything that was fired, or is about to be: it would be passed over, and never be delivered.
func TestDueTimesOfThePastAreRaised(t *testing.T) {
	s, topic := parking(t, vfs.NewMem(), 50)
	all := pending(t, s.Shard)
	fired := all[20].Place()
	past := func(b *Batch) { // due before, at and behind the fire
		s.Submit(dated(t, b))
		settle(t, s)
		for i, want := range []int64{fired.Due + 1, fired.Due + 1, fired.Due + 7} {
			if it := b.Items[i]; it.Due != want {
				t.Errorf("message %d is due at %d, expected %d", i, it.Due, want)
			}
		}
	}
	due := func(i int) int64 { return []int64{fired.Due - 1, fired.Due, fired.Due + 7}[i] }
	same := parkedBatch(topic, 3, due)
	done := s.Command(entry.KindTimerFire, entry.AppendTimerFire(nil, timer.Cursor{}, fired, 21))
	past(same) // in one entry with the fire
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	past(parkedBatch(topic, 3, due))
	if got := pending(t, s.Shard); len(got) != 29+6 {
		t.Fatalf("%d are pending", len(got))
	}
}

// What is formed and not applied is not in the table: nothing that is due behind it may be fired.
func TestNothingIsFiredPastWhatIsOnItsWay(t *testing.T) {
	s, topic := parking(t, vfs.NewMem(), 50)
	now := pending(t, s.Shard)[20].Due
	if upTo := s.mayFire(now); upTo != now {
		t.Fatalf("up to %d, now is %d", upTo, now)
	}
	s.Submit(dated(t, parkedBatch(topic, 1, func(int) int64 { return now + 5 })))
	s.Turn() // its entry waits for the disk
	if upTo := s.mayFire(now + 100); upTo != now+4 {
		t.Errorf("up to %d, %d is on its way", upTo, now+5)
	}
	settle(t, s)
	if upTo := s.mayFire(now + 100); upTo != now+100 {
		t.Errorf("up to %d when all is applied", upTo)
	}
	late := dated(t, parkedBatch(topic, 1, func(int) int64 { return now + 50 }))
	s.Submit(late)
	settle(t, s)
	if it := late.Items[0]; it.Due != now+101 {
		t.Errorf("due at %d, what is due up to %d was looked for", it.Due, now+100)
	}
}

// A sidecar whose timers are damaged while it is used is read no more: the log has them.
func TestTimersThatCannotBeReadAreMadeAgain(t *testing.T) {
	fs := vfs.NewMem()
	s, _ := parking(t, fs, 2000)
	all := pending(t, s.Shard)
	sealSome(t, s, 2)
	flipTimers(t, s, fs)
	_, _, err := s.Timers().Due(nil, timer.DueMax, 10_000)
	if !errors.Is(err, queue.ErrSidecar) {
		t.Fatalf("damage is not seen: %v", err)
	}
	if err := s.mendTimers(err); err != nil {
		t.Fatal(err)
	}
	if got := pending(t, s.Shard); !slices.Equal(got, all) {
		t.Fatalf("%d are pending, expected %d", len(got), len(all))
	}
	if other := errors.New("the disk"); s.mendTimers(other) != other {
		t.Error("another error is taken for damage")
	}
	s = stepped(t, fs.Kill())
	if got := pending(t, s.Shard); !slices.Equal(got, all) {
		t.Fatalf("%d are pending after a restart, expected %d", len(got), len(all))
	}
}

// flipTimers damages the first block of the timers of segment 1.
func flipTimers(t *testing.T, s Stepper, fs *vfs.Mem) {
	t.Helper()
	name := filepath.Join("data", "000000000001.idx")
	run := s.Index().Timers(1)
	size := int64(len(mustRead(t, fs, name)))
	for at := int64(40); ; at += 32 { // until it is one of the timers
		if at > size {
			t.Fatal("there are no timers in the sidecar")
		}
		if err := fs.Flip(name, at, 2); err != nil {
			t.Fatal(err)
		}
		if _, err := run.Read(nil, 0); err != nil {
			break
		}
		if err := fs.Flip(name, at, 2); err != nil {
			t.Fatal(err)
		}
	}
}

func mustRead(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fs, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dueNow is a group with one message that is due, and whose fire was found and not yet submitted.
func dueNow(t *testing.T, fs vfs.FS) Stepper {
	t.Helper()
	s, topic := parking(t, fs, 1)
	s.Submit(dated(t, parkedBatch(topic, 1, func(int) int64 { return time.Now().UnixMilli() - 1 })))
	settle(t, s)
	if !s.Fires() {
		t.Fatal("nothing is due")
	}
	return s
}

// What is due is stored again in its real topic, with its body and its properties, and is pending no more.
func TestWhatIsDueIsFired(t *testing.T) {
	s := dueNow(t, vfs.NewMem())
	s.Fire()
	settle(t, s)
	if c := s.Timers().Counts(); c.Fired != 1 || c.Pending() != 1 || s.Fires() {
		t.Fatalf("%+v", c)
	}
	rows, err := s.Index().Lookup("orders").Queue(1).Rows(nil, 0, 10)
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	raw, err := s.Message(nil, rows[0].Pos, int(rows[0].Size))
	if err != nil {
		t.Fatal(err)
	}
	v, err := message.Parse(raw)
	if err != nil || len(v.Body()) != 100 || len(message.Property(v.Properties(), message.PropTimerOutMillis)) != timer.DueDigits {
		t.Fatalf("%q %v", raw, err)
	}
}

// A fire that a leader found in an earlier term is not formed: the leaders between may have parked messages that are due before its end.
func TestAFireOfAnEarlierTermIsOver(t *testing.T) {
	s := dueNow(t, vfs.NewMem())
	s.firing.later[0].term--
	s.Fire()
	settle(t, s)
	if c := s.Timers().Counts(); c.Fired != 0 || !s.Fires() {
		t.Fatalf("%+v, looked for again: %t", c, s.Fires())
	}
	s.Fire()
	settle(t, s)
	if c := s.Timers().Counts(); c.Fired != 1 {
		t.Fatalf("%+v", c)
	}
}

// A block of a sidecar that turns out to be damaged while the leader looks for what is due does not stop it.
func TestDamagedTimersAreMendedWhenTheyAreDue(t *testing.T) {
	fs := vfs.NewMem()
	s, _ := parking(t, fs, 2000)
	sealSome(t, s, 2)
	now := far(2000)
	s.opts.Now = func() time.Time { return time.UnixMilli(now) }
	s.timers.DropBefore(0) // what is known of the next one
	flipTimers(t, s, fs)
	settle(t, s)
	for n := 0; n < 2000 && s.Timers().Counts().Fired < 2000; n++ {
		if s.Fires() {
			s.Fire()
		}
		settle(t, s)
	}
	if c := s.Timers().Counts(); c.Fired != 2000 {
		t.Fatalf("%+v", c)
	}
}

// A clock that is set back between the moment at which something is found to be due and the one at which it is stored: it waits.
func TestNothingComesBeforeItsTimeWhenTheClockIsSetBack(t *testing.T) {
	s := dueNow(t, vfs.NewMem())
	due := pending(t, s.Shard)[0].Due
	s.opts.Now = func() time.Time { return time.UnixMilli(due - 1) }
	s.lastMicros = 0 // nothing was stored for a while
	s.Fire()
	settle(t, s)
	if c := s.Timers().Counts(); c.Fired != 0 || s.Fires() {
		t.Fatalf("%+v, it is looked for again: %t", c, s.Fires())
	}
	s.opts.Now = func() time.Time { return time.UnixMilli(due) }
	settle(t, s)
	s.Fire()
	settle(t, s)
	if c := s.Timers().Counts(); c.Fired != 1 {
		t.Fatalf("%+v", c)
	}
}

// A parked message that decayed on the only disk that has it is never delivered, which is said, and holds up no other.
func TestADamagedMessageIsNotStoredAgain(t *testing.T) {
	fs := vfs.NewMem()
	s, topic := parking(t, fs, 1)
	var said []string
	s.opts.Event = func(kind, text string) { said = append(said, kind+": "+text) }
	s.Submit(dated(t, parkedBatch(topic, 3, func(i int) int64 { return time.Now().UnixMilli() - 10 + int64(i) })))
	settle(t, s)
	e, seg := pending(t, s.Shard)[1], s.Log().Segments()[0]
	if err := fs.Flip(seg.Name, e.Pos-seg.FirstPos+seglog.SegmentHeaderSize+int64(e.Size)/2, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := s.scheduled("orders", fmt.Sprintf("id%d-1", e.Due), e.Due); !errors.Is(err, errLost) {
		t.Errorf("a cancel of a message that cannot be read: %v", err)
	}
	s.Fire()
	settle(t, s)
	rows, err := s.Index().Lookup("orders").Queue(1).Rows(nil, 0, 10)
	if c := s.Timers().Counts(); err != nil || len(rows) != 2 || c.Fired != 3 || c.Pending() != 1 {
		t.Fatalf("%d came, %v, %+v", len(rows), err, c)
	}
	if want := fmt.Sprintf("timer-lost: the message that is parked at position %d is damaged", e.Pos); len(said) != 1 || !strings.HasPrefix(said[0], want) {
		t.Errorf("%q", said)
	}
}
