package server

import (
	"sync"

	"github.com/contrailmq/contrail/ui/api"
)

// The series: points of pointSamples samples, of the last 15 minutes.
const (
	pointSamples = 5
	pointsMax    = 15 * 60 / pointSamples
)

// counters is what is sampled.
type counters struct {
	atMillis                   int64
	in, out, bytesIn, bytesOut int64
	lag                        int64
}

// series turns counters into rates. It keeps the last samples of the running point and a ring of points.
type series struct {
	mu struct {
		sync.Mutex
		last, begin counters // the last sample; the one at which the running point begins
		samples     int      // in the running point
		ring        []api.Point
		next        int // place in the ring of the next point
	}
}

// add takes a sample and gives the rates since the one before; ok is false for the first.
func (s *series) add(c counters) (p api.Point, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.mu
	if m.last.atMillis == 0 || c.atMillis <= m.last.atMillis {
		m.last, m.begin = c, c
		return api.Point{}, false
	}
	p = between(m.last, c)
	m.last = c
	if m.samples++; m.samples == pointSamples {
		point := between(m.begin, c)
		if len(m.ring) < pointsMax {
			m.ring = append(m.ring, point)
		} else {
			m.ring[m.next] = point
		}
		m.next = (m.next + 1) % pointsMax
		m.samples, m.begin = 0, c
	}
	return p, true
}

// between gives the rates from a to b.
func between(a, b counters) api.Point {
	seconds := float64(b.atMillis-a.atMillis) / 1000
	rate := func(from, to int64) float64 { return max(0, float64(to-from)/seconds) }
	return api.Point{
		At: b.atMillis, In: rate(a.in, b.in), Out: rate(a.out, b.out), BytesIn: rate(a.bytesIn, b.bytesIn), BytesOut: rate(a.bytesOut, b.bytesOut), Lag: b.lag,
	}
}

// points are the points of the ring, oldest first.
func (s *series) points() []api.Point {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]api.Point, 0, len(s.mu.ring))
	if len(s.mu.ring) == pointsMax {
		out = append(out, s.mu.ring[s.mu.next:]...)
		return append(out, s.mu.ring[:s.mu.next]...)
	}
	return append(out, s.mu.ring...)
}
