package server

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/ui/api"
)

// recorded is a Cluster that remembers what it was told.
type recorded struct {
	calls []any
	err   error
}

func (r *recorded) told(v any) error {
	r.calls = append(r.calls, v)
	return r.err
}

func (r *recorded) Cluster() inspect.Cluster                 { return inspect.Cluster{Node: 1} }
func (r *recorded) Change(c inspect.ClusterChange) error     { return r.told(c) }
func (r *recorded) MoveLeader(g string, member uint64) error { return r.told([]any{g, member}) }
func (r *recorded) ChangeMembers(g string, add, remove uint64) error {
	return r.told([]any{g, add, remove})
}
func (r *recorded) ChangeQueues(topic string, q api.QueuesChange) ([]string, error) {
	return []string{"broker-a"}, r.told([]any{topic, q})
}

type invalid struct{}

func (invalid) Error() string     { return "node 9 is not in the cluster; possible are [1 2 3]" }
func (invalid) ResponseCode() int { return responseInvalid }

func post(c *console, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080/api/v1"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w
}

func TestChanges(t *testing.T) {
	rec := &recorded{}
	c := newConsole(t, func(o *Options) { o.Cluster = rec })
	for _, x := range []struct {
		path, body string
		want       any
	}{
		{"/cluster/groups", `{"name":"broker-d","nodes":[1,2],"addresses":{"1":"10.0.0.1:1"}}`, inspect.ClusterChange{Kind: inspect.AddGroup, Group: "broker-d", Nodes: []uint64{1, 2}, Addrs: map[uint64]string{1: "10.0.0.1:1"}}},
		{"/cluster/groups/broker-a/leader", `{"member":2}`, []any{"broker-a", uint64(2)}},
		{"/cluster/groups/broker-a/members", `{"add":4,"remove":2}`, []any{"broker-a", uint64(4), uint64(2)}},
		{"/cluster/nodes/2/drain", `{"replaceBy":4}`, inspect.ClusterChange{Kind: inspect.DrainOf, Node: 2, By: 4}},
		{"/cluster/nodes/2/undrain", ``, inspect.ClusterChange{Kind: inspect.Undrain, Node: 2}},
		{"/topics/orders/queues", `{"readQueues":8,"writeQueues":8}`, []any{"orders", api.QueuesChange{Read: 8, Write: 8}}},
	} {
		rec.calls = nil
		if w := post(c, x.path, x.body); w.Code != http.StatusOK || len(rec.calls) != 1 || !reflect.DeepEqual(rec.calls[0], x.want) {
			t.Errorf("%s: %d %s, told %+v", x.path, w.Code, w.Body, rec.calls)
		}
	}
}

// What is refused must not reach the cluster: a page of another origin, a form, and a console that anybody may reach.
func TestChangesAreRefused(t *testing.T) {
	rec := &recorded{}
	c := newConsole(t, func(o *Options) { o.Cluster = rec })
	open := newConsole(t, func(o *Options) { o.Cluster, o.NoChanges = rec, "it listens on 0.0.0.0:8080" })
	for name, x := range map[string]struct {
		w    *httptest.ResponseRecorder
		code int
		says string
	}{
		"other origin": {post(c, "/cluster/nodes/2/drain", `{}`, "Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"), 403, ""},
		"form":         {post(c, "/cluster/nodes/2/drain", `replaceBy=1`, "Content-Type", "application/x-www-form-urlencoded"), 415, "application/x-www-form-urlencoded"},
		"reachable":    {post(open, "/cluster/nodes/2/drain", `{}`), 403, "0.0.0.0:8080"},
		"unknown":      {post(c, "/cluster/nodes/2/drain", `{"by":1}`), 400, `unknown field \"by\"`},
		"node":         {post(c, "/cluster/nodes/two/drain", `{}`), 400, `\"two\"`},
		"long":         {post(c, "/cluster/nodes/2/drain", `{"replaceBy": `+strings.Repeat(" ", changeBytesMax)+`1}`), 400, "262144"},
		"queues":       {post(c, "/topics/orders/queues", `{}`), 400, "from 1 on"},
		"elsewhere":    {post(c, "/topics", `{}`), 405, ""},
	} {
		if x.w.Code != x.code || !strings.Contains(x.w.Body.String(), x.says) {
			t.Errorf("%s: %d %s", name, x.w.Code, x.w.Body)
		}
	}
	if len(rec.calls) > 0 {
		t.Errorf("the cluster was told %+v", rec.calls)
	}
	rec.err = invalid{}
	if w := post(c, "/cluster/nodes/9/drain", `{}`); w.Code != 400 || !strings.Contains(w.Body.String(), "[1 2 3]") {
		t.Errorf("refused by the cluster: %d %s", w.Code, w.Body)
	}
	rec.err = errors.New("connection reset")
	if w := post(c, "/cluster/nodes/2/drain", `{}`); w.Code != http.StatusBadGateway {
		t.Errorf("unknown outcome: %d %s", w.Code, w.Body)
	}
}
