package service

import (
	"context"
	"slices"
	"testing"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// A mode is kept with its topic, also when the topic is changed.
func TestRequestModes(t *testing.T) {
	fs, ctx := vfs.NewMem(), context.Background()
	s := open(t, fs, "log")
	c := NewClient(addr, "remoting")
	orders(t, s, c, 1)
	if _, err := s.EnsureGroup(ctx, "g"); err != nil {
		t.Fatal(err)
	}
	if m := s.RequestModeOf("orders", "g"); m.Mode != ModePull {
		t.Errorf("at first %+v", m)
	}
	for code, m := range map[int]RequestMode{
		CodeTopicNotExist: {Topic: "none", Group: "g", Mode: ModePop},
		CodeNoPermission:  {Topic: "%RETRY%g", Group: "g", Mode: ModePop}, CodeInvalidParameter: {Topic: "orders", Group: "g", Mode: "PUSH"},
	} {
		if err := s.SetRequestMode(ctx, m); err == nil || err.Code != code {
			t.Errorf("%+v: %v", m, err)
		}
	}
	want := RequestMode{"orders", "g", ModePop, 2}
	if err := s.SetRequestMode(ctx, want); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fs, "log")
	defer s.Close()
	if m := s.RequestModeOf("orders", "g"); m != want || s.RequestModes()["orders"]["g"] != want {
		t.Errorf("after a restart %+v", m)
	}
}

func queueKeys(brokers []string, each int32) (out []QueueKey) {
	for _, b := range brokers {
		for q := range each {
			out = append(out, QueueKey{"orders", b, q})
		}
	}
	return out
}

// Pulling clients share the queues out; popping ones ask whole brokers, or as many queues as they are to share.
func TestAssignments(t *testing.T) {
	queues, three := queueKeys([]string{"a", "b"}, 4), []string{"c1", "c2", "c3"}
	pull := RequestMode{Mode: ModePull}
	var all []QueueKey
	for i, n := range []int{3, 3, 2} {
		got, ok := Assign(pull, "AVG", three[i], queues, three)
		if !ok || len(got) != n {
			t.Errorf("%s gets %v", three[i], got)
		}
		all = append(all, got...)
	}
	if !slices.Equal(all, queues) {
		t.Errorf("together %v", all)
	}
	if got, _ := Assign(pull, "AVG_BY_CIRCLE", "c2", queues, three); !slices.Equal(got, []QueueKey{queues[1], queues[4], queues[7]}) {
		t.Errorf("by circle %v", got)
	}
	if got, ok := Assign(RequestMode{Mode: ModePop}, "AVG", "c1", queues, three); !ok || !slices.Equal(got, []QueueKey{{"orders", "a", -1}, {"orders", "b", -1}}) {
		t.Errorf("popping %v", got)
	}
	if got, _ := Assign(RequestMode{Mode: ModePop, PopShare: 1}, "AVG", "c3", queues, three); len(got) != 5 {
		t.Errorf("sharing with one: %v", got)
	}
	if got, _ := Assign(RequestMode{Mode: ModePop, PopShare: 1}, "AVG", "c3", queues[:1], three); !slices.Equal(got, queues[:1]) {
		t.Errorf("fewer queues than clients: %v", got)
	}
	if _, ok := Assign(pull, "NEWEST", "c1", queues, three); ok {
		t.Error("a strategy that nobody knows")
	}
	if got, ok := Assign(pull, "AVG", "stranger", queues, three); !ok || len(got) != 0 {
		t.Errorf("a client that is not there: %v", got)
	}
}

func TestModesOfATopicAreItsAttributes(t *testing.T) {
	if got := modesOf(catalog.Topic{Name: "orders", Attributes: map[string]string{"message.type": "FIFO", modeStart + "g": "POP x"}}); len(got) != 1 || got[0].Mode != ModePop || got[0].PopShare != 0 {
		t.Errorf("%+v", got)
	}
}
