package server

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/diagnostics/verdict"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

func squeeze(t *testing.T, kind string, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch kind {
	case "zlib":
		w = zlib.NewWriter(&b)
	case "lz4":
		w = lz4.NewWriter(&b)
	case "zstd":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var flags = map[string]int32{"zlib": message.FlagCompressed | 0x300, "lz4": message.FlagCompressed | 0x100, "zstd": message.FlagCompressed | 0x200}

func TestBodiesAreShown(t *testing.T) {
	c := newConsole(t, nil)
	body := func(flag int32, stored []byte) api.Body {
		c.broker.store(1000, 0, flag, stored, "UNIQ_KEY", "ID1", "TAGS", "T\xff")
		return answer[api.Body](t, c.get(t, "/api/v1/messages/ID1/body"))
	}
	for name, want := range map[string]struct{ kind, text string }{
		`{"a": [1, 2]}`: {"json", `{"a": [1, 2]}`}, "plain, é\n": {"text", "plain, é\n"}, "": {"text", ""}, "a\x00b": {"binary", ""}, "\xff\xfe": {"binary", ""},
	} {
		b := body(0, []byte(name))
		if b.Kind != want.kind || b.Text != want.text || b.Bytes != len(name) || b.Hex != fmt.Sprintf("%x", name) || b.Compression != "" || b.Properties["TAGS"] != "T?" {
			t.Errorf("%q: %+v", name, b)
		}
	}
	for kind, flag := range flags {
		stored := squeeze(t, kind, []byte(`{"a":"é"}`))
		if b := body(flag, stored); b.Kind != "json" || b.Compression != kind || b.StoredBytes != len(stored) || b.Text != `{"a":"é"}` || b.Error != "" {
			t.Errorf("%s: %+v", kind, b)
		}
		if b := body(flag, []byte("no such thing")); b.Error == "" || b.Compression != kind || b.Truncated {
			t.Errorf("broken %s: %+v", kind, b)
		}
		if b := body(flag, stored[:len(stored)-2]); b.Error == "" {
			t.Errorf("cut %s: %+v", kind, b)
		}
	}
	if b := body(message.FlagCompressed, squeeze(t, "zlib", []byte("old"))); b.Text != "old" || b.Compression != "zlib" {
		t.Errorf("%+v", b)
	}
}

// Attack list 10: a body that inflates hundredfold and more stops at the limit, with a notice, and costs no more memory than that.
func TestBodiesThatInflate(t *testing.T) {
	c := newConsole(t, nil)
	for kind, flag := range flags {
		stored := squeeze(t, kind, bytes.Repeat([]byte("é"), 64<<20/2))
		c.broker.store(1000, 0, flag, stored, "UNIQ_KEY", "ID1")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b := show(c.broker.stored[1000])
		runtime.ReadMemStats(&after)
		if !b.Truncated || b.Bytes != bodyBytesMax || b.Kind != "text" || !strings.HasPrefix(b.Text, "éé") {
			t.Errorf("%s: truncated %v, %d bytes, %s %s", kind, b.Truncated, b.Bytes, b.Kind, b.Error)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%s: %d bytes allocated", kind, used)
		}
	}
}

func lifeWith(messages ...trail.Message) trail.Life {
	return trail.Life{Answer: trail.Found, Messages: messages}
}

// A life is what the trail recorded, with the groups' verdicts and what should be there by now.
func TestLifeOfARecordedMessage(t *testing.T) {
	c := newConsole(t, nil)
	v := c.broker.store(1000, 0, 0, []byte("x"), "UNIQ_KEY", "ID1")
	m := fromLog(v, c.broker.node)
	m.AckedMicros, m.ReceivedMicros = m.AppendedMicros+200, m.AppendedMicros-100
	c.trail.life = lifeWith(m)
	l := answer[api.MessageLife](t, c.get(t, "/api/v1/messages/ID1"))
	if l.Rebuilt || l.Stored == nil || l.Stored.Position != 1000 || len(l.Verdicts) != 1 || l.Verdicts[0].State != verdict.Unknown {
		t.Fatalf("%+v", l)
	}
	c.trail.life.Deliveries = []trail.Delivery{{Topic: "orders", QueueID: 0, From: 0, To: 3, Group: "billing", Client: "c1", Messages: 3}}
	l = answer[api.MessageLife](t, c.get(t, "/api/v1/messages/ID1"))
	if l.Verdicts[0].State != verdict.Consumed || l.Expected != 4 || l.Recorded != 3 {
		t.Errorf("a delivery, passed by the offset, whose acknowledgement is not recorded: %+v", l)
	}
	c.trail.life.Settlements = []trail.Settlement{{Topic: "orders", QueueID: 0, From: 0, To: 1, Group: "billing", Outcome: "acknowledged", Client: "c1"}}
	l = answer[api.MessageLife](t, c.get(t, "/api/v1/messages/ID1"))
	if l.Verdicts[0].State != verdict.Consumed || l.Expected != 4 || l.Recorded != 4 || len(l.Records) < 3 {
		t.Errorf("%+v", l)
	}
}

// What the trail does not know is told from the log, and marked. What the log does not hold any more is told by the trail.
func TestLifeFromTheLogAlone(t *testing.T) {
	c := newConsole(t, nil)
	v := c.broker.store(1000, 2, message.FlagTxCommit, []byte("x"), "UNIQ_KEY", "ID1", "KEYS", "a b", "TAGS", "t", "PGROUP", "p", "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	for _, id := range []string{"ID1", offsetID(v)} {
		for _, c.trail.err = range []error{nil, errors.New("away")} {
			l := answer[api.MessageLife](t, c.get(t, "/api/v1/messages/"+id))
			m := l.Life.Messages[0]
			if !l.Rebuilt || m.ID != "ID1" || m.Type != "transaction" || len(m.Keys) != 2 || m.Tag != "t" || m.ProducerGroup != "p" || m.QueueOffset != 2 || l.Life.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || m.ParentIn != "00f067aa0ba902b7" {
				t.Errorf("%+v", l)
			}
			if want := map[bool]trail.Answer{true: trail.NotRecorded, false: trail.Failed}[c.trail.err == nil]; l.Life.Answer != want || l.Life.Reason == "" {
				t.Errorf("answer %s %q, want %s", l.Life.Answer, l.Life.Reason, want)
			}
			if len(l.Verdicts) != 1 || l.Verdicts[0].State != verdict.Waiting || l.Verdicts[0].Ahead != 1 || l.Recorded >= l.Expected {
				t.Errorf("%+v", l.Verdicts)
			}
		}
	}
	c.trail.err = nil
	c.trail.life = lifeWith(fromLog(v, c.broker.node))
	delete(c.broker.stored, 1000)
	l := answer[api.MessageLife](t, c.get(t, "/api/v1/messages/ID1"))
	if l.Stored != nil || l.Rebuilt || len(l.Life.Messages) != 1 {
		t.Errorf("%+v", l)
	}
	wantProblem(t, c.get(t, "/api/v1/messages/ID1/body"), 410, "retention")
	c.trail.life = trail.Life{Answer: trail.Nothing}
	if l = answer[api.MessageLife](t, c.get(t, "/api/v1/messages/ID1")); l.Life.Answer != trail.Nothing || len(l.Life.Messages) != 0 || l.Verdicts == nil {
		t.Errorf("%+v", l)
	}
}

// A place in the log that holds another message is not this one.
func TestAPositionMustBeTheMessages(t *testing.T) {
	c := newConsole(t, nil)
	c.broker.store(1000, 0, 0, []byte("x"), "UNIQ_KEY", "OTHER")
	wantProblem(t, c.get(t, "/api/v1/messages/ID1/body?position=1000"), 404)
	c.trail.life = lifeWith(trail.Message{ID: "ID1", Topic: "orders", Position: 1000})
	if l := answer[api.MessageLife](t, c.get(t, "/api/v1/messages/ID1")); l.Stored != nil {
		t.Errorf("%+v", l.Stored)
	}
	if b := answer[api.Body](t, c.get(t, "/api/v1/messages/OTHER/body?position=1000")); b.Text != "x" {
		t.Errorf("%+v", b)
	}
	id := "a/b %RETRY%é"
	c.broker.store(2000, 0, 0, []byte("y"), "UNIQ_KEY", id)
	if b := answer[api.Body](t, c.get(t, "/api/v1/messages/"+url.PathEscape(id)+"/body")); b.Text != "y" {
		t.Errorf("%+v", b)
	}
}

// One story of all copies: what waits is judged for the groups of the topic that it waits for, a retry for its own group.
func TestLifeOfAScheduledMessage(t *testing.T) {
	c := newConsole(t, nil)
	parked := trail.Message{ID: "ID1", Topic: trail.WheelTopic, Position: 10, AppendedMicros: 1000, AckedMicros: 1200, Timing: trail.TimingParked, RealTopic: "orders", DueMicros: 4_000_000_000_000_000}
	c.trail.life = lifeWith(parked)
	l := answer[api.MessageLife](t, c.get(t, "/api/v1/messages/ID1"))
	if len(l.Verdicts) != 1 || l.Verdicts[0].State != verdict.Scheduled || l.Verdicts[0].DueMicros != parked.DueMicros || l.Expected != 2 || l.Recorded != 2 {
		t.Fatalf("%+v", l)
	}
	if len(l.Lineage) != 1 || l.Lineage[0].State != verdict.CopyWaits || l.Records[0].Topic != "orders" {
		t.Errorf("%+v %+v", l.Lineage, l.Records)
	}
	fired := trail.Message{ID: "ID1", Topic: "orders", Position: 20, QueueOffset: 1, AppendedMicros: 2000, Timing: trail.TimingFired, RealTopic: "orders", DueMicros: 1900, Type: "delay"}
	dead := trail.Message{ID: "ID1", Topic: "%DLQ%shipping", Position: 30, AppendedMicros: 5000, ReconsumeTimes: 1, OriginTopic: "orders"}
	c.trail.life = lifeWith(parked, fired, dead)
	l = answer[api.MessageLife](t, c.get(t, "/api/v1/messages/ID1"))
	if len(l.Verdicts) != 2 || l.Verdicts[0].Group != "shipping" || l.Verdicts[0].State != verdict.Dead || l.Verdicts[1].State != verdict.Unknown && l.Verdicts[1].State != verdict.Waiting {
		t.Errorf("%+v", l.Verdicts)
	}
	var types []string
	for _, r := range l.Records {
		types = append(types, r.TraceType+" "+r.GroupName)
	}
	if want := []string{"Pub ", "Receive ", "Receive ", "Receive shipping"}; !slices.Equal(types, want) {
		t.Errorf("%q, want %q", types, want)
	}
}

// What the log alone holds of a copy says the same as the trail's row.
func TestCopiesFromTheLogAlone(t *testing.T) {
	c := newConsole(t, nil)
	for _, k := range []struct {
		topic, timing, origin, kind string
		properties                  []string
	}{
		{trail.ScheduleTopic, trail.TimingParked, "orders", "normal", []string{"REAL_TOPIC", "%RETRY%g", "REAL_QID", "0", "TIMER_OUT_MS", "1700000009999", "RETRY_TOPIC", "orders", "DELAY", "3"}},
		{trail.WheelTopic, trail.TimingParked, "", "delay", []string{"REAL_TOPIC", "orders", "REAL_QID", "4", "TIMER_OUT_MS", "1700000009999", "TIMER_DELIVER_MS", "1700000009999"}},
		{"orders", trail.TimingFired, "", "delay", []string{"REAL_TOPIC", "orders", "REAL_QID", "4", "TIMER_OUT_MS", "1700000000001", "TIMER_DELIVER_MS", "1700000000001"}},
		{"%DLQ%g", "", "orders", "normal", []string{"REAL_TOPIC", "%RETRY%g", "TIMER_OUT_MS", "1700000000001", "RETRY_TOPIC", "orders", "DELAY", "0"}},
		{"orders", "", "", "normal", []string{"RETRY_TOPIC", "before"}},
	} {
		m := fromLog(storedIn(k.topic, k.properties...), c.broker.node)
		if m.Timing != k.timing || m.OriginTopic != k.origin || m.Type != k.kind || (m.Timing == "") != (m.DueMicros == 0) {
			t.Errorf("%s: %+v", k.topic, m)
		}
	}
}

func TestAStateIsOneOfThoseThereAre(t *testing.T) {
	c := newConsole(t, nil)
	for _, state := range trail.States {
		answer[trail.Matches](t, c.get(t, "/api/v1/messages?state="+state))
	}
	if q := c.trail.queries; len(q) != len(trail.States) || q[0].State != trail.StateScheduled {
		t.Errorf("%+v", q)
	}
	wantProblem(t, c.get(t, "/api/v1/messages?state=lost"), 400, "lost", "scheduled, fired, cancelled")
}

func TestWhatIsScheduledIsAsked(t *testing.T) {
	c := newConsole(t, nil)
	c.trail.search = func(q trail.Query) (trail.Matches, error) {
		return trail.Matches{Answer: trail.Found, Messages: []trail.Message{{ID: "A"}}}, nil
	}
	if m := answer[trail.Matches](t, c.get(t, "/api/v1/scheduled?topic=orders&key=k&limit=5")); len(m.Messages) != 1 {
		t.Errorf("%+v", m)
	}
	if q := c.trail.queries[0]; q.Topic != "orders" || q.Key != "k" || q.Limit != 5 {
		t.Errorf("%+v", q)
	}
	c.trail.search, c.trail.err = nil, errors.New("away")
	if m := answer[trail.Matches](t, c.get(t, "/api/v1/scheduled")); m.Answer != trail.Failed || m.Reason != "away" {
		t.Errorf("%+v", m)
	}
	none := newConsole(t, func(o *Options) { o.Trail = nil })
	if m := answer[trail.Matches](t, none.get(t, "/api/v1/scheduled")); m.Answer != trail.NotRecorded {
		t.Errorf("%+v", m)
	}
}
