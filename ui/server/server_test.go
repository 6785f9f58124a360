package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// conforms checks a value against a schema of the API's document.
func conforms(schemas map[string]any, schema map[string]any, v any, at string) error {
	if ref, ok := schema["$ref"].(string); ok {
		return conforms(schemas, schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any), v, at)
	}
	if either, ok := schema["anyOf"].([]any); ok {
		if v == nil {
			return nil
		}
		return conforms(schemas, either[0].(map[string]any), v, at)
	}
	bad := fmt.Errorf("%s: %T is no %v", at, v, schema["type"])
	switch schema["type"] {
	case "object":
		m, ok := v.(map[string]any)
		if !ok {
			return bad
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := m[name.(string)]; !ok {
				return fmt.Errorf("%s has no %s", at, name)
			}
		}
		properties, _ := schema["properties"].(map[string]any)
		for name, value := range m {
			p, ok := properties[name].(map[string]any)
			if !ok {
				if p, ok = schema["additionalProperties"].(map[string]any); !ok {
					return fmt.Errorf("%s has an unknown %s", at, name)
				}
			}
			if err := conforms(schemas, p, value, at+"."+name); err != nil {
				return err
			}
		}
	case "array":
		list, ok := v.([]any)
		if !ok {
			return bad
		}
		for i, value := range list {
			if err := conforms(schemas, schema["items"].(map[string]any), value, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case "string":
		if _, ok := v.(string); !ok {
			return bad
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return bad
		}
	default:
		if _, ok := v.(float64); !ok {
			return bad
		}
	}
	return nil
}

// Every endpoint of the document answers, in the shape that it says, lists being lists even when nothing is in them.
func TestAnswersAreAsTheDocumentSays(t *testing.T) {
	var doc struct {
		Paths      map[string]map[string]map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(api.Document, &doc); err != nil {
		t.Fatal(err)
	}
	empty := newConsole(t, func(o *Options) { o.Trail = nil })
	full := newConsole(t, newActing(&fakeOperator{letters: lettersOf(2, "broker-a"), halves: []inspect.Transaction{{Topic: "orders"}}, due: []inspect.Scheduled{{Topic: "orders"}}}))
	v := full.broker.store(1000, 0, 0, []byte(`{"a":1}`), "UNIQ_KEY", "ID1", "KEYS", "k1 k2")
	full.trail.life = trail.Life{Answer: trail.Found, Messages: []trail.Message{fromLog(v, full.broker.node)}}
	full.trail.search = func(trail.Query) (trail.Matches, error) {
		return trail.Matches{Answer: trail.Found, Messages: full.trail.life.Messages}, nil
	}
	full.broker.clients[0].Settings = &inspect.ClientSettings{Backoff: &inspect.Backoff{}, Publishing: &inspect.Publishing{}, Subscription: &inspect.Subscribed{}}
	empty.broker.store(1000, 0, 0, nil, "UNIQ_KEY", "ID1")
	formats := map[string]string{"/api/v1/dead-letters/{group}/export": "?format=jsonl"}
	replace := strings.NewReplacer("{topic}", "orders", "{group}", "billing", "{id}", "ID1", "{client}", url.PathEscape("10.0.0.7@1#x/y%z"))
	for path, operations := range doc.Paths {
		if operations["get"] == nil {
			continue // TestChanges
		}
		content := operations["get"]["responses"].(map[string]any)["200"].(map[string]any)["content"].(map[string]any)
		for media, c := range content {
			schema := c.(map[string]any)["schema"].(map[string]any)
			if media == "text/event-stream" {
				continue // TestLiveTicks
			}
			for name, console := range map[string]*console{"empty": empty, "full": full} {
				w := console.get(t, replace.Replace(path)+formats[path])
				if w.Code != http.StatusOK && !(name == "empty" && w.Code == http.StatusServiceUnavailable) {
					t.Errorf("%s %s: %d %s", name, path, w.Code, w.Body)
					continue
				}
				if w.Code != http.StatusOK {
					wantProblem(t, w, http.StatusServiceUnavailable)
					continue
				}
				if got := w.Header().Get("Content-Type"); got != media {
					t.Errorf("%s: %s, want %s", path, got, media)
				}
				if media == "application/octet-stream" {
					continue
				}
				for line := range strings.Lines(w.Body.String()) {
					var value any
					if err := json.Unmarshal([]byte(line), &value); err != nil {
						t.Fatalf("%s: %v in %s", path, err, line)
					}
					if err := conforms(doc.Components.Schemas, schema, value, name+" "+path); err != nil {
						t.Error(err)
					}
				}
			}
		}
	}
}

func TestProblemsNameValueAndLimit(t *testing.T) {
	c := newConsole(t, nil)
	long := strings.Repeat("x", 600)
	for path, want := range map[string]struct {
		status int
		parts  []string
	}{
		"/api/v1/topics/none":                           {404, []string{`"none"`, "topic"}},
		"/api/v1/groups/none":                           {404, []string{`"none"`, "group"}},
		"/api/v1/clients/none":                          {404, []string{`"none"`, "client"}},
		"/api/v1/clients/none?addr=" + long:             {400, []string{"addr", "512"}},
		"/api/v1/nothing":                               {404, []string{"/api/v1/nothing"}},
		"/api/v1/messages?from=5&to=4":                  {400, []string{"from", "5", "4"}},
		"/api/v1/messages?from=-1":                      {400, []string{"from", "-1"}},
		"/api/v1/messages?limit=many":                   {400, []string{"limit", "many"}},
		"/api/v1/messages?from=1":                       {400, []string{"from", "400 days"}},
		"/api/v1/messages?topic=" + long:                {400, []string{"topic", "512", "600"}},
		"/api/v1/messages/stream?tag=" + long:           {400, []string{"tag", "512", "600"}},
		"/api/v1/messages?key=%zz":                      {400, []string{"query"}},
		"/api/v1/messages?x=" + strings.Repeat(long, 8): {414, []string{"4802", "4096"}},
		"/api/v1/messages/" + strings.Repeat(long, 4):   {414, []string{"2048"}},
		"/api/v1/messages/none/body":                    {404, []string{`none`, "log does not hold"}},
		"/api/v1/messages/none/body?position=x":         {400, []string{"position", "x"}},
		"/api/v1/happenings?limit=-4":                   {400, []string{"limit", "-4"}},
		"/api/v1/rates?step=x":                          {400, []string{"step", "x"}},
		"/assets/none.js":                               {404, []string{"assets/none.js"}},
		"/metrics":                                      {404, []string{"/metrics"}},
	} {
		w := c.get(t, path)
		wantProblem(t, w, want.status, want.parts...)
	}
	served := newConsole(t, func(o *Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "up 1") })
	})
	if w := served.get(t, "/metrics", "Host", "contrail:8080"); w.Code != 200 || w.Body.String() != "up 1" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	c.trail.err = errors.New("the store is away")
	wantProblem(t, c.get(t, "/api/v1/happenings"), 503, "store is away")
	if m := answer[trail.Matches](t, c.get(t, "/api/v1/messages")); m.Answer != trail.Failed || m.Reason != "the store is away" {
		t.Errorf("%+v", m)
	}
	if o := answer[api.Overview](t, c.get(t, "/api/v1/overview")); o.Answer != trail.Failed || o.Lag != 2 || o.Topics != 1 || len(o.Worst) != 1 {
		t.Errorf("%+v", o)
	}
}

// Only reading is offered, whoever asks.
func TestOnlyReading(t *testing.T) {
	c := newConsole(t, nil)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"} {
		r := httptest.NewRequest(method, "/api/v1/topics", nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		wantProblem(t, w, http.StatusMethodNotAllowed, method)
		if w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%v", w.Header())
		}
	}
}

// A name that is not ours is a page of somebody else that resolves to us.
func TestForeignNamesAreRefused(t *testing.T) {
	c := newConsole(t, func(o *Options) { o.Hosts = []string{"Console.example.com"} })
	for host, status := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "::1": 200, "192.0.2.7": 200, "console.example.com": 200, "console.example.com.:80": 200,
		"evil.example.com": 421, "localhost.evil.example.com:8080": 421, "127.0.0.1.evil.example.com": 421, "": 421,
	} {
		if w := c.get(t, "/api/v1/topics", "Host", host); w.Code != status {
			t.Errorf("host %q: %d", host, w.Code)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := c.get(t, path, "Host", "contrail:8080"); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	wantProblem(t, c.get(t, "/", "Host", "evil.example.com"), 421, "evil.example.com", "console.hosts")
	anyone := newConsole(t, func(o *Options) { o.Hosts = []string{"*"} })
	if w := anyone.get(t, "/", "Host", "evil.example.com"); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

// Attack list 40: what producers send is never a page.
func TestHostileTextsStayTexts(t *testing.T) {
	c := newConsole(t, nil)
	evil := `<script>alert(1)</script><svg onload=x> javascript:alert(1)`
	v := c.broker.store(1000, 0, 0, []byte("<html>"+evil), "UNIQ_KEY", evil, "TAGS", evil)
	for _, path := range []string{
		"/api/v1/messages/" + url.PathEscape(evil), "/api/v1/messages/" + url.PathEscape(evil) + "/body", "/api/v1/messages/" + offsetID(v) + "/raw",
		"/api/v1/topics/" + url.PathEscape(evil), "/" + url.PathEscape(evil), "/api/v1/messages?key=" + url.QueryEscape(evil), "/",
	} {
		w := c.get(t, path)
		h := w.Header()
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'self'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "script-src") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, h)
		}
		if media := h.Get("Content-Type"); strings.Contains(media, "html") && strings.Contains(w.Body.String(), "alert") {
			t.Errorf("%s: a page with %s", path, w.Body)
		}
		if strings.Contains(h.Get("Content-Type"), "json") && strings.Contains(w.Body.String(), "<script") {
			t.Errorf("%s: not escaped: %s", path, w.Body)
		}
	}
	raw := c.get(t, "/api/v1/messages/"+url.PathEscape(evil)+"/raw")
	if d := raw.Header().Get("Content-Disposition"); raw.Body.String() != "<html>"+evil || d != `attachment; filename="`+offsetID(v)+`.bin"` || raw.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%v %s", raw.Header(), raw.Body)
	}
}

// Attack list 46: an id that names another host is looked up here only.
func TestForeignOffsetIDsAreNotFound(t *testing.T) {
	c := newConsole(t, nil)
	v := c.broker.store(1000, 0, 0, []byte("x"))
	own := offsetID(v)
	if l := answer[api.MessageLife](t, c.get(t, "/api/v1/messages/"+strings.ToLower(own))); l.Stored == nil {
		t.Fatal("the own one is not found")
	}
	foreign := "0A000005" + own[8:]
	l := answer[api.MessageLife](t, c.get(t, "/api/v1/messages/"+foreign))
	if l.Stored != nil || len(l.Life.Messages) != 0 {
		t.Errorf("%+v", l)
	}
	wantProblem(t, c.get(t, "/api/v1/messages/"+foreign+"/body"), 404)
	wantProblem(t, c.get(t, "/api/v1/messages/"+foreign+"/body?position=1000"), 404)
}

// Attack list 47: texts of a search reach the trail as values, within limits.
func TestSearchesAreBounded(t *testing.T) {
	c := newConsole(t, nil)
	evil := "' OR 1=1; DROP TABLE messages -- (a+)+$"
	if w := c.get(t, "/api/v1/messages?from=1000000&to=2000000&limit=99999999&topic="+url.QueryEscape(evil)); w.Code != 200 {
		t.Fatal(w.Body)
	}
	if q := c.trail.queries[0]; q.Topic != evil || q.Limit != limitMax || q.FromMicros != 1000000 || q.ToMicros != 2000000 {
		t.Errorf("%+v", q)
	}
	if w := c.get(t, "/api/v1/messages?limit=0"); w.Code != 200 || c.trail.queries[1].Limit != 1 || c.trail.queries[1].ToMicros-c.trail.queries[1].FromMicros != rangeDefault.Microseconds() {
		t.Errorf("%+v", c.trail.queries[1])
	}
	for range askingMax {
		c.asking <- struct{}{}
	}
	for range servingMax {
		c.serving <- struct{}{}
	}
	wantProblem(t, c.get(t, "/api/v1/topics"), 503, "256")
	for range servingMax {
		<-c.serving
	}
	w := c.get(t, "/api/v1/messages")
	wantProblem(t, w, 503, "16")
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// Attack list 48: what a client wrote cannot forge a line of the log, nor fill it.
func TestLogsAreSafe(t *testing.T) {
	c := newConsole(t, nil)
	c.get(t, "/api/v1/topics/"+url.PathEscape("x\r\nlevel=ERROR msg=forged \x1b[31m"+strings.Repeat("y", 450)))
	text := c.log.String()
	if strings.Contains(text, "\r") || strings.Contains(text, "\x1b") || strings.Contains(text, "\nlevel=ERROR") || strings.Contains(text, strings.Repeat("y", loggedMax+1)) {
		t.Errorf("%q", text)
	}
}

// Attack list 49: profiles are for this machine; a failure shows its number and nothing else.
func TestNothingInternalIsShown(t *testing.T) {
	c := newConsole(t, nil)
	ask := func(remote string, header ...string) int {
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/goroutine?debug=1", nil)
		r.Host, r.RemoteAddr = "localhost", remote
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		return w.Code
	}
	if got := []int{ask("192.0.2.1:5"), ask("127.0.0.1:5", "X-Forwarded-For", "192.0.2.1"), ask("[::1]:5", "Forwarded", "for=192.0.2.1")}; !slices.Equal(got, []int{404, 404, 404}) {
		t.Errorf("%v", got)
	}
	if got := ask("127.0.0.1:5"); got != 200 {
		t.Errorf("from here: %d", got)
	}
	c.broker.panics = true
	w := c.get(t, "/api/v1/topics")
	wantProblem(t, w, 500)
	if body := w.Body.String(); strings.Contains(body, "secret") || strings.Contains(body, ".go") {
		t.Errorf("%s", body)
	}
	if !strings.Contains(c.log.String(), w.Header().Get("X-Request-Id")) || !strings.Contains(c.log.String(), "secret") {
		t.Error("the log does not have the cause")
	}
}

// Each answer of the API is told with its route's template; what is no API is not.
func TestAnswersAreTold(t *testing.T) {
	var told []string
	c := newConsole(t, func(o *Options) {
		o.Served = func(began time.Time, method, route string, status int) {
			if since := time.Since(began); since < 0 || since > time.Minute {
				t.Errorf("%s took %v", route, since)
			}
			told = append(told, fmt.Sprint(method, " ", route, " ", status))
		}
	})
	for _, path := range []string{"/api/v1/node", "/api/v1/topics/orders", "/api/v1/topics/secret-name", "/api/v1/messages?limit=many", "/api/v1/none", "/healthz", "/"} {
		c.get(t, path)
	}
	c.Server.o.Broker = nil // a handler that panics
	if w := c.get(t, "/api/v1/node"); w.Code != http.StatusInternalServerError {
		t.Errorf("a panic is answered with %d", w.Code)
	}
	want := []string{
		"GET /api/v1/node 200", "GET /api/v1/topics/:topic 200", "GET /api/v1/topics/:topic 404", "GET /api/v1/messages 400", "GET /api/v1/node 500",
	}
	if !slices.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
}

func TestReadiness(t *testing.T) {
	c := newConsole(t, nil)
	if w := c.get(t, "/readyz"); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
	c.broker.mu.Lock()
	c.broker.node.Stopped = "the disk is full"
	c.broker.mu.Unlock()
	if w := c.get(t, "/readyz"); w.Code != 503 || !strings.Contains(w.Body.String(), "disk is full") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := c.get(t, "/healthz"); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

func TestPageIsServed(t *testing.T) {
	c := newConsole(t, nil)
	for _, path := range []string{"/", "/index.html", "/topics/orders", "/messages/a.b", "/groups/%25RETRY%25x", "/../../etc/passwd"} {
		w := c.get(t, path)
		if w.Code != 200 || !strings.HasPrefix(w.Body.String(), "<!doctype html>") || w.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %v %.30s", path, w.Code, w.Header(), w.Body)
		}
	}
	w := c.get(t, "/assets/app-1a2b.js", "Accept-Encoding", "br, gzip")
	if w.Code != 200 || w.Header().Get("Content-Encoding") != "gzip" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || !strings.Contains(w.Header().Get("Content-Type"), "javascript") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w = c.get(t, "/assets/app-1a2b.js", "If-None-Match", `"x", `+w.Header().Get("ETag"), "Accept-Encoding", "gzip"); w.Code != http.StatusNotModified {
		t.Errorf("%d", w.Code)
	}
	if w = c.get(t, "/assets/app-1a2b.js", "Accept-Encoding", "gzip;q=0"); w.Body.Len() != 600 {
		t.Errorf("%d bytes", w.Body.Len())
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a console without a broker")
	}
}

// Large answers are compressed for who can read that.
func TestAnswersAreCompressed(t *testing.T) {
	c := newConsole(t, nil)
	for i := range 100 {
		name := fmt.Sprint("topic-", i)
		c.broker.topics[name] = inspect.Topic{Name: name}
	}
	w := c.get(t, "/api/v1/topics", "Accept-Encoding", "gzip")
	if w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 4000 {
		t.Errorf("%v, %d bytes", w.Header(), w.Body.Len())
	}
}
