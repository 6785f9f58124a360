package server

import (
	"errors"
	"fmt"
	"sync"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/ui/api"
)

// fakeOperator holds dead letters of two broker groups, and remembers what it was told to do.
type fakeOperator struct {
	mu      sync.Mutex
	letters map[string][]inspect.DeadLetter // by broker group, ascending
	first   int64                           // offset that retention left
	reads   int
	did     []string
	err     error
	answer  []byte
	halves  []inspect.Transaction
	due     []inspect.Scheduled
	outcome string
}

type refusal struct {
	code int
	text string
}

func (r refusal) Error() string     { return r.text }
func (r refusal) ResponseCode() int { return r.code }

func (f *fakeOperator) note(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, fmt.Sprintf(format, args...))
	return f.err
}

// lettersOf makes n letters of each broker group, one a second, in turn.
func lettersOf(n int, brokers ...string) map[string][]inspect.DeadLetter {
	out := map[string][]inspect.DeadLetter{}
	for i := range n * len(brokers) {
		b := brokers[i%len(brokers)]
		offset := int64(len(out[b]))
		out[b] = append(out[b], inspect.DeadLetter{Broker: b, Group: "billing", Offset: offset, Topic: []string{"orders", "payments"}[i/len(brokers)%2], Keys: fmt.Sprintf("k%d all", i),
			UniqKey: fmt.Sprintf("ID%d", i), Stored: int64(1_700_000_000_000 + i*1000), Position: int64(1000 + i)})
	}
	return out
}

func (f *fakeOperator) DeadLetters(broker, group string, from int64, limit int) (inspect.DeadLetterList, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	all, ok := f.letters[broker]
	if !ok || group != "billing" {
		return inspect.DeadLetterList{}, refusal{responseGroupMissing, "no such group"}
	}
	list := inspect.DeadLetterList{First: f.first, End: int64(len(all))}
	for at := max(from, f.first); at < list.End && len(list.Letters) < limit; at++ {
		list.Letters = append(list.Letters, all[at])
	}
	return list, f.err
}

func (f *fakeOperator) Resend(group string, l api.LetterRef, again bool, by string) (inspect.Resent, error) {
	err := f.note("resend %s %s/%d %t %s", group, l.Broker, l.Offset, again, by)
	if l.Offset == 7 {
		err = errors.New("connection reset")
	}
	if l.Offset == 8 {
		err = refusal{17, "topic[%RETRY%billing] not exist"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := inspect.Resent{Broker: l.Broker, Offset: l.Offset, Outcome: "missing"}
	if all := f.letters[l.Broker]; err == nil && l.Offset < int64(len(all)) {
		if r.Outcome = "already"; all[l.Offset].Resent == 0 || again {
			r.Outcome, all[l.Offset].Resent = "resent", 1_700_000_900_000
		}
		r.At, r.Topic, r.CopyAt = all[l.Offset].Resent, "%RETRY%"+group, 99
	}
	return r, err
}

func (f *fakeOperator) PlanReset(group, topic string, queue int32, millis, offset int64) ([]api.ResetPlace, error) {
	err := f.note("plan %s %s %d %d %d", group, topic, queue, millis, offset)
	return []api.ResetPlace{{Broker: "broker-a", Topic: topic, Committed: 5, To: 2, Again: 3}, {Broker: "broker-b", Topic: topic, To: 9}}, err
}

func (f *fakeOperator) Reset(group string, to api.ResetTo) error {
	err := f.note("reset %s %s/%s/%d %d", group, to.Broker, to.Topic, to.QueueID, to.Offset)
	if to.Offset == 7 {
		return refusal{1, "Target offset 7 not in consume queue range [8-9]"}
	}
	return err
}

func (f *fakeOperator) CloneOffsets(from, to, topic string) ([]string, error) {
	return []string{"broker-a"}, f.note("clone %s %s %s", from, to, topic)
}

func (f *fakeOperator) Scheduled(limit int) (inspect.ScheduledList, error) {
	return inspect.ScheduledList{Pending: int64(len(f.due)), Messages: f.due[:min(limit, len(f.due))]}, f.err
}

func (f *fakeOperator) Cancel(topic, handle string) (api.Cancelled, error) {
	return api.Cancelled{Outcome: f.outcome}, f.note("cancel %s %s", topic, handle)
}

func (f *fakeOperator) Transactions(group string, limit int) (list inspect.TransactionList) {
	for _, h := range f.halves[:min(limit, len(f.halves))] {
		if group == "" || h.Group == group {
			list.Halves = append(list.Halves, h)
		}
	}
	list.Open = int64(len(f.halves))
	return list
}

func (f *fakeOperator) Decide(d *api.DecideTransaction) error {
	return f.note("%s %s %d %d", d.Decision, d.Broker, d.Offset, d.Position)
}

func (f *fakeOperator) ConsumeDirectly(id string, v *api.VerifyMessage) ([]byte, error) {
	return f.answer, f.note("verify %s %s %s %s %s", id, v.Group, v.Client, v.Broker, v.Topic)
}

func (f *fakeOperator) RunningInfo(a *api.AskRunning) ([]byte, error) {
	return f.answer, f.note("running %s %s %t", a.Group, a.Client, a.Stacks)
}

// newActing is a console that acts, with two broker groups.
func newActing(o *fakeOperator) func(*Options) {
	return func(to *Options) {
		to.Operator = o
		b := to.Broker.(*fakeBroker)
		b.node.Groups = []inspect.BrokerGroup{{Name: "broker-a"}, {Name: "broker-b"}}
		b.groups["audit"] = inspect.Group{Name: "audit", Queues: []inspect.GroupQueue{{Topic: "%RETRY%audit"}, {Topic: "payments"}, {Topic: "orders"}, {Topic: "orders", QueueID: 1}}}
		b.groups["billing"] = inspect.Group{Name: "billing", Online: true, Members: []inspect.Member{{ClientID: "c1"}}}
	}
}
