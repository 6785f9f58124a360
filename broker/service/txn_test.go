package service

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/txn"
	"github.com/contrailmq/contrail/broker/vfs"
)

// patient never asks within a test.
func patient(o *Options) { o.Transactions = txn.DefaultSettings() }

func end(t testing.TB, s *Service, e EndTxn) *Error {
	t.Helper()
	ch := make(chan *Error, 1)
	s.EndTransaction(&e, func(err *Error) { ch <- err })
	return <-ch
}

func half(t testing.TB, s *Service, c *Client, id string, props ...string) Result {
	t.Helper()
	return ok(t, send(t, s, c, asking("orders", id, append([]string{"TRAN_MSG", "true", "PGROUP", "pg"}, props...)...), "body "+id))
}

// A half message is not seen; committed it is the message that was sent, rolled back it never comes.
func TestTransactionsAreCommittedOrRolledBack(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", patient, quick)
	defer s.Close()
	c := NewClient(addr, "remoting")
	kept, gone, later := half(t, s, c, "kept"), half(t, s, c, "gone"), half(t, s, c, "later", "DELAY", "2")
	if kept.QueueID != 0 || string(kept.TransactionID) != "IDkept" || kept.QueueOffset != 0 || gone.QueueOffset != 1 {
		t.Fatalf("results %+v %+v", kept, gone)
	}
	ends := func(r Result, decision int32) EndTxn {
		return EndTxn{Client: c, Group: "pg", Offset: r.QueueOffset, Position: r.Position, Decision: decision}
	}
	for name, w := range map[string]struct {
		e    EndTxn
		code int
		text string
	}{
		"other group":    {EndTxn{Client: c, Group: "other", Offset: 0, Position: kept.Position, Decision: TxnCommit}, CodeSystemError, "producer group wrong"},
		"other position": {EndTxn{Client: c, Group: "pg", Offset: 0, Position: kept.Position + 1, Decision: TxnCommit}, CodeSystemError, "commit log offset wrong"},
		"no half":        {EndTxn{Client: c, Group: "pg", Offset: 77, Position: 1, Decision: TxnCommit}, CodeSystemError, "Find prepared transaction message failed"},
		"no decision":    {EndTxn{Client: c, Group: "pg", Offset: 0, Position: kept.Position, Decision: 5}, CodeInvalidParameter, "commitOrRollback 5"},
	} {
		if err := end(t, s, w.e); err == nil || err.Code != w.code || !strings.Contains(err.Text, w.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := end(t, s, ends(kept, TxnUnknown)); err != nil {
		t.Errorf("not decided yet: %v", err)
	}
	for _, r := range []Result{later, kept} {
		if err := end(t, s, ends(r, TxnCommit)); err != nil {
			t.Fatal(err)
		}
	}
	if err := end(t, s, ends(gone, TxnRollback)); err != nil {
		t.Fatal(err)
	}
	for r, again := range map[*Result]int32{&kept: TxnCommit, &gone: TxnRollback} { // late duplicates
		if err := end(t, s, ends(*r, again)); err != nil {
			t.Errorf("the same decision again: %v", err)
		}
		if err := end(t, s, ends(*r, TxnCommit+TxnRollback-again)); err == nil || err.Code != CodeIllegalOperation {
			t.Errorf("the other decision afterwards: %v", err)
		}
	}
	v := next(t, s, c, "orders", 0)
	if string(v.Body()) != "body kept" || prop(v, "TRAN_MSG") != "" || prop(v, "REAL_TOPIC") != "" || prop(v, "PGROUP") != "pg" || v.SysFlag()&message.FlagTxMask != message.FlagTxCommit || v.PreparedOffset() != kept.QueueOffset {
		t.Errorf("committed as %q with %q, flags %#x", v.Body(), v.Properties(), v.SysFlag())
	}
	if v := next(t, s, c, "orders", 1); string(v.Body()) != "body later" || prop(v, "TIMER_OUT_MS") == "" {
		t.Errorf("the delayed one came as %q with %q", v.Body(), v.Properties())
	}
	if n := s.Shard().Txn().Counts(); n.Open != 0 || n.Committed != 2 || n.RolledBack != 1 {
		t.Errorf("counts %+v", n)
	}
}

// asker is a producer that answers as a test says.
type asker struct {
	mu     sync.Mutex
	asked  []Check
	answer func(*Check)
}

func (a *asker) Producer(group string) (string, func(*Check), bool) {
	if group != "pg" {
		return "", nil, false
	}
	return "client", func(k *Check) {
		a.mu.Lock()
		a.asked = append(a.asked, *k)
		a.mu.Unlock()
		a.answer(k)
	}, true
}

func (a *asker) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

// Producers that do not decide are asked; what they answer counts, and what they never answer is given up after the last check.
func TestProducersAreAskedAboutTransactions(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", func(o *Options) {
		o.Transactions = txn.Settings{TimeoutMillis: 40, IntervalMillis: 40, ChecksMax: 3, MaxAgeMillis: 3_600_000}
	})
	defer s.Close()
	c := NewClient(addr, "remoting")
	a := &asker{}
	a.answer = func(k *Check) {
		if v := message.View(k.Message); string(v.Body()) == "body mended" {
			e := EndTxn{Group: "pg", Offset: k.Half.Offset, Position: k.Half.Position, Decision: TxnCommit, FromCheck: true}
			s.EndTransaction(&e, func(*Error) {})
		}
	}
	s.SetAsker(a)
	before := time.Now()
	half(t, s, c, "mended")
	half(t, s, c, "mute")
	half(t, s, c, "orphan", "PGROUP", "nobody")
	if v := next(t, s, c, "orders", 0); string(v.Body()) != "body mended" || v.StoreTime() < before.UnixMilli()+40 {
		t.Errorf("%q came after %d ms", v.Body(), v.StoreTime()-before.UnixMilli())
	}
	given := map[string]bool{}
	for i := range int64(2) {
		v := next(t, s, c, txn.ParkTopic, i)
		given[string(v.Body())] = true
		if prop(v, "REAL_TOPIC") != "orders" {
			t.Errorf("given up with %q", v.Properties())
		}
	}
	if !given["body mute"] || !given["body orphan"] {
		t.Errorf("given up: %v", given)
	}
	if n := a.count(); n != 4 {
		t.Errorf("asked %d times, expected 1 and 3", n)
	}
	first := a.asked[0]
	if v := message.View(first.Message); string(v.Topic()) != "orders" || first.UniqKey == "" {
		t.Errorf("asked about %q of %q", first.UniqKey, v.Topic())
	}
	if n := s.Shard().Txn().Counts(); n.Open != 0 || n.Parked != 2 || n.Committed != 1 || n.ChecksAsked != 7 {
		t.Errorf("counts %+v", n)
	}
}

// Open transactions outlive the process, and an operator may decide one.
func TestOpenTransactionsOutliveARestart(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs, "log", patient)
	c := NewClient(addr, "remoting")
	r := half(t, s, c, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fs, "log", patient)
	defer s.Close()
	if err := s.DecideTransaction(context.Background(), r.QueueOffset, r.Position, true); err != nil {
		t.Fatal(err)
	}
	if v := next(t, s, c, "orders", 0); string(v.Body()) != "body a" {
		t.Errorf("came as %q", v.Body())
	}
}
