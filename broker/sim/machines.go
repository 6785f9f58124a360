package sim

import (
	"encoding/json"
	"math/rand/v2"
	"slices"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
)

// machine is one of the state machines that follow from the log besides queues and offsets, with its clients and its checker. The checker
// tells it again, naively, from the log; what a member keeps and what clients were answered is held against that.
type machine interface {
	// command, message and finish take an entry into the truth: its commands, its messages, its end. known: the message is the machine's.
	command(k entry.Kind, body []byte, r entry.Record) error
	message(id string, v message.View) (known bool, err error)
	finish(r entry.Record) error
	// compare holds a member that has applied all of the log against it; all: with everything, not only its counts.
	compare(m *member, all bool)
	// tend does what a leader does on its own account, every tendEvery.
	tend(m *member)
	// lost is told that a member died: nobody hears what it has not answered.
	lost(m *member)
	// rests says that nothing is on its way and nothing is due by the leader's clock.
	rests(leader *member) bool
	// final checks what holds in the end only.
	final()
}

const tendEvery = 100 * milli

// dice are a machine's own chance, so that it does not change what else happens.
type dice struct{ *rand.Rand }

// between is a random number.
func (d dice) between(from, to int64) int64 { return from + d.Int64N(to-from+1) }

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

// has says that a run has a state machine: those of its focus and, without any focus, those of some seeds out of six. Not when somebody compares
// the entries with something that knows plain messages only.
func (w *world) has(f Focus, seeds ...uint64) bool {
	if w.conf.Entries != nil {
		return false
	}
	return w.conf.Focus == f || w.conf.Focus == 0 && slices.Contains(seeds, w.conf.Seed%6)
}

func (w *world) addMachines() {
	w.addTxns()
	w.addBacks()
	w.addLeases()
	w.addOrdered()
}

func (m *member) tend() {
	if !m.leads() {
		return
	}
	for _, x := range m.w.machines {
		x.tend(m)
	}
	m.turn()
}

// compareMachines holds a member against the log when it has applied all of it.
func (w *world) compareMachines(m *member) {
	if len(w.machines) == 0 || m.read != uint64(len(w.truth.entries)) || m.read != m.shard.Committed() || m.failed() != nil {
		return
	}
	if m.compared == m.read {
		return
	}
	for _, x := range w.machines {
		x.compare(m, m.compared == 0)
	}
	m.compared = m.read
}

// flying counts what a member was asked and has not answered.
type flying map[*member]int

func (f flying) takes(m *member) { f[m]++ }

func (f flying) lands(m *member) {
	if f[m]--; f[m] == 0 {
		delete(f, m)
	}
}

// has says that a topic is there, or asks for it.
func (m *member) has(name string, queues int32) bool {
	_, ok := m.shard.Catalog().Topic(name)
	if !ok {
		body, _ := json.Marshal(catalog.NewTopic(name, queues))
		m.w.say("%s is asked for topic %s with %d queues", m, name, queues)
		m.shard.Command(entry.KindTopicPut, body)
	}
	return ok
}

// millis is what the member's clock says.
func (m *member) millis() int64 { return m.now().UnixMilli() }

// current says that all that the member knows was looked at: what it says can be judged now.
func (w *world) current(m *member) bool { return uint64(len(w.truth.entries)) >= m.shard.Committed() }
