package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

// Limits of live streams.
const (
	sampleEvery    = time.Second
	subscribersMax = 64
	liveMax        = time.Hour // browsers come again by themselves
)

// live samples the broker once a second and hands each tick to all who listen. Who does not keep up misses ticks, never
// holds up others.
type live struct {
	broker Broker
	trail  trail.Reader
	series series
	lag    int64 // the sampler's: asking all groups every second for nobody would be waste
	lagAge int   // samples since

	mu struct {
		sync.Mutex
		listeners map[chan []byte]bool
		last      []byte // the newest tick
	}
}

func newLive(b Broker, t trail.Reader) *live {
	l := &live{broker: b, trail: t}
	l.mu.listeners = map[chan []byte]bool{}
	return l
}

// run samples until ctx ends.
func (l *live) run(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		l.sample(time.Now().UnixMilli())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (l *live) sample(nowMillis int64) {
	n := l.broker.InspectNode()
	if l.lagAge++; l.lagAge >= pointSamples || l.watched() {
		l.lag, l.lagAge = lagOf(l.broker.InspectGroups()), 0
	}
	c := counters{atMillis: nowMillis, in: n.MessagesIn, out: n.MessagesOut, bytesIn: n.BytesIn, bytesOut: n.BytesOut, lag: l.lag}
	p, ok := l.series.add(c)
	if !ok {
		return
	}
	body, err := marshal(api.Tick{Point: p, Trail: l.trail.Status(), Stopped: n.Stopped})
	if err != nil {
		return
	}
	l.tell(append(append([]byte("event: tick\ndata: "), body...), "\n\n"...))
}

// lagOf is the backlog of all users' groups.
func lagOf(groups []inspect.Group) (lag int64) {
	for i := range groups {
		if !groups[i].System {
			lag += groups[i].LagMessages
		}
	}
	return lag
}

func (l *live) watched() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.listeners) > 0
}

// tell hands a tick to all listeners; a tick that was not taken yet gives way to it.
func (l *live) tell(tick []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.last = tick
	for c := range l.mu.listeners {
		select {
		case <-c:
		default:
		}
		c <- tick
	}
}

// listen gives a channel of ticks, with the newest in it; ok is false when all places are taken.
func (l *live) listen() (c chan []byte, stop func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mu.listeners) >= subscribersMax {
		return nil, nil, false
	}
	c = make(chan []byte, 1)
	l.mu.listeners[c] = true
	if l.mu.last != nil {
		c <- l.mu.last
	}
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.mu.listeners, c)
	}, true
}

// liveStream sends ticks as server-sent events.
func (s *Server) liveStream(c echo.Context) error {
	ticks, stop, ok := s.live.listen()
	if !ok {
		return &problem{Status: http.StatusServiceUnavailable, Title: "too many live pages", Detail: "all " + itoa(subscribersMax) + " places are taken", Next: "close one, or look at the overview without live numbers"}
	}
	defer stop()
	h := c.Response().Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	c.Response().WriteHeader(http.StatusOK)
	control := http.NewResponseController(c.Response())
	end := time.NewTimer(liveMax)
	defer end.Stop()
	if c.Request().Method == http.MethodHead {
		return nil
	}
	for next := []byte("retry: 2000\n\n"); ; {
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := c.Response().Write(next); err != nil {
			return err
		}
		if err := control.Flush(); err != nil {
			return err
		}
		select {
		case next = <-ticks:
		case <-end.C:
			return nil
		case <-s.ended.Done():
			return nil
		case <-c.Request().Context().Done():
			return nil
		}
	}
}
