package brokertest

import (
	"strings"
	"time"
)

func containsFold(s, w string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(w)) }

// networkRows cut, lose, delay and break what nodes say to each other; clients reach all of them.
func networkRows() []*Row {
	w := "W1 W2 W7"
	return []*Row{
		{Number: 9, Fault: "a leader is cut off from both followers; clients still reach it", Workload: w, Short: true, Lan: true, Run: cutLeader},
		{Number: 10, Fault: "one-way cut: a leader cannot receive, then cannot send", Workload: w, Short: true, Lan: true, Run: cutOneWay},
		{Number: 11, Fault: "bridge: two nodes cannot reach each other, the third reaches both", Workload: w, Lan: true, Run: bridge},
		{Number: 12, Fault: "a cut that comes and goes every 500 ms", Workload: w, Lan: true, Run: flapping},
		{Number: 13, Fault: "1, 10, 30 % of the packets between nodes are lost", Workload: w, Short: true, Lan: true, Run: loss},
		{Number: 14, Fault: "5 to 200 ms of delay with jitter between nodes", Workload: w, Options: ClusterOptions{Proxied: true}, Run: delays},
		{Number: 15, Fault: "connections between nodes reset in the middle of a frame; half-open ones", Workload: w, Options: ClusterOptions{Proxied: true}, Run: resets},
		{Number: 16, Fault: "the link to one follower has 1 Mbit/s", Workload: w, Lan: true, Run: slowLink},
	}
}

// next is the i-th group, in turn, with who leads it.
func (r *Round) next(i int) (group string, leader *Node) {
	group = Groups[i%len(Groups)]
	if leader = r.Leader(group); leader == nil {
		r.Fail("nobody leads %s", group)
	}
	return group, leader
}

func cutLeader(r *Round) {
	for i := 0; ; i++ {
		g, l := r.next(i)
		if l == nil {
			return
		}
		for _, o := range others(l.ID) {
			r.Lan.Cut(l.ID, o)
		}
		at := time.Now()
		r.serving(g, at)
		time.Sleep(7*time.Second - time.Since(at))
		if l.leads(g) {
			r.Fail("node %d says that it leads %s 7 s after it was cut off", l.ID, g)
		}
		r.Lan.Heal()
		if !r.More(4 * time.Second) {
			return
		}
	}
}

func cutOneWay(r *Round) {
	for i := 0; ; i++ {
		g, l := r.next(i)
		if l == nil {
			return
		}
		for _, o := range others(l.ID) {
			if i%2 == 0 {
				r.Lan.CutOneWay(o, l.ID)
			} else {
				r.Lan.CutOneWay(l.ID, o)
			}
		}
		at := time.Now()
		r.serving(g, at)
		time.Sleep(6*time.Second - time.Since(at))
		r.Lan.Heal()
		if !r.More(4 * time.Second) {
			return
		}
	}
}

// elections counts the changes of leader that the nodes wrote down.
func (r *Round) elections() (n int) {
	for _, x := range r.Nodes {
		n += strings.Count(x.Log(), "this member leads")
	}
	return n
}

func bridge(r *Round) {
	before := r.elections()
	r.Lan.Cut(1, 3)
	for r.More(time.Second) {
	}
	r.Note("%d changes of leader during one cut", r.elections()-before)
}

func flapping(r *Round) {
	before := r.elections()
	for i := 0; ; i++ {
		n := 1 + i/20%3
		for _, o := range others(n) {
			r.Lan.Cut(n, o)
		}
		time.Sleep(500 * time.Millisecond)
		r.Lan.Heal()
		if !r.More(500 * time.Millisecond) {
			break
		}
	}
	r.Note("%d changes of leader", r.elections()-before)
}

func loss(r *Round) {
	each := time.Until(r.Until) / 3
	for _, percent := range []int{1, 10, 30} {
		before, acked, at := r.elections(), r.P.AckedSince("", r.Began), time.Now()
		r.Lan.Lose(percent)
		time.Sleep(each)
		r.Note("%d %%: %d acked/s, %d changes of leader", percent, int(float64(r.P.AckedSince("", r.Began)-acked)/time.Since(at).Seconds()), r.elections()-before)
		r.Lan.Heal()
	}
}

func delays(r *Round) {
	each := time.Until(r.Until) / 3
	for _, d := range []time.Duration{5, 50, 200} {
		before, acked, at := r.elections(), r.P.AckedSince("", r.Began), time.Now()
		for _, p := range r.Proxies {
			p.Delay(d*time.Millisecond/2, d*time.Millisecond)
		}
		time.Sleep(each)
		r.Note("%d ms: %d acked/s, %d changes of leader", d, int(float64(r.P.AckedSince("", r.Began)-acked)/time.Since(at).Seconds()), r.elections()-before)
	}
}

func resets(r *Round) {
	before := r.elections()
	for _, p := range r.Proxies {
		p.Break(200 << 10)
	}
	for r.More(3 * time.Second) {
		for pair, p := range r.Proxies {
			p.Mute(pair[0] == 1 && pair[1] == 2) // half open for 1 s
		}
		time.Sleep(time.Second)
		for _, p := range r.Proxies {
			p.Mute(false)
		}
	}
	n := int64(0)
	for _, p := range r.Proxies {
		n += p.Resets.Load()
	}
	r.Note("%d resets, %d changes of leader", n, r.elections()-before)
}

func slowLink(r *Round) {
	f := r.Followers(Groups[0])[0]
	r.Lan.Slow(f.ID, "1mbit")
	most := Health{}
	for r.More(time.Second) {
		for _, n := range r.Nodes {
			if h := n.Health(); h.RSSMiB > most.RSSMiB {
				most = h
			}
		}
	}
	r.Note("node %d was slow; most memory of a node: %v", f.ID, most)
}
