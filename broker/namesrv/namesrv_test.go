package namesrv

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

func topics(names ...string) (out []catalog.Topic) {
	for _, n := range names {
		out = append(out, catalog.NewTopic(n, 4))
	}
	return out
}

func TestRoutesFollowRegistrations(t *testing.T) {
	n := NewTable()
	a := Member{Cluster: "c", Broker: "broker-a", Addr: "10.0.0.1:10911"}
	if err := n.Register(1, a, topics("orders", "old"), "conn"); err != nil {
		t.Fatal(err)
	}
	if r, ok := n.Route("orders"); !ok || r.Brokers[0].Addrs["0"] != a.Addr || r.Queues[0].WriteQueues != 4 {
		t.Fatalf("route %+v", r)
	}
	if err := n.Register(2, a, topics("orders", "new"), "conn"); err != nil {
		t.Fatal(err)
	}
	if _, ok := n.Route("old"); ok {
		t.Fatal("a topic that the broker has no more is still routed")
	}
	_ = n.Topics(Member{Broker: "broker-a"}, topics("now"))
	if _, ok := n.Route("now"); !ok {
		t.Fatal("a changed topic is not routed at once")
	}
	_ = n.Topics(Member{Broker: "broker-a"}, []catalog.Topic{{Name: "now"}})
	if _, ok := n.Route("now"); ok {
		t.Fatal("a deleted topic is routed")
	}
	if c, ok := n.WritePerm("broker-a", false); !ok || c != 2 {
		t.Fatalf("wiped %d", c)
	}
	if r, _ := n.Route("orders"); r.Queues[0].Perm != catalog.PermRead {
		t.Fatalf("permission %d after it was wiped", r.Queues[0].Perm)
	}
}

func TestSilentAndClosedBrokersAreForgotten(t *testing.T) {
	for name, gone := range map[string]func(*Table){
		"silent":     func(n *Table) { n.Expire(ExpireAfterMillis + 1) },
		"closed":     func(n *Table) { n.Disconnected("conn") },
		"unregister": func(n *Table) { n.Unregister(Member{Broker: "broker-a"}) },
	} {
		n := NewTable()
		if err := n.Register(1, Member{Cluster: "c", Broker: "broker-a", Addr: "x"}, topics("orders"), "conn"); err != nil {
			t.Fatal(err)
		}
		n.Expire(ExpireAfterMillis)
		if _, ok := n.Route("orders"); !ok {
			t.Fatalf("%s: forgotten too early", name)
		}
		gone(n)
		if _, ok := n.Route("orders"); ok || len(n.Cluster().Brokers) != 0 || len(n.AllTopics("")) != 0 {
			t.Errorf("%s: still there", name)
		}
	}
	n := NewTable()
	_ = n.Register(1, Member{Cluster: "c", Broker: "own", Addr: "x"}, topics("orders"), nil)
	if n.Expire(1 << 60); len(n.AllTopics("c")) != 1 {
		t.Fatal("the broker of this process expired")
	}
}

func TestLimits(t *testing.T) {
	n := NewTable()
	if err := n.PutKV("n", "k", strings.Repeat("x", KVBytesMax)); err == nil || !strings.Contains(err.Error(), "65536") {
		t.Fatalf("large value: %v", err)
	}
	for i := range KVMax {
		if err := n.PutKV("n", string(rune(i+1000)), "v"); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := n.PutKV("n", "one more", "v"); err == nil {
		t.Fatal("KV entries have no limit")
	}
	if err := n.PutKV("n", string(rune(1000)), "changed"); err != nil {
		t.Fatalf("an entry that is there cannot be changed: %v", err)
	}
}

func serve(t *testing.T, accept bool) *rpc.Client {
	t.Helper()
	s, err := Start(Options{Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), AcceptBrokers: accept})
	if err != nil {
		t.Fatal(err)
	}
	c := &rpc.Client{Addr: s.Addr().String(), Timeout: 10 * time.Second}
	t.Cleanup(func() {
		c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
	})
	return c
}

func ask(t *testing.T, c *rpc.Client, code int32, body string, fields ...string) (int32, string, []byte) {
	t.Helper()
	var fs []rpc.Field
	for i := 0; i < len(fields); i += 2 {
		fs = append(fs, rpc.Field{Name: fields[i], Value: fields[i+1]})
	}
	f, err := c.Do(code, fs, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return f.Code, string(f.Remark), slices.Clone(f.Body)
}

const registration = `{"topicConfigSerializeWrapper":{"topicConfigTable":{"orders":{"topicName":"orders","readQueueNums":4,"writeQueueNums":4,"perm":6}}}}`

func TestBrokersOfOtherProcesses(t *testing.T) {
	member := []string{"clusterName", "c", "brokerName", "broker-x", "brokerAddr", "10.0.0.9:10911", "brokerId", "0"}
	closed := serve(t, false)
	if code, text, _ := ask(t, closed, wire.RegisterBroker, registration, member...); code != 16 || !strings.Contains(text, "acceptBrokers") {
		t.Fatalf("a stranger registered: %d %s", code, text)
	}
	if code, _, _ := ask(t, closed, wire.RouteInfo, "", "topic", "orders"); code != 17 {
		t.Fatalf("route of a stranger: %d", code)
	}
	open := serve(t, true)
	if code, text, _ := ask(t, open, wire.RegisterBroker, registration, member...); code != 0 {
		t.Fatalf("register: %d %s", code, text)
	}
	code, _, body := ask(t, open, wire.RouteInfo, "", "topic", "orders")
	want := `{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.9:10911"},"brokerName":"broker-x","cluster":"c","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-x","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}`
	if code != 0 || string(body) != want {
		t.Fatalf("route: %d %s", code, body)
	}
	if code, _, _ := ask(t, open, wire.RegisterTopic, `{"queueDatas":[{"brokerName":"broker-x","perm":6,"readQueueNums":1,"writeQueueNums":1}]}`, "topic", "late"); code != 0 {
		t.Fatal(code)
	}
	if code, _, _ := ask(t, open, wire.RouteInfo, "", "topic", "late"); code != 0 {
		t.Fatal("a topic told by 217 has no route")
	}
	for _, bad := range []string{"", "{", `{"topicConfigSerializeWrapper":5}`} {
		if code, _, _ := ask(t, open, wire.RegisterBroker, bad, member...); code != 1 {
			t.Errorf("registration %q: code %d", bad, code)
		}
	}
}

func TestKVAndLists(t *testing.T) {
	c := serve(t, true)
	ask(t, c, wire.PutKV, "", "namespace", "ORDER_TOPIC_CONFIG", "key", "orders", "value", "broker-a:8")
	if code, _, body := ask(t, c, wire.KVList, "", "namespace", "ORDER_TOPIC_CONFIG"); code != 0 || string(body) != `{"table":{"orders":"broker-a:8"}}` {
		t.Fatalf("%d %s", code, body)
	}
	ask(t, c, wire.DeleteKV, "", "namespace", "ORDER_TOPIC_CONFIG", "key", "orders")
	if code, _, _ := ask(t, c, wire.GetKV, "", "namespace", "ORDER_TOPIC_CONFIG", "key", "orders"); code != 22 {
		t.Fatal(code)
	}
	for _, code := range []int32{wire.ClusterInfo, wire.AllTopics, wire.TopicsByCluster, wire.SystemTopicsNameServer} {
		if got, _, body := ask(t, c, code, "", "cluster", "c"); got != 0 || !json.Valid(body) {
			t.Errorf("code %d: %d %s", code, got, body)
		}
	}
	if code, text, _ := ask(t, c, 310, ""); code != 3 || !strings.Contains(text, "310") {
		t.Fatalf("%d %s", code, text)
	}
}

func TestEmptyNamespacesAreForgotten(t *testing.T) {
	table := NewTable()
	for i := range 100 {
		ns := fmt.Sprint("ns", i)
		if err := table.PutKV(ns, "k", "v"); err != nil {
			t.Fatal(err)
		}
		table.DeleteKV(ns, "k")
	}
	if n := len(table.kv); n != 0 {
		t.Fatalf("%d empty namespaces are kept", n)
	}
}
