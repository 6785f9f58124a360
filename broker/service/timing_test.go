package service

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/vfs"
)

// quick has delay levels that a test can wait for.
func quick(o *Options) {
	o.DelayLevels = []time.Duration{20 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond, 80 * time.Millisecond}
}

func asking(topic, id string, props ...string) *SendHeader {
	h := header(topic, id, 0)
	for i := 0; i < len(props); i += 2 {
		h.Properties = message.AppendProperty(h.Properties, props[i], props[i+1])
	}
	return h
}

// next waits for the message at an offset of queue 0.
func next(t testing.TB, s *Service, c *Client, topic string, offset int64) message.View {
	t.Helper()
	r := pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: topic, Offset: offset, MaxMessages: 1, SysFlag: PullSuspend, SuspendMillis: 10_000})
	if r.Code != CodeSuccess {
		t.Fatalf("no message at %s/0 %d: code %d %s", topic, offset, r.Code, r.Remark)
	}
	v, err := message.Parse(append([]byte(nil), r.Body...))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func prop(v message.View, name string) string {
	return string(message.Property(v.Properties(), name))
}

// What is asked for in each way comes when it is due, never before, and is otherwise the message that was sent.
func TestDelayedMessagesComeWhenTheyAreDue(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", quick)
	defer s.Close()
	c := NewClient(addr, "remoting")
	for i, ask := range [][]string{
		{"DELAY", "2"}, {"TIMER_DELAY_MS", "50"}, {"TIMER_DELIVER_MS", "soon"}, {"TIMER_DELAY_SEC", "1"},
		{"DELAY", "1", "TIMER_DELAY_SEC", "3600"}, // a level wins
		{"DELAY", "99"}, // the last level
		{"TIMER_DELIVER_MS", "1"}, {"TIMER_DELAY_MS", "-5"}, {"DELAY", "0"},
	} {
		before := time.Now().UnixMilli()
		if ask[1] == "soon" {
			ask[1] = strconv.FormatInt(before+50, 10)
		}
		h := asking("orders", strconv.Itoa(i), append(ask, "own", "kept", "REAL_TOPIC", "elsewhere")...)
		r := ok(t, send(t, s, c, h, "body"))
		v := next(t, s, c, "orders", int64(i))
		if string(v.Body()) != "body" || prop(v, "UNIQ_KEY") != "ID"+strconv.Itoa(i) || prop(v, "own") != "kept" || v.BornHost() != addr || v.QueueID() != 0 {
			t.Errorf("%v: came as %q with %q", ask, v.Body(), v.Properties())
		}
		if r.Due == 0 != (i >= 6) || r.QueueID != 0 || r.RecallHandle == "" != (r.Due == 0) {
			t.Errorf("%v: result %+v", ask, r)
		}
		if r.Due != 0 && (v.StoreTime() < r.Due || r.Due < before || prop(v, "REAL_TOPIC") != "orders") {
			t.Errorf("%v: due at %d, came at %d, with %q", ask, r.Due, v.StoreTime(), v.Properties())
		}
	}
}

// They are not forgotten with the process.
func TestDelayedMessagesOutliveARestart(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs, "log", quick)
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, asking("orders", "a", "TIMER_DELAY_MS", "400"), "late"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fs, "log", quick)
	defer s.Close()
	if v := next(t, s, c, "orders", 0); string(v.Body()) != "late" {
		t.Errorf("came as %q", v.Body())
	}
}

// A cancelled message never comes; each outcome is told.
func TestScheduledMessagesAreCancelled(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", quick)
	defer s.Close()
	c, ctx := NewClient(addr, "remoting"), context.Background()
	due := strconv.FormatInt(time.Now().UnixMilli()+300, 10)
	handles := map[string]string{}
	for _, id := range []string{"a", "b", "c", "stays"} {
		handles[id] = ok(t, send(t, s, c, asking("orders", id, "TIMER_DELIVER_MS", due), id)).RecallHandle
	}
	if key, err := s.Recall(ctx, c, "orders", handles["a"]); err != nil || key != "IDa" {
		t.Fatalf("recalled %q: %v", key, err)
	}
	ok(t, send(t, s, c, asking("orders", "x", "TIMER_DELIVER_MS", due, "TIMER_DEL_UNIQKEY", "orders+IDb"), ""))
	ok(t, send(t, s, c, asking("orders", "x", "TIMER_DELIVER_MS", due, "TIMER_DEL_UNIQKEY", "IDc"), ""))
	for name, w := range map[string]struct{ topic, handle, text string }{
		"again":        {"orders", handles["a"], "cancelled already"},
		"no handle":    {"orders", "nonsense", "recall handle is invalid"},
		"other topic":  {"TBW102", handles["b"], "topic not match"},
		"no topic":     {"none", handles["b"], "not exist"},
		"other broker": {"orders", RecallHandle("orders", "broker-z", 1, "k"), "broker service not available"},
		"unknown":      {"orders", RecallHandle("orders", "broker-a", time.Now().UnixMilli()+60_000, "k"), "no message k"},
		"long past":    {"orders", RecallHandle("orders", "broker-a", -1, "k"), "timestamp invalid"},
	} {
		if _, err := s.Recall(ctx, c, w.topic, w.handle); err == nil || !strings.Contains(err.Text, w.text) {
			t.Errorf("%s: %v, expected %q", name, err, w.text)
		}
	}
	if v := next(t, s, c, "orders", 0); string(v.Body()) != "stays" {
		t.Errorf("the cancelled message %q came", v.Body())
	}
	if _, err := s.Recall(ctx, c, "orders", handles["stays"]); err == nil || RecallOutcome(err.Text) != RecallTooLate {
		t.Errorf("recall of a delivered message: %v", err)
	}
	if n := s.Shard().Timers().Counts(); n.Scheduled != 4 || n.Cancelled != 3 || n.Fired != 1 || n.Pending() != 0 {
		t.Errorf("counts %+v", n)
	}
	if got := cancellers(t, s); !slices.Equal(got, []string{c.name(), c.name(), c.name()}) {
		t.Errorf("the log says that %q cancelled", got)
	}
}

// cancellers are who asked for the cancels in the log.
func cancellers(t *testing.T, s *Service) (all []string) {
	t.Helper()
	_, err := s.Shard().Read(s.Shard().First(), 1<<20, func(r entry.Record) error {
		if len(r.Data) == 0 {
			return nil
		}
		b, err := entry.Decode(r.Data)
		if err != nil {
			return err
		}
		return b.Commands(func(k entry.Kind, body []byte) error {
			if k != entry.KindTimerCancel {
				return nil
			}
			_, client, err := entry.DecodeTimerCancel(body)
			all = append(all, string(client))
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// back sends a message back and waits for its copy.
func back(t testing.TB, s *Service, c *Client, b Back) Result {
	t.Helper()
	ch := make(chan Result, 1)
	s.SendBack(c, &b, func(err *Error) {
		r := Result{}
		if err != nil {
			r.Code, r.Remark = err.Code, err.Text
		}
		ch <- r
	})
	return <-ch
}

// A message that is sent back each time comes back as often as its group may retry, each time later, and then is a dead letter.
func TestWhatIsSentBackIsRetriedAndDies(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", quick)
	defer s.Close()
	c, ctx := NewClient(addr, "remoting"), context.Background()
	g, err := s.EnsureGroup(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	g.RetryMaxTimes = 2
	if err := s.PutGroup(ctx, g); err != nil {
		t.Fatal(err)
	}
	first := ok(t, send(t, s, c, header("orders", "a", 0), "poison"))
	v := next(t, s, c, "orders", 0)
	origin := string(message.AppendOffsetID(nil, v.StoreHost(), first.Position))
	for attempt := range 2 {
		ok(t, back(t, s, c, Back{Group: "g", Position: v.Position(), MaxReconsumeTimes: -1}))
		v = next(t, s, c, "%RETRY%g", int64(attempt))
		if v.ReconsumeTimes() != int32(attempt+1) || prop(v, "RETRY_TOPIC") != "orders" || prop(v, "ORIGIN_MESSAGE_ID") != origin ||
			prop(v, "DELAY") != strconv.Itoa(min(3+attempt, 4)) || prop(v, "UNIQ_KEY") != "IDa" || string(v.Body()) != "poison" {
			t.Errorf("retry %d: %q", attempt, v.Properties())
		}
	}
	ok(t, back(t, s, c, Back{Group: "g", Position: v.Position(), MaxReconsumeTimes: -1}))
	dead := next(t, s, c, "%DLQ%g", 0)
	if dead.ReconsumeTimes() != 3 || prop(dead, "RETRY_TOPIC") != "orders" || prop(dead, "ORIGIN_MESSAGE_ID") != origin || prop(dead, "REAL_TOPIC") != "%RETRY%g" || prop(dead, "DELAY") != "0" {
		t.Errorf("dead letter %d times: %q", dead.ReconsumeTimes(), dead.Properties())
	}
	for name, w := range map[string]struct {
		b    Back
		code int
	}{
		"no group":   {Back{Group: "none", Position: first.Position}, CodeSubscriptionGroupMissing},
		"no message": {Back{Group: "g", Position: first.Position + 1}, CodeSystemError},
	} {
		if r := back(t, s, c, w.b); r.Code != w.code {
			t.Errorf("%s: code %d %s", name, r.Code, r.Remark)
		}
	}
}

// A consumer that cannot send back sends to its retry topic itself; the broker's rule for dead letters is the same.
func TestSendsToARetryTopic(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", quick)
	defer s.Close()
	c := NewClient(addr, "remoting")
	if r := send(t, s, c, asking("%RETRY%none", "x"), ""); r.Code != CodeSubscriptionGroupMissing {
		t.Errorf("to the retry topic of no group: %+v", r)
	}
	if _, err := s.EnsureGroup(context.Background(), "g"); err != nil {
		t.Fatal(err)
	}
	h := asking("%RETRY%g", "a", "DELAY", "1", "RETRY_TOPIC", "orders", "REAL_TOPIC", "%RETRY%g", "REAL_QID", "0", "TIMER_OUT_MS", "1")
	h.ReconsumeTimes, h.MaxReconsumeTimes = 3, 3
	ok(t, send(t, s, c, h, "retry"))
	if v := next(t, s, c, "%RETRY%g", 0); v.ReconsumeTimes() != 3 || string(v.Body()) != "retry" {
		t.Errorf("came %d times", v.ReconsumeTimes())
	}
	h = asking("%RETRY%g", "b", "DELAY", "1", "RETRY_TOPIC", "orders")
	h.ReconsumeTimes, h.MaxReconsumeTimes = 4, 3
	ok(t, send(t, s, c, h, "dead"))
	if v := next(t, s, c, "%DLQ%g", 0); string(v.Body()) != "dead" || prop(v, "RETRY_TOPIC") != "orders" {
		t.Errorf("dead letter %q", v.Properties())
	}
}

// What was delayed once is not delayed again by what said so then: neither its dead letter, nor a copy that a client sends again.
func TestADelayIsOnlyForTheFirstTime(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", quick)
	defer s.Close()
	c := NewClient(addr, "remoting")
	if _, err := s.EnsureGroup(context.Background(), "g"); err != nil {
		t.Fatal(err)
	}
	ok(t, send(t, s, c, asking("orders", "a", "TIMER_DELAY_MS", "300"), "slow"))
	v := next(t, s, c, "orders", 0)
	before := time.Now().UnixMilli()
	ok(t, back(t, s, c, Back{Group: "g", Position: v.Position(), DelayLevel: -1, MaxReconsumeTimes: -1}))
	if d := next(t, s, c, "%DLQ%g", 0); d.StoreTime()-before >= 300 {
		t.Errorf("the dead letter was delayed by %d ms", d.StoreTime()-before)
	}
	h := header("orders", "a", 0)
	h.Properties = append([]byte(nil), v.Properties()...)
	if r := ok(t, send(t, s, c, h, "again")); r.Due != 0 {
		t.Errorf("sent again it waits until %d", r.Due)
	}
}

// Vendors' names of the properties schedule and cancel alike; a level in a client's own properties counts attempts where the header does not.
func TestOtherNamesOfProperties(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", quick)
	defer s.Close()
	c := NewClient(addr, "remoting")
	due := strconv.FormatInt(time.Now().UnixMilli()+60_000, 10)
	if r := ok(t, send(t, s, c, asking("orders", "a", "__STARTDELIVERTIME", due), "x")); strconv.FormatInt(r.Due, 10) != due {
		t.Errorf("due at %d, asked for %s", r.Due, due)
	}
	ok(t, send(t, s, c, asking("orders", "x", "__STARTDELIVERTIME", due, "__CANCEL_SCHEDULED_MSG", "IDa"), ""))
	if n := s.Shard().Timers().Counts(); n.Cancelled != 1 || n.Pending() != 0 {
		t.Errorf("%+v", n)
	}
	if _, err := s.EnsureGroup(context.Background(), "g"); err != nil {
		t.Fatal(err)
	}
	h := asking("%RETRY%g", "b", "RECONSUME_TIME", "4", "MAX_RECONSUME_TIMES", "3")
	h.MaxReconsumeTimes = -1
	ok(t, send(t, s, c, h, "dead"))
	if v := next(t, s, c, "%DLQ%g", 0); v.ReconsumeTimes() != 4 {
		t.Errorf("died after %d", v.ReconsumeTimes())
	}
}
