package consensus

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// member is one node with what it applied.
type member struct {
	id      uint64
	fs      *vfs.Mem
	log     *seglog.Log
	node    *Node
	applied []Committed
	outbox  []*pb.Message
	syncing *seglog.Syncing
}

func newMember(t testing.TB, id uint64, voters []uint64, fs *vfs.Mem) *member {
	log, err := seglog.Open(fs, "log", seglog.Options{SegmentBytes: seglog.SegmentBytesMin, Foreground: true})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{id: id, fs: fs, log: log}
	m.node, err = New(Options{
		ID: id, ConfState: &pb.ConfState{Voters: voters}, Log: log, Durable: true, Logger: slog.New(slog.DiscardHandler),
		Send: func(ms []*pb.Message) { m.outbox = append(m.outbox, ms...) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run processes until nothing is left but what waits for a sync; syncs end at rng's whim.
func (m *member) run(t testing.TB, rng *rand.Rand) {
	for {
		more, err := m.node.Process(func(c Committed) error {
			c.Data = append([]byte(nil), c.Data...)
			m.applied = append(m.applied, c)
			return nil
		})
		if err != nil {
			t.Fatalf("member %d: %v", m.id, err)
		}
		if more {
			continue
		}
		if m.syncing == nil && m.node.NeedsSync() {
			if m.syncing, err = m.log.BeginSync(); err != nil {
				t.Fatal(err)
			}
			m.node.SyncBegun()
		}
		if m.syncing == nil || rng.IntN(3) == 0 {
			return
		}
		m.syncing.Run()
		if err := m.log.EndSync(m.syncing); err != nil {
			t.Fatal(err)
		}
		m.syncing = nil
		if err := m.node.Synced(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGroupOfOneSurvivesCrashes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fs, acked := vfs.NewMem(), 0
	for round := range 30 {
		m := newMember(t, 1, []uint64{1}, fs)
		if err := m.node.Campaign(); err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			if leads, _ := m.node.Leader(); leads {
				if err := m.node.Propose([]byte(fmt.Sprintf("%d-%d", round, i))); err != nil {
					t.Fatal(err)
				}
			}
			m.run(t, rng)
		}
		data := 0
		for i, c := range m.applied {
			if c.Index != uint64(i)+1 {
				t.Fatalf("applied index %d at place %d", c.Index, i)
			}
			if len(c.Data) > 0 {
				data++
			}
		}
		if data < acked {
			t.Fatalf("round %d: %d applied, %d had been acknowledged before the crash", round, data, acked)
		}
		acked = data
		fs = fs.Crash(rng)
	}
	if acked < 100 {
		t.Fatalf("only %d entries in all rounds", acked)
	}
}

// TestThreeMembersApplyTheSameAtTheSamePositions: elections and restarts at different times make the members' local
// records differ; entries and their positions must not.
func TestThreeMembersApplyTheSameAtTheSamePositions(t *testing.T) {
	for seed := range uint64(20) {
		threeMembers(t, rand.New(rand.NewPCG(seed, 9)))
	}
}

func threeMembers(t *testing.T, rng *rand.Rand) {
	voters, ms := []uint64{1, 2, 3}, []*member(nil)
	for _, id := range voters {
		ms = append(ms, newMember(t, id, voters, vfs.NewMem()))
	}
	deliver := func(lossy bool) {
		for _, m := range ms {
			out := m.outbox
			m.outbox = nil
			for _, msg := range out {
				if to := ms[msg.GetTo()-1]; !lossy || rng.IntN(8) > 0 {
					_ = to.node.Step(msg) // a message of an old term is refused, as it should be
				}
			}
		}
		for _, m := range ms {
			m.run(t, rng)
		}
	}
	proposed := 0
	for step := range 600 {
		for _, m := range ms {
			if rng.IntN(3) == 0 {
				m.node.Tick()
			}
			if leads, _ := m.node.Leader(); leads && rng.IntN(2) == 0 {
				if m.node.Propose(bytes.Repeat([]byte{byte(step)}, rng.IntN(2000))) == nil {
					proposed++
				}
			}
		}
		if step%97 == 0 {
			_ = ms[rng.IntN(3)].node.Campaign()
		}
		deliver(true)
	}
	for range 200 {
		for _, m := range ms {
			m.node.Tick()
		}
		deliver(false)
	}
	compare(t, ms, proposed)
}

func compare(t *testing.T, ms []*member, proposed int) {
	a := ms[0].applied
	if proposed < 50 || len(a) < proposed/2 {
		t.Fatalf("%d proposed, %d applied: the test shows nothing", proposed, len(a))
	}
	for _, m := range ms[1:] {
		if len(m.applied) != len(a) {
			t.Fatalf("member %d applied %d entries, member 1 %d", m.id, len(m.applied), len(a))
		}
		for i, c := range m.applied {
			if c.Index != a[i].Index || c.Pos != a[i].Pos || c.Term != a[i].Term || !bytes.Equal(c.Data, a[i].Data) {
				t.Fatalf("member %d entry %d: index %d pos %d, member 1: %d %d", m.id, i, c.Index, c.Pos, a[i].Index, a[i].Pos)
			}
		}
	}
}
