package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/ui/api"
)

func offsetsOf(letters []inspect.DeadLetter) (out []string) {
	for _, d := range letters {
		out = append(out, fmt.Sprintf("%s/%d", d.Broker[len("broker-"):], d.Offset))
	}
	return out
}

// Letters of all broker groups are one list, newest first, in parts.
func TestDeadLettersAreListed(t *testing.T) {
	o := &fakeOperator{letters: lettersOf(3, "broker-a", "broker-b")}
	c := newConsole(t, newActing(o))
	list := answer[api.DeadLetters](t, c.get(t, "/api/v1/dead-letters/billing?limit=4"))
	if got := offsetsOf(list.Letters); list.Total != 6 || !reflect.DeepEqual(got, []string{"b/2", "a/2", "b/1", "a/1"}) || list.Next == "" {
		t.Fatalf("%v of %d, then %q", got, list.Total, list.Next)
	}
	list = answer[api.DeadLetters](t, c.get(t, "/api/v1/dead-letters/billing?before="+list.Next))
	if got := offsetsOf(list.Letters); !reflect.DeepEqual(got, []string{"b/0", "a/0"}) || list.Next != "" {
		t.Fatalf("the rest: %v, then %q", got, list.Next)
	}
	o.letters["broker-a"][1].Resent = 1
	for query, want := range map[string][]string{
		"topic=payments": {"b/1", "a/1"}, "key=k3": {"b/1"}, "key=all&state=open": {"b/2", "a/2", "b/1", "b/0", "a/0"}, "state=resent": {"a/1"},
		"id=ID4": {"a/2"}, "from=1700000004000000": {"b/2", "a/2"}, "to=1700000001000000": {"a/0"}, "tag=none": nil,
	} {
		list := answer[api.DeadLetters](t, c.get(t, "/api/v1/dead-letters/billing?"+query))
		if got := offsetsOf(list.Letters); !reflect.DeepEqual(got, want) || list.Scanned != 6 {
			t.Errorf("%s: %v of %d", query, got, list.Scanned)
		}
	}
	wantProblem(t, c.get(t, "/api/v1/dead-letters/none"), 404, "none")
	wantProblem(t, c.get(t, "/api/v1/dead-letters/billing?state=odd"), 400, "odd", "open, resent")
	wantProblem(t, c.get(t, "/api/v1/dead-letters/billing?before=x"), 400, "before", "x")
	wantProblem(t, newConsole(t, nil).get(t, "/api/v1/dead-letters/billing"), 503, "no broker")
}

// However letters are spread and retention cuts, parts of any size give each letter once, newest first.
func TestLetterPartsAreTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"broker-a", "broker-b", "broker-c"}
		o := &fakeOperator{letters: lettersOf(rapid.IntRange(0, 450).Draw(t, "letters"), names...)}
		for _, n := range names {
			o.letters[n] = o.letters[n][:rapid.IntRange(0, len(o.letters[n])).Draw(t, n)]
		}
		o.first = rapid.Int64Range(0, 3).Draw(t, "first")
		want := 0
		for _, n := range names {
			want += max(0, len(o.letters[n])-int(o.first))
			if len(o.letters[n]) == 0 {
				o.letters[n] = nil
			}
		}
		part := rapid.IntRange(1, 300).Draw(t, "part")
		seen, last, before := map[string]bool{}, int64(1<<62), map[string]int64{}
		for {
			w, err := newLetterWalk(o, "billing", names, before)
			if err != nil {
				t.Fatal(err)
			}
			for range part {
				d, ok, err := w.next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				if d.Stored > last || seen[d.UniqKey] {
					t.Fatalf("%+v after %d, seen %t", d, last, seen[d.UniqKey])
				}
				seen[d.UniqKey], last = true, d.Stored
			}
			next := w.cursor()
			if next == "" {
				break
			}
			if before, err = parseCursor(next); err != nil {
				t.Fatal(err)
			}
		}
		if len(seen) != want {
			t.Fatalf("%d letters of %d", len(seen), want)
		}
	})
}

// Each letter has its outcome; one that was resent before is left alone unless it is meant.
func TestDeadLettersAreResent(t *testing.T) {
	o := &fakeOperator{letters: lettersOf(9, "broker-a")}
	c := newConsole(t, newActing(o))
	ask := `{"letters":[{"broker":"broker-a","offset":1},{"broker":"broker-a","offset":1},{"broker":"broker-a","offset":7},{"broker":"broker-a","offset":8},{"broker":"broker-a","offset":99}]}`
	got := answer[api.ResentLetters](t, post(c, "/dead-letters/billing/resend", ask))
	var outcomes []string
	for _, r := range got.Outcomes {
		outcomes = append(outcomes, r.Outcome)
	}
	if want := []string{"resent", "already", "unknown", "refused", "missing"}; !reflect.DeepEqual(outcomes, want) {
		t.Fatalf("outcomes %v", outcomes)
	}
	if r := got.Outcomes[0]; r.At == 0 || r.Topic != "%RETRY%billing" || r.CopyPosition != 99 || got.Outcomes[3].Why != "topic[%RETRY%billing] not exist" {
		t.Errorf("%+v", got.Outcomes)
	}
	again := answer[api.ResentLetters](t, post(c, "/dead-letters/billing/resend", `{"letters":[{"broker":"broker-a","offset":1}],"again":true}`))
	if again.Outcomes[0].Outcome != "resent" || o.did[len(o.did)-1] != "resend billing broker-a/1 true console, 192.0.2.1" {
		t.Errorf("%+v, told %q", again, o.did)
	}
	if !strings.Contains(c.log.String(), "act=\"resend dead letters\"") || !strings.Contains(c.log.String(), "by=\"console, 192.0.2.1\"") {
		t.Errorf("the log does not say who resent: %s", c.log)
	}
}

// What is previewed is what is done: the plan's offsets are sent back, and each queue has its outcome.
func TestOffsetsAreReset(t *testing.T) {
	o := &fakeOperator{}
	c := newConsole(t, newActing(o))
	for name, x := range map[string]struct {
		body string
		did  []string
		n    int
	}{
		"whole group": {`{"to":"earliest"}`, []string{"plan audit orders -1 0 -1", "plan audit payments -1 0 -1"}, 4},
		"one topic":   {`{"to":"latest","topic":"orders"}`, []string{"plan audit orders -1 -1 -1"}, 2},
		"time":        {`{"to":"time","topic":"orders","storedMillis":1700000000000,"queueId":0}`, []string{"plan audit orders 0 1700000000000 -1"}, 2},
		"offset":      {`{"to":"offset","topic":"orders","queueId":3,"offset":12,"brokerGroup":"broker-b"}`, []string{"plan audit orders 3 -1 12"}, 1},
	} {
		o.did = nil
		plan := answer[api.ResetPlan](t, post(c, "/groups/audit/offsets/plan", x.body))
		if !reflect.DeepEqual(o.did, x.did) || len(plan.Queues) != x.n || plan.Online {
			t.Errorf("%s: %+v, told %q", name, plan, o.did)
		}
	}
	o.did = nil
	got := answer[api.ResetOutcomes](t, post(c, "/groups/audit/offsets/reset", `{"queues":[{"brokerGroup":"broker-a","topic":"orders","queueId":0,"offset":2},{"brokerGroup":"broker-a","topic":"orders","queueId":1,"offset":7}]}`))
	if len(got.Outcomes) != 2 || got.Outcomes[0].Outcome != "moved" || got.Outcomes[1].Outcome != "refused" || !strings.Contains(got.Outcomes[1].Why, "[8-9]") || o.did[0] != "reset audit broker-a/orders/0 2" {
		t.Errorf("%+v, told %q", got, o.did)
	}
}

func TestOffsetsAreCloned(t *testing.T) {
	o := &fakeOperator{}
	c := newConsole(t, newActing(o))
	if w := post(c, "/groups/audit/offsets/clone", `{"from":"billing","topic":"orders"}`); w.Code != 200 || o.did[0] != "clone billing audit orders" {
		t.Errorf("%d %s, told %q", w.Code, w.Body, o.did)
	}
	wantProblem(t, post(c, "/groups/billing/offsets/clone", `{"from":"audit"}`), 409, "1 members", "force")
	if w := post(c, "/groups/billing/offsets/clone", `{"from":"audit","force":true}`); w.Code != 200 {
		t.Errorf("meant: %d %s", w.Code, w.Body)
	}
}

func TestTransactionsAndScheduled(t *testing.T) {
	o := &fakeOperator{
		halves: []inspect.Transaction{{Group: "g", Topic: "orders", Keys: "k1 k2", UniqKey: "A"}, {Group: "h", Topic: "orders", Keys: "k3", UniqKey: "B"}},
		due:    []inspect.Scheduled{{UniqKey: "A"}, {UniqKey: "B"}}, outcome: "too-late",
	}
	c := newConsole(t, newActing(o))
	for query, want := range map[string]int{"": 2, "?limit=1": 1, "?producerGroup=h": 1, "?key=k2": 1, "?id=B": 1, "?topic=none": 0} {
		if l := answer[inspect.TransactionList](t, c.get(t, "/api/v1/transactions"+query)); len(l.Halves) != want || l.Open != 2 {
			t.Errorf("%s: %+v", query, l)
		}
	}
	if w := post(c, "/transactions/decide", `{"broker":"broker-b","halfOffset":3,"position":99,"decision":"rollback","reason":"the producer is gone"}`); w.Code != 200 || o.did[0] != "rollback broker-b 3 99" {
		t.Errorf("%d %s, told %q", w.Code, w.Body, o.did)
	}
	if !strings.Contains(c.log.String(), "the producer is gone") {
		t.Error("the log has no reason")
	}
	if l := answer[inspect.ScheduledList](t, c.get(t, "/api/v1/scheduled/next?limit=1")); l.Pending != 2 || len(l.Messages) != 1 {
		t.Errorf("%+v", l)
	}
	if a := answer[api.Cancelled](t, post(c, "/scheduled/cancel", `{"topic":"orders","recallHandle":"abc"}`)); a.Outcome != "too-late" {
		t.Errorf("%+v", a)
	}
	o.err = refusal{604, "it was committed by its producer"}
	wantProblem(t, post(c, "/transactions/decide", `{"broker":"broker-b","halfOffset":3,"position":99,"decision":"commit"}`), 409, "committed by its producer")
	o.err = errors.New("connection reset")
	wantProblem(t, post(c, "/scheduled/cancel", `{"topic":"orders","recallHandle":"abc"}`), 502, "not known")
}

func TestClientsAreAsked(t *testing.T) {
	o := &fakeOperator{answer: []byte(`{"autoCommit":true,"consumeResult":"CR_THROW_EXCEPTION","order":false,"remark":"java.lang.IllegalStateException","spentTimeMills":12}`)}
	c := newConsole(t, newActing(o))
	v := answer[api.Verified](t, post(c, "/messages/ID1/verify", `{"consumerGroup":"billing","clientId":"c1","broker":"broker-a","topic":"orders"}`))
	if v.Result != "CR_THROW_EXCEPTION" || v.Millis != 12 || o.did[0] != "verify ID1 billing c1 broker-a orders" {
		t.Errorf("%+v, told %q", v, o.did)
	}
	o.answer = []byte(`{"jstack":"TID: 1 STATE: WAITING","mqTable":{{"brokerName":"broker-a","queueId":2,"topic":"orders"}:{"cachedMsgCount":4,"commitOffset":17,"locked":true},{"brokerName":"broker-a","queueId":1,"topic":"orders"}:{"commitOffset":9}},"properties":{"PROP_CLIENT_VERSION":"V5_3_2","n":8},"statusTable":{"orders":{"consumeOKTPS":1.5,"consumeFailedMsgs":3}},"subscriptionSet":[{"topic":"orders"},{"topic":"b"}]}`)
	r := answer[api.Running](t, post(c, "/clients/running", `{"consumerGroup":"billing","clientId":"c1","jstackEnable":true}`))
	if len(r.Queues) != 2 || r.Queues[0].QueueID != 1 || r.Queues[1].Committed != 17 || !r.Queues[1].Locked || r.Topics[0].OKTPS != 1.5 || r.Properties["n"] != "8" || r.Stacks != "TID: 1 STATE: WAITING" {
		t.Errorf("%+v", r)
	}
	o.answer = []byte("{\"mqTable\":{}, \"jstack\":\"goroutine 1 [running]:\n\tmain.go:7\" }") // as Go's client has it
	if r := answer[api.Running](t, post(c, "/clients/running", `{"consumerGroup":"billing","clientId":"c1"}`)); r.Stacks != "goroutine 1 [running]:\n\tmain.go:7" {
		t.Errorf("%q", r.Stacks)
	}
	for number, name := range map[string]string{`1`: "CR_LATER", `"CR_COMMIT"`: "CR_COMMIT", `5`: "CR_RETURN_NULL", `17`: "17", `null`: "null"} {
		if v, err := verified([]byte(`{"consumeResult":` + number + `}`)); err != nil || v.Result != name {
			t.Errorf("%s is %+v: %v", number, v, err)
		}
	}
	for _, bad := range []string{`{"mqTable":{{"a":1`, `nonsense`, ``} {
		o.answer = []byte(bad)
		wantProblem(t, post(c, "/clients/running", `{"consumerGroup":"billing","clientId":"c1"}`), 502, "cannot be read")
	}
}

// What is refused must not reach a broker: other origins, forms, bad values, a console that is read-only.
func TestActsAreRefused(t *testing.T) {
	o := &fakeOperator{letters: lettersOf(1, "broker-a")}
	c := newConsole(t, newActing(o))
	closed := newConsole(t, func(to *Options) { newActing(o)(to); to.NoChanges = "console.actions is false" })
	many := strings.Repeat(`{"broker":"broker-a","offset":0},`, resendMax) + `{"broker":"broker-a","offset":0}`
	queues := strings.Repeat(`{"brokerGroup":"broker-a","topic":"t","queueId":0,"offset":0},`, resetQueuesMax) + `{"brokerGroup":"broker-a","topic":"t","queueId":0,"offset":0}`
	paths := map[string]string{
		"/dead-letters/billing/resend": `{"letters":[{"broker":"broker-a","offset":0}]}`, "/groups/billing/offsets/plan": `{"to":"latest"}`,
		"/groups/billing/offsets/reset": `{"queues":[{"brokerGroup":"broker-a","topic":"t","queueId":0,"offset":0}]}`, "/groups/audit/offsets/clone": `{"from":"billing"}`,
		"/transactions/decide": `{"broker":"broker-a","decision":"commit"}`, "/scheduled/cancel": `{"topic":"t","recallHandle":"h"}`,
		"/messages/A/verify": `{"consumerGroup":"g","clientId":"c","broker":"broker-a","topic":"t"}`, "/clients/running": `{"consumerGroup":"g","clientId":"c"}`,
	}
	for path, body := range paths {
		for name, w := range map[string]int{
			"other site":   post(c, path, body, "Origin", "http://evil.example").Code,
			"as the fetch": post(c, path, body, "Sec-Fetch-Site", "cross-site").Code,
			"read-only":    post(closed, path, body).Code,
		} {
			if w != http.StatusForbidden {
				t.Errorf("%s %s: %d", name, path, w)
			}
		}
		if w := post(c, path, body, "Content-Type", "text/plain"); w.Code != http.StatusUnsupportedMediaType {
			t.Errorf("text %s: %d", path, w.Code)
		}
		if w := c.get(t, "/api/v1"+path); w.Code == http.StatusOK {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
	long := strings.Repeat("x", textBytesMax+1)
	for _, x := range []struct{ path, body, says string }{
		{"/dead-letters/billing/resend", `{"letters":[]}`, "1 to 100"},
		{"/dead-letters/billing/resend", `{"letters":[` + many + `]}`, "101"},
		{"/dead-letters/billing/resend", `{"letters":[{"broker":"x","offset":0}]}`, "broker-a, broker-b"},
		{"/dead-letters/billing/resend", `{"letters":[{"broker":"broker-a","offset":-1}]}`, "from 0 on"},
		{"/groups/billing/offsets/plan", `{"to":"tomorrow"}`, "earliest, latest, time, offset"},
		{"/groups/billing/offsets/plan", `{"to":"time","storedMillis":-4}`, "-4"},
		{"/groups/billing/offsets/plan", `{"to":"offset","offset":4,"topic":"t"}`, "queueId"},
		{"/groups/billing/offsets/plan", `{"to":"latest","queueId":3}`, "with topic"},
		{"/groups/billing/offsets/reset", `{"queues":[` + queues + `]}`, "1001"},
		{"/groups/billing/offsets/reset", `{"queues":[{"brokerGroup":"broker-a","topic":"t","queueId":-1}]}`, "-1, 0"},
		{"/groups/billing/offsets/reset", `{"queues":[{"brokerGroup":"broker-a","topic":"` + long + `","queueId":1}]}`, "513"},
		{"/groups/audit/offsets/clone", `{"from":"nobody"}`, "nobody"},
		{"/groups/audit/offsets/clone", `{"from":"audit"}`, "another"},
		{"/transactions/decide", `{"broker":"broker-a","decision":"maybe"}`, "commit, rollback"},
		{"/transactions/decide", `{"broker":"broker-a","decision":"commit","reason":"` + long + `"}`, "513"},
		{"/scheduled/cancel", `{"topic":"t","recallHandle":"` + strings.Repeat("x", handleBytesMax+1) + `"}`, "2049"},
		{"/messages/A/verify", `{"consumerGroup":"g","broker":"broker-a","topic":"t"}`, "clientId"},
		{"/clients/running", `{"consumerGroup":"","clientId":"c"}`, "consumerGroup"},
		{"/clients/running", `{"consumerGroup":"g","clientId":"c","odd":1}`, "odd"},
	} {
		wantProblem(t, post(c, x.path, x.body), http.StatusBadRequest, x.says)
	}
	wantProblem(t, post(c, "/groups/none/offsets/plan", `{"to":"latest"}`), 404, "none")
	if len(o.did) > 0 {
		t.Errorf("the broker was told %q", o.did)
	}
	if a := answer[api.Actions](t, closed.get(t, "/api/v1/actions")); a.Allowed || a.Why != "console.actions is false" {
		t.Errorf("%+v", a)
	}
	if a := answer[api.Actions](t, c.get(t, "/api/v1/actions")); !a.Allowed {
		t.Errorf("%+v", a)
	}
}

// A spreadsheet must run nothing of what a producer wrote.
func TestExportsAsCSV(t *testing.T) {
	o := &fakeOperator{letters: lettersOf(8, "broker-a")}
	hostile := []string{`=1+1`, `+1`, `-1`, `@SUM(A1)`, "\tx", "\rx", "a\"b,c\r\nd", "plain"}
	for i := range o.letters["broker-a"] {
		o.letters["broker-a"][7-i].Keys = hostile[i]
	}
	c := newConsole(t, newActing(o))
	w := c.get(t, "/api/v1/dead-letters/billing/export?format=csv")
	if !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", w.Header())
	}
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 9 || !reflect.DeepEqual(rows[0], exportColumns) {
		t.Fatalf("%v %q", err, rows)
	}
	for i, want := range []string{`'=1+1`, `'+1`, `'-1`, `'@SUM(A1)`, "'\tx", "'x", "a\"b,c\nd", "plain"} {
		if got := rows[i+1][6]; got != want { // encoding/csv leaves a lone CR away, and reads a line's end as \n
			t.Errorf("%q became %q", want, got)
		}
	}
	wantProblem(t, c.get(t, "/api/v1/dead-letters/billing/export?format=xlsx"), 400, "xlsx", "csv, jsonl")
}

func TestExportsAsLines(t *testing.T) {
	o := &fakeOperator{letters: lettersOf(2, "broker-a")}
	c := newConsole(t, newActing(o))
	raw := formed("%DLQ%billing", 0, []byte("\xff\x00"), nil)
	message.Place(raw, 0, 1, 1001, 1_700_000_000_005)
	c.broker.stored[1001] = raw
	w := c.get(t, "/api/v1/dead-letters/billing/export?format=jsonl&bodies=1")
	var lines []map[string]any
	for line := range strings.Lines(w.Body.String()) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, v)
	}
	if len(lines) != 2 || lines[0]["body"] != "/wA=" || lines[0]["bodyEncoding"] != "base64" || lines[1]["body"] != "" || lines[0]["uniqKey"] != "ID1" {
		t.Fatalf("%v", lines)
	}
}

// An export that reaches a limit says so in its last line.
func TestExportIsCut(t *testing.T) {
	o := &fakeOperator{letters: lettersOf(600, "broker-a")}
	for name, x := range map[string]struct {
		change func(*export)
		says   string
		lines  int
	}{
		"letters": {func(e *export) { e.max = 501 }, "truncated after 501 letters, which is the limit; 600 are kept", 502},
		"bytes":   {func(e *export) { e.bytesMax = 1 }, "limit of 1 bytes", 2},
		"broker":  {func(*export) { o.err = errors.New("index is damaged") }, "0 letters are written; reading the next one failed: index is damaged", 1},
	} {
		o.err = nil
		walk, err := newLetterWalk(o, "billing", []string{"broker-a"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		e := &export{walk: walk, filter: letterFilter{to: 1 << 62}, out: bufio.NewWriter(&b), max: exportMax, bytesMax: exportBytesMax}
		e.flush = e.out.Flush
		e.form("jsonl")
		x.change(e)
		if err := e.run(context.Background()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		if len(lines) != x.lines || !strings.Contains(lines[len(lines)-1], x.says) {
			t.Errorf("%s: %d lines, the last is %s", name, len(lines), lines[len(lines)-1])
		}
	}
}

// FuzzRunning: nothing that a client says breaks the console, and JSON stays what it is.
func FuzzRunning(f *testing.F) {
	for _, seed := range []string{`{}`, `{"mqTable":{{"topic":"a\"}"}:{}}}`, `{"a":[{"b":{}},{"c":[{}]}]}`, `{{{`, `{"a":"\`, `{"x":{"y":1},{"z":1}:2}`, "{\"a\" : {\n {\"k\":1} : 2 }}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := running(b)
		if err == nil && len(out.Stacks) > 3*stackBytesMax {
			t.Errorf("%d bytes of stacks", len(out.Stacks))
		}
		if json.Valid(b) {
			same, err := plainJSON(b)
			if err != nil || !bytes.Equal(same, b) {
				t.Errorf("%q became %q: %v", b, same, err)
			}
		}
	})
}
