package main

import (
	"fmt"
	"time"
)

// print writes each stretch's latencies, then how fast the member learned.
func (c *catchup) print() {
	kind := "segments as files"
	if c.whole {
		kind = "entries"
	}
	fmt.Fprintf(c.out, "cores: of the leader, of the new member, of other work on this machine\nopen loop %d/s, 1 KB, 16 connections; a log of %d MiB, learned as %s\n", c.rate, c.bytes>>20, kind)
	fmt.Fprintf(c.out, "  %-22s %7s %8s %8s %8s %8s %8s %7s %7s %7s %7s\n", "stretch", "s", "acks/s", "p50 ms", "p99", "p999", "max", "leader", "new", "others", "steal%")
	p99 := map[string]time.Duration{}
	for _, s := range c.stretches {
		p99[s.text] = c.printStretch(s)
	}
	if before := p99[c.stretches[0].text]; before > 0 {
		fmt.Fprintf(c.out, "  p99 while it catches up / before: %.2f   must: 2\n", float64(p99[c.stretches[2].text])/float64(before))
	}
	fmt.Fprintf(c.out, "  from its process's start it had caught up after %.1f s, %.0f MB/s (goal: 300), and voted after %.1f s\n",
		c.learned.Seconds(), float64(c.bytes)/1e6/c.learned.Seconds(), c.voting.Seconds())
	began, ended := c.arrival()
	fmt.Fprintf(c.out, "  its folder grew from %.1f s to %.1f s, %.0f MB/s, and by up to %.0f MB/s over a second\n",
		began.Seconds(), ended.Seconds(), float64(c.bytes)/1e6/max((ended-began).Seconds(), 0.1), fastest(c.moved, time.Second)/1e6)
}

// arrival is when the first bytes were there and when about all of what the log held at the beginning were; what comes between that and
// the vote is checking, indexing, and what was produced meanwhile.
func (c *catchup) arrival() (began, ended time.Duration) {
	for _, m := range c.moved {
		if m.bytes > 1<<20 && began == 0 {
			began = m.at.Sub(c.began)
		}
		if m.bytes >= c.bytes/100*98 {
			return began, m.at.Sub(c.began)
		}
	}
	return began, c.learned
}

func (c *catchup) printStretch(s *stretch) (p99 time.Duration) {
	took, refused, refusal := c.load.latencies(s)
	ms := func(q float64) float64 { return float64(quantileOf(took, q).Microseconds()) / 1000 }
	length := s.to.Sub(s.from).Seconds()
	fmt.Fprintf(c.out, "  %-22s %7.1f %8.0f %8.2f %8.2f %8.2f %8.1f %7.2f %7.2f %7.2f %7.1f", s.text, length, float64(len(took))/length, ms(0.5), ms(0.99), ms(0.999), ms(1),
		s.cores(0), s.cores(newNode), s.foreign(), stealPercent(s.before[0], s.after[0]))
	if refused > 0 {
		fmt.Fprintf(c.out, "  %d refused: %s", refused, refusal)
	}
	fmt.Fprintln(c.out)
	return quantileOf(took, 0.99)
}

// cores that a node used.
func (s *stretch) cores(node int) float64 { return s.cpu(node).Seconds() / s.to.Sub(s.from).Seconds() }

func (s *stretch) cpu(node int) time.Duration { return max(0, s.after[node].cpu-s.before[node].cpu) }

// foreign is what others used: a stretch with much of it means nothing.
func (s *stretch) foreign() float64 {
	var all time.Duration
	for i := range s.before {
		all += s.cpu(i)
	}
	return foreign(s.before[0], s.after[0], all)
}

// fastest is the highest growth in bytes per second over any stretch of a length.
func fastest(moved []movement, length time.Duration) (most float64) {
	for i, from := 0, 0; i < len(moved); i++ {
		for moved[i].at.Sub(moved[from].at) > length {
			from++
		}
		if d := moved[i].at.Sub(moved[from].at); d > length/2 {
			most = max(most, float64(moved[i].bytes-moved[from].bytes)/d.Seconds())
		}
	}
	return most
}
