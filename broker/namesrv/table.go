package namesrv

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"sync"

	"github.com/contrailmq/contrail/broker/catalog"
)

// Limits and times.
const (
	ExpireAfterMillis = 120_000
	BrokersMax        = 1000
	MembersMax        = 100     // of one broker group
	TopicsMax         = 200_000 // of one broker group
	KVMax             = 10_000  // entries of all namespaces
	KVBytesMax        = 64 << 10
)

// Member is one registered broker process: RocketMQ's broker name and id (0 leads).
type Member struct {
	Cluster, Broker string
	ID              int64
	Addr            string
	Term            uint64 // of the group's consensus; 0: not told, as by Apache's brokers
}

// brokerGroup is the members of one broker name with its topics.
type brokerGroup struct {
	cluster string
	addrs   map[int64]*registered
	topics  map[string]catalog.Topic
	masked  bool   // write permission was wiped (code 205)
	term    uint64 // newest in which a member registered as the leader
}

type registered struct {
	addr  string
	owner any // connection that registered it; nil in process
	beat  int64
}

// Table is the name server's state.
type Table struct {
	mu      sync.RWMutex
	groups  map[string]*brokerGroup
	byTopic map[string][]string // broker names, sorted
	kv      map[string]map[string]string
	kvCount int
}

// NewTable is empty.
func NewTable() *Table {
	return &Table{groups: map[string]*brokerGroup{}, byTopic: map[string][]string{}, kv: map[string]map[string]string{}}
}

// Register takes a member and the whole of its topics; owner is who may take it back by closing.
func (t *Table) Register(now int64, m Member, topics []catalog.Topic, owner any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(topics) > TopicsMax {
		return fmt.Errorf("broker %s not registered: it has %d topics, the limit is %d", m.Broker, len(topics), TopicsMax)
	}
	g := t.groups[m.Broker]
	if g == nil && len(t.groups) >= BrokersMax {
		return fmt.Errorf("broker %s not registered: there are %d broker names, which is the limit", m.Broker, BrokersMax)
	}
	if g == nil {
		g = &brokerGroup{addrs: map[int64]*registered{}, topics: map[string]catalog.Topic{}}
	}
	if err := g.place(m, &registered{m.Addr, owner, now}); err != nil {
		return err
	}
	t.groups[m.Broker] = g
	if m.ID != 0 && len(g.topics) > 0 {
		return nil // the leader tells the topics
	}
	kept := make(map[string]bool, len(topics))
	for _, c := range topics {
		kept[c.Name] = true
		t.putLocked(m.Broker, g, c)
	}
	for name := range g.topics {
		if !kept[name] {
			t.dropLocked(m.Broker, g, name)
		}
	}
	return nil
}

// place puts a member where it belongs. An address has one id; who registers as the leader takes the place of the leader before
// it, which is in no route until it has registered as a follower. A leader of an older term was voted out and does not know it yet.
func (g *brokerGroup) place(m Member, r *registered) error {
	if m.ID == 0 && m.Term > 0 && m.Term < g.term {
		return fmt.Errorf("broker %s at %s not registered as the leader: its term %d is over, another one leads since term %d", m.Broker, m.Addr, m.Term, g.term)
	}
	if g.addrs[m.ID] == nil && len(g.addrs) >= MembersMax {
		return fmt.Errorf("broker %s at %s not registered: the group has %d members, which is the limit", m.Broker, m.Addr, MembersMax)
	}
	for id, old := range g.addrs {
		if old.addr == m.Addr {
			delete(g.addrs, id)
		}
	}
	g.cluster, g.addrs[m.ID] = m.Cluster, r
	if m.ID == 0 {
		g.term = max(g.term, m.Term)
	}
	return nil
}

// Leader is the address that is registered as a broker group's leader; empty: none is.
func (t *Table) Leader(broker string) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if g := t.groups[broker]; g != nil && g.addrs[0] != nil {
		return g.addrs[0].addr
	}
	return ""
}

// Topics takes changes of a registered broker's topics; one without queues is removed. Of m the broker and the term count: who tells an
// older term than the leader's was voted out, and may not know it yet.
func (t *Table) Topics(m Member, changed []catalog.Topic) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.groups[m.Broker]
	if g == nil {
		return nil
	}
	if m.Term > 0 && m.Term < g.term {
		return fmt.Errorf("topics of broker %s not taken from %s: its term %d is over, another one leads since term %d", m.Broker, m.Addr, m.Term, g.term)
	}
	for _, c := range changed {
		if c.ReadQueues+c.WriteQueues == 0 {
			t.dropLocked(m.Broker, g, c.Name)
		} else if len(g.topics) < TopicsMax {
			t.putLocked(m.Broker, g, c)
		}
	}
	return nil
}

func (t *Table) putLocked(broker string, g *brokerGroup, c catalog.Topic) {
	g.topics[c.Name] = c
	names := t.byTopic[c.Name]
	if i, found := slices.BinarySearch(names, broker); !found {
		t.byTopic[c.Name] = slices.Insert(slices.Clone(names), i, broker)
	}
}

func (t *Table) dropLocked(broker string, g *brokerGroup, topic string) {
	delete(g.topics, topic)
	names := slices.DeleteFunc(slices.Clone(t.byTopic[topic]), func(b string) bool { return b == broker })
	if t.byTopic[topic] = names; len(names) == 0 {
		delete(t.byTopic, topic)
	}
}

// DropTopic removes a topic of all brokers (code 216).
func (t *Table) DropTopic(topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.byTopic[topic] {
		delete(t.groups[b].topics, topic)
	}
	delete(t.byTopic, topic)
}

// Unregister removes a member by its address, because its id may be another one's by now; without an address, by its id.
func (t *Table) Unregister(m Member) {
	t.remove(func(name string, id int64, r *registered) bool {
		return name == m.Broker && (r.addr == m.Addr || m.Addr == "" && id == m.ID)
	})
}

// Disconnected removes what a connection registered.
func (t *Table) Disconnected(owner any) {
	t.remove(func(_ string, _ int64, r *registered) bool { return r.owner == owner })
}

// Expire removes members that were silent for too long, and gives the owners that it took something from. Members of this process
// do not expire: they end with it.
func (t *Table) Expire(now int64) (owners []any) {
	t.remove(func(_ string, _ int64, r *registered) bool {
		if r.owner == nil || now-r.beat < ExpireAfterMillis {
			return false
		}
		owners = append(owners, r.owner)
		return true
	})
	return owners
}

func (t *Table) remove(goes func(broker string, id int64, r *registered) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, g := range t.groups {
		for id, r := range g.addrs {
			if goes(name, id, r) {
				delete(g.addrs, id)
			}
		}
		if len(g.addrs) > 0 {
			continue
		}
		for topic := range g.topics {
			t.dropLocked(name, g, topic)
		}
		delete(t.groups, name)
	}
}

// WritePerm takes write permission from all topics of a broker, or gives it back (codes 205, 327); n is how many it has.
func (t *Table) WritePerm(broker string, allowed bool) (n int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.groups[broker]
	if g == nil {
		return 0, false
	}
	g.masked = !allowed
	return len(g.topics), true
}

// QueueData and the like are the wire's shapes (org.apache.rocketmq.remoting.protocol.route).
type (
	QueueData struct {
		Broker      string `json:"brokerName"`
		Perm        int32  `json:"perm"`
		ReadQueues  int32  `json:"readQueueNums"`
		SysFlag     int32  `json:"topicSysFlag"`
		WriteQueues int32  `json:"writeQueueNums"`
	}
	BrokerData struct {
		Addrs        map[string]string `json:"brokerAddrs"` // keys are ids; quoted, which every client reads
		Broker       string            `json:"brokerName"`
		Cluster      string            `json:"cluster"`
		ActingMaster bool              `json:"enableActingMaster"`
	}
	Route struct {
		Brokers       []BrokerData        `json:"brokerDatas"`
		FilterServers map[string][]string `json:"filterServerTable"`
		OrderConf     string              `json:"orderTopicConf,omitempty"`
		Queues        []QueueData         `json:"queueDatas"`
	}
	ClusterInfo struct {
		Brokers  map[string]BrokerData `json:"brokerAddrTable"`
		Clusters map[string][]string   `json:"clusterAddrTable"`
	}
)

// Route is a topic's queues and brokers; not ok when nobody serves it.
func (t *Table) Route(topic string) (Route, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	names := t.byTopic[topic]
	r := Route{FilterServers: map[string][]string{}, OrderConf: t.kv["ORDER_TOPIC_CONFIG"][topic]}
	for _, name := range names {
		g := t.groups[name]
		c := g.topics[topic]
		if g.masked {
			c.Perm &^= catalog.PermWrite
		}
		r.Queues = append(r.Queues, QueueData{name, c.Perm, c.ReadQueues, c.SysFlag, c.WriteQueues})
		r.Brokers = append(r.Brokers, g.data(name))
	}
	return r, len(names) > 0
}

func (g *brokerGroup) data(name string) BrokerData {
	d := BrokerData{Addrs: map[string]string{}, Broker: name, Cluster: g.cluster}
	for id, r := range g.addrs {
		d.Addrs[strconv.FormatInt(id, 10)] = r.addr
	}
	return d
}

// Cluster lists all brokers.
func (t *Table) Cluster() ClusterInfo {
	t.mu.RLock()
	defer t.mu.RUnlock()
	c := ClusterInfo{Brokers: map[string]BrokerData{}, Clusters: map[string][]string{}}
	for name, g := range t.groups {
		c.Brokers[name] = g.data(name)
		c.Clusters[g.cluster] = append(c.Clusters[g.cluster], name)
	}
	for _, names := range c.Clusters {
		slices.Sort(names)
	}
	return c
}

// AllTopics lists topics by name: of one cluster, or of all when it is empty.
func (t *Table) AllTopics(cluster string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := []string{}
	for topic, names := range t.byTopic {
		if cluster == "" || slices.ContainsFunc(names, func(b string) bool { return t.groups[b].cluster == cluster }) {
			out = append(out, topic)
		}
	}
	sort.Strings(out)
	return out
}

// Names lists clusters, brokers and one broker's address, as code 304 answers.
func (t *Table) Names() (names []string, addr string) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	seen := map[string]bool{}
	for name, g := range t.groups {
		seen[name], seen[g.cluster] = true, true
		if m := g.addrs[0]; m != nil {
			addr = m.addr
		}
	}
	for n := range seen {
		names = append(names, n)
	}
	sort.Strings(names)
	return names, addr
}

// PutKV stores a value.
func (t *Table) PutKV(namespace, key, value string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(namespace) + len(key) + len(value); n > KVBytesMax {
		return fmt.Errorf("KV entry of %d bytes, the limit is %d", n, KVBytesMax)
	}
	if _, old := t.kv[namespace][key]; !old {
		if t.kvCount >= KVMax {
			return fmt.Errorf("there are %d KV entries, which is the limit", KVMax)
		}
		t.kvCount++
	}
	if t.kv[namespace] == nil {
		t.kv[namespace] = map[string]string{}
	}
	t.kv[namespace][key] = value
	return nil
}

// KV finds a value.
func (t *Table) KV(namespace, key string) (string, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v, ok := t.kv[namespace][key]
	return v, ok
}

// DeleteKV removes a value.
func (t *Table) DeleteKV(namespace, key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.kv[namespace][key]; ok {
		t.kvCount--
		if delete(t.kv[namespace], key); len(t.kv[namespace]) == 0 {
			delete(t.kv, namespace)
		}
	}
}

// Namespace copies all values of a namespace.
func (t *Table) Namespace(namespace string) map[string]string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make(map[string]string, len(t.kv[namespace]))
	for k, v := range t.kv[namespace] {
		out[k] = v
	}
	return out
}
