package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

var storeHost = netip.MustParseAddrPort("127.0.0.1:10911")

// fakeBroker holds messages by position.
type fakeBroker struct {
	mu     sync.Mutex
	node   inspect.Node
	topics map[string]inspect.Topic
	groups map[string]inspect.Group
	stored map[int64][]byte
	panics bool

	clients []inspect.ClientDetail
}

func newFakeBroker() *fakeBroker {
	return &fakeBroker{
		node:   inspect.Node{Broker: "broker-a", NodeID: "n1", StoreHost: storeHost.String(), Leader: true},
		topics: map[string]inspect.Topic{"orders": {Name: "orders", Messages: 3, MessagesIn: 3, Groups: []string{"billing"}}},
		groups: map[string]inspect.Group{"billing": {Name: "billing", Online: true, Model: "CLUSTERING", LagMessages: 2,
			Subscriptions: []inspect.Subscription{{Topic: "orders", Type: "TAG", Expression: "*"}},
			Queues:        []inspect.GroupQueue{{Topic: "orders", QueueID: 0, Max: 3, Committed: 1}}}},
		stored:  map[int64][]byte{},
		clients: []inspect.ClientDetail{{Client: inspect.Client{ClientID: "10.0.0.7@1#x/y%z", Addr: "10.0.0.7:1", Protocol: "remoting"}, Consumes: []inspect.Consuming{{Group: "billing", Model: "CLUSTERING"}}}},
	}
}

func (b *fakeBroker) InspectNode() inspect.Node {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.node
}

func (b *fakeBroker) InspectTopics() (all []inspect.Topic) {
	if b.panics {
		panic("a secret in /etc/shadow\nand a stack")
	}
	for _, t := range b.topics {
		all = append(all, t)
	}
	return all
}

func (b *fakeBroker) InspectTopic(name string) (inspect.Topic, bool) {
	t, ok := b.topics[name]
	return t, ok
}

func (b *fakeBroker) InspectGroups() (all []inspect.Group) {
	for _, g := range b.groups {
		g.Queues = nil
		all = append(all, g)
	}
	return all
}

func (b *fakeBroker) InspectGroup(name string) (inspect.Group, bool) {
	g, ok := b.groups[name]
	return g, ok
}
func (b *fakeBroker) InspectClients() []inspect.Client { return nil }

func (b *fakeBroker) InspectClient(id, addr string) (inspect.ClientDetail, bool) {
	for _, d := range b.clients {
		if d.Client.ClientID == id && (addr == "" || d.Client.Addr == addr) {
			return d, true
		}
	}
	return inspect.ClientDetail{}, false
}

func (b *fakeBroker) MessagesAt(_ context.Context, position int64) [][]byte {
	if raw, ok := b.stored[position]; ok {
		return [][]byte{raw}
	}
	return nil
}

func (b *fakeBroker) Find(_ context.Context, topic, key string, unique bool) (found [][]byte, err error) {
	for _, raw := range b.stored {
		v, err := message.Parse(raw)
		if err == nil && string(v.Topic()) == topic && uniqueKey(v) == key {
			found = append(found, raw)
		}
	}
	return found, nil
}

// store puts a message into the log.
func (b *fakeBroker) store(position, queueOffset int64, sysFlag int32, body []byte, properties ...string) message.View {
	v := formed("orders", sysFlag, body, properties)
	message.Place(v, 0, queueOffset, position, 1_700_000_000_005)
	b.stored[position] = v
	return v
}

// storedIn is a message as a topic holds it.
func storedIn(topic string, properties ...string) message.View {
	v := formed(topic, 0, nil, properties)
	message.Place(v, 0, 0, 1000, 1_700_000_000_005)
	return v
}

func formed(topic string, sysFlag int32, body []byte, properties []string) message.View {
	var run []byte
	for i := 0; i+1 < len(properties); i += 2 {
		run = message.AppendProperty(run, properties[i], properties[i+1])
	}
	v, err := message.Parse(message.Append(nil, &message.Draft{
		Topic: []byte(topic), Body: body, Properties: run, SysFlag: sysFlag, BornHost: netip.MustParseAddrPort("10.0.0.1:4000"), StoreHost: storeHost, BornTime: 1_700_000_000_000,
	}))
	if err != nil {
		panic(err)
	}
	return v
}

// fakeTrail answers with what it was given, and keeps what it was asked.
type fakeTrail struct {
	mu      sync.Mutex
	queries []trail.Query
	ids     []string
	search  func(trail.Query) (trail.Matches, error)
	life    trail.Life
	err     error
	status  trail.Status

	leaders    []trail.Leadership
	leadersErr error
}

func (f *fakeTrail) Leaders(context.Context, string, int64, int64) ([]trail.Leadership, error) {
	return f.leaders, f.leadersErr
}

func (f *fakeTrail) Search(_ context.Context, q trail.Query) (trail.Matches, error) {
	f.mu.Lock()
	f.queries = append(f.queries, q)
	f.mu.Unlock()
	if f.search != nil {
		return f.search(q)
	}
	return trail.Matches{Answer: trail.Nothing}, f.err
}

func (f *fakeTrail) Life(_ context.Context, id string) (trail.Life, error) {
	f.mu.Lock()
	f.ids = append(f.ids, id)
	f.mu.Unlock()
	return f.life, f.err
}

func (f *fakeTrail) Happenings(context.Context, int64, int64, int) ([]trail.Happening, error) {
	return nil, f.err
}

func (f *fakeTrail) Rates(context.Context, int64, int64, int64, string, string) ([]trail.Rate, error) {
	return nil, f.err
}

func (f *fakeTrail) Scheduled(_ context.Context, q trail.Query) (trail.Matches, error) {
	return f.Search(context.Background(), q)
}

func (f *fakeTrail) Status() trail.Status { return f.status }

// console is a Server with its fakes.
type console struct {
	*Server
	broker *fakeBroker
	trail  *fakeTrail
	log    *strings.Builder
}

func newConsole(t *testing.T, change func(*Options)) *console {
	t.Helper()
	c := &console{broker: newFakeBroker(), trail: &fakeTrail{}, log: &strings.Builder{}}
	o := Options{
		Broker: c.broker, Trail: c.trail, Log: slog.New(slog.NewTextHandler(&lockedWriter{w: c.log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Static: fstest.MapFS{"index.html": {Data: []byte("<!doctype html>" + strings.Repeat(" ", 300))}, "assets/app-1a2b.js": {Data: []byte(strings.Repeat("let x;", 100))}},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if c.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// get asks the console.
func (c *console) get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "localhost:8080"
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w
}

func answer[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, parts ...string) {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != status || p.Status != status || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Fatalf("want a problem with status %d, got %d %s %s", status, w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	if p.ID == "" || p.ID != w.Header().Get("X-Request-Id") || p.Title == "" || p.Next == "" {
		t.Errorf("incomplete: %+v", p)
	}
	for _, part := range parts {
		if !strings.Contains(p.Title+" "+p.Detail+" "+p.Next, part) {
			t.Errorf("%+v does not say %q", p, part)
		}
	}
}
