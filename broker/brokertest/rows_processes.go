package brokertest

import (
	"math/rand/v2"
	"syscall"
	"time"
)

// processRows are kills, pauses and orderly ends of whole processes.
func processRows() []*Row {
	return []*Row{
		{Number: 1, Fault: "kill -9 of a leader every 6 s", Workload: "W1 W2 W7", Short: true, Run: killLeaders},
		{Number: 2, Fault: "kill -9 of a follower, back after a while", Workload: "W1 W2 W7", Short: true, Run: killFollower},
		{Number: 3, Fault: "kill -9 of all three at once", Workload: "W1 W2 W7", Short: true, Run: killAll},
		{Number: 7, Fault: "SIGSTOP of a leader for 10 s", Workload: "W1 W2 W7", Short: true, Run: pauseLeader},
		{Number: 8, Fault: "each node stopped for 3 s in turn", Workload: "W1 W2 W7", Run: pauseInTurn},
		{Number: 34, Fault: "orderly end of each node in turn: its groups are handed over", Workload: "W1 W2 W7", Short: true, Run: restartInTurn},
	}
}

// again starts a node and waits until it answers.
func (r *Round) again(n *Node) {
	n.Start()
	began := time.Now()
	if !n.AwaitAwake(60 * time.Second) {
		r.Fail("node %d does not come back", n.ID)
	}
	r.Note("node %d back after %v", n.ID, time.Since(began).Round(time.Millisecond))
}

func killLeaders(r *Round) {
	for i := 0; ; i++ {
		g := Groups[i%len(Groups)]
		if l := r.Leader(g); l != nil {
			at := time.Now()
			l.Kill()
			r.serving(g, at)
			time.Sleep(time.Second)
			r.again(l)
		}
		if !r.More(6 * time.Second) {
			return
		}
	}
}

// serving measures how long a group took no messages after a fault that began at at.
func (r *Round) serving(group string, at time.Time) {
	for time.Since(at) < 30*time.Second {
		if d := r.P.firstAck(group, at); d > 0 {
			r.Note("%s served again after %d ms", group, d.Milliseconds())
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.Fail("%s does not serve 30 s after a fault that it should survive", group)
}

// firstAck is how long after at the group acknowledged for the first time a message that was sent after at.
func (p *Producers) firstAck(group string, at time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := time.Duration(0)
	for i := len(p.hist) - 1; i >= 0 && p.hist[i].Done.After(at); i-- {
		if s := &p.hist[i]; s.Acked && s.At.Group == group && s.Invoked.After(at) {
			first = s.Done.Sub(at)
		}
	}
	return first
}

func killFollower(r *Round) {
	f := r.Followers(Groups[0])[rand.IntN(2)]
	f.Kill()
	for r.More(time.Second) {
	}
	r.again(f)
	time.Sleep(5 * time.Second) // it catches up under load
}

func killAll(r *Round) {
	for {
		for _, n := range r.Nodes {
			n.Signal(syscall.SIGKILL)
		}
		for _, n := range r.Nodes {
			n.Kill()
		}
		at := time.Now()
		for _, n := range r.Nodes {
			n.Start()
		}
		r.serving(Groups[0], at)
		if !r.More(8 * time.Second) {
			return
		}
	}
}

func pauseLeader(r *Round) {
	for {
		l := r.Leader(Groups[0])
		if l == nil {
			r.Fail("nobody leads %s", Groups[0])
			return
		}
		at := time.Now()
		l.Signal(syscall.SIGSTOP)
		r.serving(Groups[0], at)
		time.Sleep(10*time.Second - time.Since(at))
		l.Signal(syscall.SIGCONT)
		if !r.More(5 * time.Second) {
			return
		}
	}
}

func pauseInTurn(r *Round) {
	for i := 0; ; i++ {
		n := r.Nodes[i%len(r.Nodes)]
		n.Signal(syscall.SIGSTOP)
		time.Sleep(3 * time.Second)
		n.Signal(syscall.SIGCONT)
		if !r.More(2 * time.Second) {
			return
		}
	}
}

func restartInTurn(r *Round) {
	for i := 0; ; i++ {
		n := r.Nodes[i%len(r.Nodes)]
		if code := n.Stop(); code != 0 {
			r.Fail("node %d ended with exit code %d", n.ID, code)
		}
		r.again(n)
		if !r.spread(20 * time.Second) {
			r.Note("the groups were not spread again 20 s after node %d was back", n.ID)
		}
		if i >= 2 && !r.More(0) {
			break
		}
	}
	r.refused()
}

// spread waits until each node leads a group, as an upgrade of one node after the other should.
func (r *Round) spread(patience time.Duration) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		led := 0
		for i, g := range Groups {
			if r.Nodes[i].leads(g) {
				led++
			}
		}
		if led == len(Groups) {
			time.Sleep(2500 * time.Millisecond) // producers ask for the new route
			return true
		}
	}
	return false
}

// refused fails the row when a message was not acked with its first try: an orderly end fails nothing but what is dialled to who is
// gone, until the route is asked for again.
func (r *Round) refused() {
	again, failed := 0, 0
	why := map[string]int{}
	for _, s := range r.P.History() {
		if s.Tries > 1 || !s.Acked {
			again++
			why[kind(s.Why)]++
		}
		if !s.Acked {
			failed++
		}
	}
	r.Note("%d messages took more than one try, %d failed: %v", again, failed, why)
	if failed > 0 {
		r.Fail("%d messages failed during orderly ends", failed)
	}
}

// kind is the common part of errors.
func kind(s string) string {
	for _, w := range []string{"connection refused", "connection reset", "EOF", "broken pipe", "i/o timeout", "no route", "NOT KNOWN", "code 14", "code 2", "code 1"} {
		if containsFold(s, w) {
			return w
		}
	}
	return s[:min(len(s), 60)]
}
