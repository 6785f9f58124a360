package service

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/queue"
)

// outPairsMax bounds the pairs of topic and group that are counted apart; what comes later is counted together, as RocketMQ
// does with series beyond its limit.
const outPairsMax = 50_000

// OtherOut stands for topic and group of what is counted together.
const OtherOut = "_other"

// outCounters count what answers hand out: per topic and group, and per group. The zero value is ready. A counter that
// exists is found under the read lock, without making a key, so that an answer costs two look-ups and no allocation.
type outCounters struct {
	mu     sync.RWMutex
	pairs  map[outPair]*outCount
	groups map[string]*atomic.Int64
	rest   outCount
}

type outPair struct{ topic, group string }

type outCount struct {
	messages, bytes atomic.Int64
	group           *atomic.Int64 // all messages of its group, whatever the topic
}

// add counts one answer.
func (o *outCounters) add(topic, group string, messages, bytes int) {
	o.mu.RLock()
	c := o.pairs[outPair{topic, group}]
	o.mu.RUnlock()
	if c == nil {
		c = o.first(outPair{topic, group})
	}
	c.messages.Add(int64(messages))
	c.bytes.Add(int64(bytes))
	if c.group != nil {
		c.group.Add(int64(messages))
	}
}

// first gives the counter of a pair that had none.
func (o *outCounters) first(k outPair) *outCount {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c := o.pairs[k]; c != nil {
		return c // another goroutine was first
	}
	if len(o.pairs) >= outPairsMax {
		return &o.rest
	}
	if o.pairs == nil {
		o.pairs, o.groups = map[outPair]*outCount{}, map[string]*atomic.Int64{}
	}
	g := o.groups[k.group]
	if g == nil {
		g = &atomic.Int64{}
		o.groups[k.group] = g
	}
	c := &outCount{group: g}
	o.pairs[k] = c
	return c
}

// ofGroup is how many messages a group was handed.
func (o *outCounters) ofGroup(name string) int64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if g := o.groups[name]; g != nil {
		return g.Load()
	}
	return 0
}

// list gives all counters, but those that are gone: they are forgotten, which makes room for others. A group that has none
// left is forgotten with them.
func (o *outCounters) list(gone func(outPair) bool) []inspect.Out {
	var dead []outPair
	o.mu.RLock()
	out := make([]inspect.Out, 0, len(o.pairs)+1)
	for k, c := range o.pairs {
		if gone(k) {
			dead = append(dead, k)
			continue
		}
		out = append(out, inspect.Out{Topic: k.topic, Group: k.group, Messages: c.messages.Load(), Bytes: c.bytes.Load()})
	}
	o.mu.RUnlock()
	if n := o.rest.messages.Load(); n > 0 {
		out = append(out, inspect.Out{Topic: OtherOut, Group: OtherOut, Messages: n, Bytes: o.rest.bytes.Load()})
	}
	if len(dead) > 0 {
		o.forget(dead)
	}
	return out
}

func (o *outCounters) forget(dead []outPair) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, k := range dead {
		delete(o.pairs, k)
	}
	left := make(map[string]bool, len(o.groups))
	for k := range o.pairs {
		left[k.group] = true
	}
	for g := range o.groups {
		if !left[g] {
			delete(o.groups, g)
		}
	}
}

// InspectOut is what each group was handed of each topic since the start, by topic and group. Counters of topics that were
// deleted go with the first call after it.
func (s *Service) InspectOut() []inspect.Out {
	out := s.out.list(func(k outPair) bool {
		_, ok := s.shard.Catalog().Topic(k.topic)
		return !ok
	})
	for i := range out {
		out[i].System = s.IsSystemTopic(out[i].Topic) || IsSystemGroup(out[i].Group)
	}
	slices.SortFunc(out, func(a, b inspect.Out) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Group, b.Group))
	})
	return out
}

// InspectSizes are the sizes of the messages that were stored since the start, of topics that got any.
func (s *Service) InspectSizes() []inspect.Sizes {
	var out []inspect.Sizes
	for _, t := range s.shard.Index().Topics() {
		counts := t.Sizes.Counts()
		if slices.Max(counts[:]) > 0 {
			out = append(out, inspect.Sizes{Topic: t.Name, Bounds: queue.SizeBounds[:], Counts: slices.Clone(counts[:]), Bytes: t.Bytes.Load()})
		}
	}
	return out
}
