package plan

import (
	"strings"
	"testing"
)

var three = Cluster{Nodes: []uint64{1, 2, 3}, Groups: []string{"broker-a", "broker-b", "broker-c"}}

func added() Group {
	return Group{Name: "broker-d", Founders: []uint64{1, 2, 3}, Addrs: map[uint64]string{1: "10.0.0.1:1", 2: "10.0.0.2:1", 3: "10.0.0.3:1"}}
}

func must(t *testing.T, p Plan, err error) Plan {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGroupIsAddedOnce(t *testing.T) {
	p, err := Plan{}.AddGroup(three, added())
	p = must(t, p, err)
	if g, ok := p.Group("broker-d"); !ok || len(g.Founders) != 3 || p.Version != 1 || p.Leaders["broker-d"] != 1 {
		t.Fatalf("%+v", p)
	}
	again, err := p.AddGroup(three, added())
	if again = must(t, again, err); again.Version != p.Version {
		t.Fatal("the same group again is a change")
	}
	other := added()
	other.Founders = []uint64{1, 2}
	if _, err := p.AddGroup(three, other); err == nil || !strings.Contains(err.Error(), "founded by nodes [1 2 3]") {
		t.Fatalf("a second group of the name: %v", err)
	}
}

func TestRefusalsNameValueAndWhatIsPossible(t *testing.T) {
	group := func(change func(*Group)) error {
		g := added()
		change(&g)
		_, err := Plan{}.AddGroup(three, g)
		return err
	}
	drained := must2(Plan{}.Drain(three, 2, 0, 1))
	second := must2(drained.Drain(three, 3, 0, 1))
	for want, err := range map[string]error{
		`"a b": letters, digits`:         group(func(g *Group) { g.Name = "a b" }),
		"101 bytes; 1 to 100":            group(func(g *Group) { g.Name = strings.Repeat("x", 101) }),
		"is there already":               group(func(g *Group) { g.Name = "broker-a" }),
		"node 9 is not in the cluster":   group(func(g *Group) { g.Founders = []uint64{1, 9} }),
		"node 1 is named twice":          group(func(g *Group) { g.Founders = []uint64{1, 1} }),
		"no nodes are named":             group(func(g *Group) { g.Founders = nil }),
		`"here" is not ip:port`:          group(func(g *Group) { g.Addrs[2] = "here" }),
		"node 2 is drained":              second2(drained.Lead(three, "broker-a", 2)),
		`"broker-x" is not in this`:      second2(drained.Lead(three, "broker-x", 1)),
		"node 1 is the last of":          second2(second.Drain(three, 1, 0, 1)),
		"node 2 is drained itself":       second2(drained.Drain(three, 1, 2, 1)),
		"cannot take its own":            second2(drained.Drain(three, 1, 1, 1)),
		"node 7 is not in the cluster; ": second2(drained.Undrain(three, 7)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

func must2(p Plan, err error) Plan {
	if err != nil {
		panic(err)
	}
	return p
}

func second2(_ Plan, err error) error { return err }

func TestDrainedNodeLeadsNothing(t *testing.T) {
	p := must2(Plan{}.Drain(three, 2, 0, 1))
	if got := p.Leader([]uint64{1, 2, 3}, 2, 3, 1); got != 3 {
		t.Errorf("node %d shall lead", got)
	}
	if got := p.Leader([]uint64{2}, 2, 1); got != 0 {
		t.Errorf("node %d shall lead a group of node 2 alone", got)
	}
	p = must2(p.Undrain(three, 2))
	if got := p.Leader([]uint64{1, 2, 3}, 2, 3); got != 2 {
		t.Errorf("node %d shall lead after undrain", got)
	}
}

// A change must not reach into the plan that others read.
func TestPlanIsAValue(t *testing.T) {
	p := must2(must2(Plan{}.AddGroup(three, added())).Drain(three, 3, 0, 1))
	before := string(p.Encode())
	_ = must2(p.SetAddr(three, "broker-d", 2, "10.0.0.9:9"))
	_ = must2(p.Lead(three, "broker-d", 2))
	_, _ = p.GroupDone("broker-d"), p.DrainDone(3)
	_ = must2(p.Undrain(three, 3))
	if got := string(p.Encode()); got != before {
		t.Fatalf("%s became %s", before, got)
	}
	if back, err := Parse(p.Encode()); err != nil || string(back.Encode()) != before {
		t.Fatalf("%+v %v", back, err)
	}
}
