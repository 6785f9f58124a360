package sim

import (
	"encoding/json"
	"fmt"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/queue"
)

// In some runs somebody deletes the topic now and then, makes it again at once or leaves that to a producer, and changes how
// many queues it has. A topic of the same name made later is another one: nothing of the old one may appear in it.

// place is a queue of one of the topics that bore the name.
type place struct {
	topic   string
	created int64 // position of the entry that made the topic
	queue   int32
}

const noTopic = -1

// administer begins to change topics.
func (w *world) administer() {
	c := &client{w: w, name: "admin", flying: map[*try]bool{}}
	w.clients = append(w.clients, c)
	var again func()
	again = func() {
		w.after(w.between(300*milli, 3*second), func() {
			if !w.stopped {
				w.changeTopic()
				again()
			}
		})
	}
	again()
}

func (w *world) changeTopic() {
	m := w.anyLeader()
	if m == nil {
		return
	}
	if _, ok := m.shard.Catalog().Topic(topic); !ok {
		return
	}
	switch w.rng.IntN(4) {
	case 0:
		m.deleteTopic()
	case 1:
		m.deleteTopic()
		m.putTopic(queues)
	default:
		m.putTopic(int32(w.between(queues, 2*queues)))
	}
	m.turn()
}

func (m *member) deleteTopic() {
	m.w.say("%s is asked to delete the topic", m)
	m.shard.Command(entry.KindTopicDelete, []byte(topic))
}

func (m *member) putTopic(n int32) {
	m.w.say("%s is asked for the topic with %d queues", m, n)
	body, _ := json.Marshal(catalog.NewTopic(topic, n))
	m.shard.Command(entry.KindTopicPut, body)
}

// topicSaid takes a command on a topic into the truth.
func (w *world) topicSaid(k entry.Kind, body []byte, pos int64) error {
	if k == entry.KindTopicDelete {
		w.covered(Deleted)
		delete(w.truth.made, string(body))
		return nil
	}
	var e catalog.Topic
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	if e.Name == topic {
		w.covered(Changed)
	}
	if _, there := w.truth.made[e.Name]; !there {
		w.truth.made[e.Name] = pos
	}
	return nil
}

// created is the position that made the topic of a name that is there now, or noTopic.
func (t *truth) created(name string) int64 {
	if pos, ok := t.made[name]; ok {
		return pos
	}
	return noTopic
}

// goneMessage is a message of which somebody was told that its topic had been deleted.
type goneMessage struct {
	id      string
	created int64
}

// checkGone: whoever was told so sent to a topic that was deleted.
func (w *world) checkGone() {
	for _, g := range w.truth.gone {
		if g.created == w.truth.created(topic) {
			w.violate("message %s: its topic is said to be gone, nobody deleted it", g.id)
		}
	}
}

func (p place) String() string {
	return fmt.Sprintf("queue %d of topic %s made at %d", p.queue, p.topic, p.created)
}

// find is a queue of the topic that is there now, or nil.
func (m *member) find(id int32) *queue.Queue {
	if t := m.shard.Index().Lookup(topic); t != nil {
		return t.Find(id)
	}
	return nil
}
