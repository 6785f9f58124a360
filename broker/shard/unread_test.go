package shard

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// What retention takes before a group consumed it is told, for each queue in which the group has an offset, once.
func TestUnreadMessagesThatGoAreTold(t *testing.T) {
	var told []Unread
	o := optionsOf(vfs.NewMem(), 1)
	o.SegmentBytes, o.RetentionBytes = seglog.SegmentBytesMin, 2*seglog.SegmentBytesMin
	o.Unread = func(u Unread) { told = append(told, u) }
	m, err := OpenStepped(o)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	step := func(d time.Duration) {
		now = now.Add(d)
		m.Tick(now)
		for range 5 {
			m.Turn()
			if m.Syncing() {
				m.EndSync()
			}
		}
		for m.Seals() {
			m.Seal()
		}
	}
	step(0)
	m.Command(entry.KindTopicPut, topicBody(t, "orders"))
	step(0)
	e, _ := m.Catalog().Topic("orders")
	topic := m.Index().Topic(e.Name, e.CreatedPos)
	rng := rand.New(rand.NewPCG(1, 1))
	for len(m.Log().Segments()) < 6 {
		m.Submit(batch(topic, nil, 20, rng, func(b *Batch) {
			if b.Err != nil {
				t.Fatal(b.Err)
			}
		}))
		step(0)
	}
	for _, c := range []entry.Offset{{Group: "behind", Offset: 3}, {Group: "ahead", Offset: 1 << 40}} {
		c.Topic = "orders"
		m.NoteOffset(&c)
	}
	step(time.Second)
	step(retentionEvery + time.Second)
	first, _, _ := topic.Queue(0).Bounds()
	if want := []Unread{{"behind", "orders", 0, 3, first}}; first <= 3 || !slices.Equal(told, want) {
		t.Errorf("told %v, expected %v", told, want)
	}
	step(retentionEvery + time.Second)
	if len(told) != 1 {
		t.Errorf("told again: %v", told)
	}
}
