package service

import (
	"context"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/vfs"
)

// What waits is listed by when it is due or how long it waits, and can be cancelled by what the list tells.
func TestWhatWaitsIsListed(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", patient)
	defer s.Close()
	c := NewClient(addr, "remoting")
	for id, delay := range map[string]string{"late": "7200", "soon": "3600"} {
		ok(t, send(t, s, c, asking("orders", id, "TIMER_DELAY_SEC", delay), id))
	}
	half(t, s, c, "a")
	half(t, s, c, "b", "PGROUP", "other")
	list, err := s.Scheduled(10)
	if err != nil || list.Pending != 2 || len(list.Messages) != 2 {
		t.Fatalf("%+v %v", list, err)
	}
	m := list.Messages[0]
	if m.UniqKey != "IDsoon" || m.Topic != "orders" || m.Broker != "broker-a" || m.Keys != "k1 k2" || m.Due-m.Stored < 3_599_000 || m.Bytes != 4 {
		t.Errorf("due first: %+v", m)
	}
	if key, err := s.Recall(context.Background(), c, m.Topic, m.Handle); err != nil || key != "IDsoon" {
		t.Errorf("cancelled %q: %v", key, err)
	}
	for name, x := range map[string]struct{ handle, outcome string }{
		"again":   {m.Handle, RecallAlready},
		"nothing": {RecallHandle("orders", "broker-a", m.Due, "IDnone"), RecallUnknown},
		"foreign": {RecallHandle("other", "broker-a", m.Due, "IDsoon"), ""},
	} {
		if _, err := s.Recall(context.Background(), c, m.Topic, x.handle); err == nil || RecallOutcome(err.Text) != x.outcome {
			t.Errorf("%s: %v is %q", name, err, RecallOutcome(err.Text))
		}
	}
	if list, _ := s.Scheduled(0); list.Pending != 1 || list.Cancelled != 1 || len(list.Messages) != 0 {
		t.Errorf("%+v", list)
	}
	if l := s.Transactions("", 10); l.Open != 2 || len(l.Halves) != 2 || l.Halves[0].UniqKey != "IDa" || l.Halves[0].Topic != "orders" || l.Halves[1].Group != "other" {
		t.Errorf("%+v", l)
	} else if h := l.Halves[0]; h.GiveUp || h.NextCheck != h.Stored+s.opts.Transactions.TimeoutMillis {
		t.Errorf("a half of %d is looked at next at %d", h.Stored, h.NextCheck)
	}
	if l := s.Transactions("other", 10); len(l.Halves) != 1 {
		t.Errorf("%+v", l)
	}
}

// A dead letter is resent to its group alone, once, however often and by how many it is asked.
func TestDeadLettersAreResentOnce(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", quick)
	defer s.Close()
	c := NewClient(addr, "remoting")
	if _, err := s.EnsureGroup(context.Background(), "g"); err != nil {
		t.Fatal(err)
	}
	r := ok(t, send(t, s, c, asking("orders", "a"), "poison"))
	ok(t, back(t, s, c, Back{Group: "g", Position: r.Position, DelayLevel: -1, MaxReconsumeTimes: -1}))
	ok(t, send(t, s, c, asking("%RETRY%g", "x"), "makes the retry topic"))
	next(t, s, c, "%DLQ%g", 0)
	list, err := s.DeadLetters("g", 0, 10)
	if err != nil || list.End != 1 || len(list.Letters) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	if d := list.Letters[0]; d.Topic != "orders" || d.UniqKey != "IDa" || d.Attempts != 1 || d.Resent != 0 || d.Bytes != 6 {
		t.Errorf("%+v", d)
	}
	answers := make(chan inspect.Resent, 5)
	for range 5 {
		go s.Resend("g", 0, false, "li", func(r inspect.Resent, err *Error) {
			if err != nil {
				t.Error(err)
			}
			answers <- r
		})
	}
	outcomes := map[string]int{}
	for range 5 {
		select {
		case r := <-answers:
			outcomes[r.Outcome]++
		case <-time.After(10 * time.Second):
			t.Fatal("no answer")
		}
	}
	if outcomes[OutcomeResent] != 1 || outcomes[OutcomeAlready] != 4 {
		t.Fatalf("outcomes %v", outcomes)
	}
	v := next(t, s, c, "%RETRY%g", 1)
	if string(v.Body()) != "poison" || v.ReconsumeTimes() != 0 || prop(v, "RETRY_TOPIC") != "orders" || prop(v, "UNIQ_KEY") != "IDa" || prop(v, "CONTRAIL_RESENT_BY") != "li" {
		t.Errorf("resent as %q with %q", v.Body(), v.Properties())
	}
	list, _ = s.DeadLetters("g", 0, 10)
	if list.Letters[0].Resent != v.StoreTime() {
		t.Errorf("the letter says it was resent at %d, the copy was stored at %d", list.Letters[0].Resent, v.StoreTime())
	}
	s.Resend("g", 0, true, "li", func(r inspect.Resent, _ *Error) { answers <- r })
	s.Resend("g", 7, false, "li", func(r inspect.Resent, _ *Error) { answers <- r })
	for range 2 {
		if r := <-answers; r.Outcome != map[int64]string{0: OutcomeResent, 7: OutcomeMissing}[r.Offset] {
			t.Errorf("%+v", r)
		}
	}
}
