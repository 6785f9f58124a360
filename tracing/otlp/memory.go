package otlp

import (
	"sort"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// known is what later rows need of a sampled message.
type known struct {
	id      string
	topic   string
	tag     string
	broker  string
	queue   int32
	offset  int64
	attempt uint16
	trace   trace.TraceID
	store   trace.SpanID // span of its store, or of its firing
	wait    *wait        // of a parked copy
	resent  bool         // attempts count anew
	parent  trace.SpanID // that it brought; zero: none
}

// wait is what the spans of a parked copy's end need.
type wait struct {
	key    waitKey
	place  placeKey
	origin string // topic that the spans are named by
	begin  int64  // µs
	stored int64  // µs
	due    int64  // µs
	node   string
}

// waitKey finds the parked copy of what was fired: that has another place.
type waitKey struct {
	id, owner string
	attempt   uint16
}

// placeKey finds the parked copy that a cancel names.
type placeKey struct {
	broker   string
	position int64
}

// queueKey: each broker group has a queue of a number.
type queueKey struct {
	broker, topic string
	id            int32
}

// memory remembers the newest sampled messages: by place and by identity.
type memory struct {
	max    int
	queues map[queueKey][]*known // by offset
	byID   map[string]*known
	waits  map[waitKey]*known
	places map[placeKey]*known
	order  []*known // a ring, oldest at next once it is full
	next   int
}

func newMemory(size int) *memory {
	return &memory{max: size, queues: map[queueKey][]*known{}, byID: map[string]*known{}, waits: map[waitKey]*known{}, places: map[placeKey]*known{}}
}

// add remembers a message; offsets of a queue come in order.
func (m *memory) add(k *known) {
	if len(m.order) < m.max {
		m.order = append(m.order, k)
	} else {
		m.forget(m.order[m.next])
		m.order[m.next] = k
		m.next = (m.next + 1) % m.max
	}
	if k.wait != nil { // nobody is handed what waits
		m.waits[k.wait.key], m.places[k.wait.place] = k, k
	} else {
		m.enqueue(k)
	}
	if old := m.byID[k.id]; old == nil || k.attempt < old.attempt { // the first copy of the first attempt is the one that was sent
		m.byID[k.id] = k
	}
}

// rolled says that what is parked stands elsewhere now.
func (m *memory) rolled(key waitKey, to placeKey) {
	if k := m.waits[key]; k != nil {
		delete(m.places, k.wait.place)
		k.wait.place = placeKey{strings.Clone(to.broker), to.position}
		m.places[k.wait.place] = k
	}
}

func (m *memory) enqueue(k *known) {
	key := queueKey{k.broker, k.topic, k.queue}
	q := m.queues[key]
	if n := len(q); n > 0 && q[n-1].offset >= k.offset {
		q = nil // the topic was made anew, or a block is made again
	}
	m.queues[key] = append(q, k)
}

func (m *memory) forget(k *known) {
	key := queueKey{k.broker, k.topic, k.queue}
	if q := m.queues[key]; len(q) > 0 && q[0] == k {
		if q[0] = nil; len(q) == 1 {
			delete(m.queues, key)
		} else {
			m.queues[key] = q[1:]
		}
	}
	if w := k.wait; w != nil {
		if m.waits[w.key] == k {
			delete(m.waits, w.key)
		}
		delete(m.places, w.place)
	}
	if m.byID[k.id] == k {
		delete(m.byID, k.id)
	}
}

// within are the remembered messages of a range.
func (m *memory) within(key queueKey, from, to int64) []*known {
	q := m.queues[key]
	i := sort.Search(len(q), func(i int) bool { return q[i].offset >= from })
	j := sort.Search(len(q), func(i int) bool { return q[i].offset >= to })
	return q[i:j]
}
