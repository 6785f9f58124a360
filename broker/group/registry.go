package group

import (
	"slices"
	"sort"
	"sync"

	"github.com/contrailmq/contrail/broker/inspect"
)

// Limits and times.
const (
	ExpireAfterMillis = 120_000
	groupsPerConn     = 1000
	subsPerGroup      = 1000
	GroupsMax         = 200_000
)

// Conn is one connection of a client; a pointer, because it is a key.
type Conn interface {
	// Notify tells the client that a group's members changed. It must not block.
	Notify(group string)
}

// Identity is what is known of a client besides its groups.
type Identity struct {
	ClientID, Addr, Protocol, Language, Version string
	// Settings are those that a gRPC client was given; nil: none. A front makes new ones when they change, and sees to their size.
	Settings *inspect.ClientSettings
}

// Heartbeat is RocketMQ's HeartbeatData.
type Heartbeat struct {
	ClientID  string         `json:"clientID"`
	Producers []ProducerData `json:"producerDataSet"`
	Consumers []ConsumerData `json:"consumerDataSet"`
}

// ProducerData is one producer group of a heartbeat.
type ProducerData struct {
	Group string `json:"groupName"`
}

// ConsumerData is one consumer group of a heartbeat.
type ConsumerData struct {
	Group         string         `json:"groupName"`
	ConsumeType   string         `json:"consumeType"`
	Model         string         `json:"messageModel"`
	FromWhere     string         `json:"consumeFromWhere"`
	Subscriptions []Subscription `json:"subscriptionDataSet"`
}

// Subscription is RocketMQ's SubscriptionData. Its tagsSet and codeSet are not read: clients write them in different forms, and the
// expression says the same.
type Subscription struct {
	ClassFilter bool   `json:"classFilterMode"`
	Topic       string `json:"topic"`
	Expression  string `json:"subString"`
	Version     int64  `json:"subVersion"`
	Type        string `json:"expressionType"`
}

// Happening is a change worth a row in the trail.
type Happening struct {
	Kind, Group, ClientID, Addr, Text string
}

type member struct {
	id                            Identity
	connected                     int64
	beat                          int64
	model, consumeType, fromWhere string
	subs                          map[string]Subscription
}

type consumers struct {
	model, consumeType, fromWhere string
	members                       map[Conn]*member
	subs                          map[string]Subscription
	lastSeen                      int64
}

type client struct {
	id        Identity
	connected int64
	beat      int64
	producers map[string]bool
	consumers map[string]bool
	called    string // id under which byID has it
}

// Registry is all connections' groups.
type Registry struct {
	mu     sync.RWMutex
	conns  map[Conn]*client
	groups map[string]*consumers
	byID   map[string]Conn // by client id
	// Happened is told of changes; set before use, may be nil.
	Happened func(Happening)
}

// New is empty.
func New() *Registry {
	return &Registry{conns: map[Conn]*client{}, groups: map[string]*consumers{}, byID: map[string]Conn{}}
}

// effects are done after the lock is given back.
type effects struct {
	notify     map[string][]Conn
	happenings []Happening
}

// changed has all members told, but for one: who joins balances by itself, and a client that is told while its first heartbeat
// is under way cannot tell its new subscriptions (Java's lock of heartbeats) and is refused with code 25 until the next one.
func (e *effects) changed(name string, g *consumers, except Conn) {
	if e.notify == nil {
		e.notify = map[string][]Conn{}
	}
	conns := make([]Conn, 0, len(g.members))
	for c := range g.members {
		if c != except {
			conns = append(conns, c)
		}
	}
	e.notify[name] = conns
}

func (r *Registry) do(e *effects) {
	for group, conns := range e.notify {
		for _, c := range conns {
			c.Notify(group)
		}
	}
	if r.Happened != nil {
		for _, h := range e.happenings {
			r.Happened(h)
		}
	}
}

// Connected notes a connection that has said nothing yet.
func (r *Registry) Connected(now int64, c Conn, id Identity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = &client{id: id, connected: now, beat: now, producers: map[string]bool{}, consumers: map[string]bool{}}
}

// Beat takes a heartbeat; changed says that a subscription changed. tell notifies members and is to be called when the heartbeat
// was answered.
func (r *Registry) Beat(now int64, c Conn, id Identity, hb *Heartbeat) (changed bool, tell func()) {
	var e effects
	r.mu.Lock()
	cl := r.conns[c]
	if cl == nil {
		r.mu.Unlock()
		return false, func() {}
	}
	if cl.id.ClientID == "" {
		e.happenings = append(e.happenings, Happening{Kind: "connect", ClientID: id.ClientID, Addr: id.Addr, Text: id.Language + " " + id.Version})
	}
	cl.id, cl.beat = id, now
	r.callLocked(c, cl, id.ClientID)
	for _, p := range hb.Producers {
		if len(cl.producers) < groupsPerConn {
			cl.producers[p.Group] = true
		}
	}
	for i := range hb.Consumers {
		d := &hb.Consumers[i]
		if !cl.consumers[d.Group] && (len(cl.consumers) >= groupsPerConn || len(r.groups) >= GroupsMax) {
			continue
		}
		changed = r.consumerLocked(now, c, cl, d, &e) || changed
	}
	r.mu.Unlock()
	return changed, func() { r.do(&e) }
}

func (r *Registry) consumerLocked(now int64, c Conn, cl *client, d *ConsumerData, e *effects) (changed bool) {
	isNew := false
	g := r.groups[d.Group]
	if g == nil {
		g = &consumers{members: map[Conn]*member{}, subs: map[string]Subscription{}}
		r.groups[d.Group] = g
	}
	g.model, g.consumeType, g.fromWhere, g.lastSeen = d.Model, d.ConsumeType, d.FromWhere, now
	m := g.members[c]
	if m == nil {
		m = &member{connected: now}
		g.members[c], isNew = m, true
		cl.consumers[d.Group] = true
		e.happenings = append(e.happenings, Happening{Kind: "rebalance", Group: d.Group, ClientID: cl.id.ClientID, Addr: cl.id.Addr, Text: "a consumer joined"})
	}
	m.id, m.beat = cl.id, now
	m.model, m.consumeType, m.fromWhere = inspect.Cut(d.Model, wordMax), inspect.Cut(d.ConsumeType, wordMax), inspect.Cut(d.FromWhere, wordMax)
	m.subs = make(map[string]Subscription, len(d.Subscriptions))
	for _, s := range d.Subscriptions[:min(len(d.Subscriptions), subsPerGroup)] {
		if s.Type == "" {
			s.Type = "TAG"
		}
		m.subs[s.Topic] = s
		if old, ok := g.subs[s.Topic]; !ok || old.Version < s.Version {
			g.subs[s.Topic] = s
			changed = changed || !ok || old.Expression != s.Expression || old.Type != s.Type
		}
	}
	changed = g.forgetTopics() || changed
	switch {
	case isNew:
		e.changed(d.Group, g, c)
	case changed:
		e.changed(d.Group, g, nil)
	}
	return changed
}

// forgetTopics drops subscriptions that no member has any more.
func (g *consumers) forgetTopics() (changed bool) {
	for topic := range g.subs {
		if !slices.ContainsFunc(values(g.members), func(m *member) bool { _, ok := m.subs[topic]; return ok }) {
			delete(g.subs, topic)
			changed = true
		}
	}
	return changed
}

func values(m map[Conn]*member) []*member {
	out := make([]*member, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func (r *Registry) leaveLocked(now int64, c Conn, cl *client, name string, e *effects, why string) {
	g := r.groups[name]
	if g == nil || g.members[c] == nil {
		return
	}
	delete(g.members, c)
	delete(cl.consumers, name)
	g.lastSeen = now
	g.forgetTopics()
	e.changed(name, g, nil)
	e.happenings = append(e.happenings, Happening{Kind: "rebalance", Group: name, ClientID: cl.id.ClientID, Addr: cl.id.Addr, Text: "a consumer left: " + why})
}

// Unregister removes a client from the named groups (code 35); empty names are ignored.
func (r *Registry) Unregister(now int64, c Conn, producer, consumer string) {
	var e effects
	r.mu.Lock()
	if cl := r.conns[c]; cl != nil {
		delete(cl.producers, producer)
		r.leaveLocked(now, c, cl, consumer, &e, "it unregistered")
	}
	r.mu.Unlock()
	r.do(&e)
}

// Close removes a connection.
func (r *Registry) Close(now int64, c Conn) {
	var e effects
	r.mu.Lock()
	r.closeLocked(now, c, &e, "its connection closed")
	r.mu.Unlock()
	r.do(&e)
}

func (r *Registry) closeLocked(now int64, c Conn, e *effects, why string) {
	cl := r.conns[c]
	if cl == nil {
		return
	}
	for name := range cl.consumers {
		r.leaveLocked(now, c, cl, name, e, why)
	}
	delete(r.conns, c)
	r.uncallLocked(c, cl)
	if cl.id.ClientID != "" {
		e.happenings = append(e.happenings, Happening{Kind: "disconnect", ClientID: cl.id.ClientID, Addr: cl.id.Addr, Text: why})
	}
}

// Expire removes from their groups the connections that were silent for too long.
func (r *Registry) Expire(now int64) {
	var e effects
	r.mu.Lock()
	for c, cl := range r.conns {
		if now-cl.beat < ExpireAfterMillis {
			continue
		}
		for name := range cl.consumers {
			r.leaveLocked(now, c, cl, name, &e, "no heartbeat for 120 s")
		}
		clear(cl.producers)
	}
	r.mu.Unlock()
	r.do(&e)
}

// ConsumerIDs lists a group's client ids, sorted.
func (r *Registry) ConsumerIDs(name string) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.groups[name]
	if g == nil {
		return nil
	}
	var ids []string
	for _, m := range g.members {
		ids = append(ids, m.id.ClientID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Subscription is a group's newest subscription of a topic; online says that the group has members.
func (r *Registry) Subscription(name, topic string) (s Subscription, found, online bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.groups[name]
	if g == nil || len(g.members) == 0 {
		return s, false, false
	}
	s, found = g.subs[topic]
	return s, found, true
}

// Group gives Online, Model, ConsumeType, Members, LastSeen, Subscriptions and Consistent.
func (r *Registry) Group(name string) (inspect.Group, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.groups[name]
	if g == nil {
		return inspect.Group{Consistent: true}, false
	}
	out := inspect.Group{
		Name: name, Online: len(g.members) > 0, Model: g.model, ConsumeType: g.consumeType, LastSeen: g.lastSeen, Consistent: true,
		Subscriptions: list(g.subs),
	}
	for _, m := range g.members {
		subs := list(m.subs)
		out.Consistent = out.Consistent && sameSubscriptions(subs, out.Subscriptions)
		out.Members = append(out.Members, inspect.Member{
			ClientID: m.id.ClientID, Addr: m.id.Addr, Language: m.id.Language, Version: m.id.Version, ConnectedAt: m.connected, LastHeartbeat: m.beat, Subscriptions: subs,
		})
	}
	sort.Slice(out.Members, func(i, j int) bool { return out.Members[i].ClientID < out.Members[j].ClientID })
	return out, true
}

// FromWhere is where a new consumer of the group begins, as its members said.
func (r *Registry) FromWhere(name string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if g := r.groups[name]; g != nil {
		return g.fromWhere
	}
	return ""
}

func list(subs map[string]Subscription) []inspect.Subscription {
	out := make([]inspect.Subscription, 0, len(subs))
	for _, s := range subs {
		out = append(out, inspect.Subscription{Topic: s.Topic, Type: s.Type, Expression: s.Expression, Version: s.Version})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Topic < out[j].Topic })
	return out
}

func sameSubscriptions(a, b []inspect.Subscription) bool {
	return slices.EqualFunc(a, b, func(x, y inspect.Subscription) bool {
		return x.Topic == y.Topic && x.Type == y.Type && x.Expression == y.Expression
	})
}

// Groups lists all consumer groups that were seen.
func (r *Registry) Groups() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]string, 0, len(r.groups))
	for name := range r.groups {
		out = append(out, name)
	}
	return out
}

// TopicGroups lists the online groups that subscribe to a topic.
func (r *Registry) TopicGroups(topic string) (out []string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for name, g := range r.groups {
		if _, ok := g.subs[topic]; ok && len(g.members) > 0 {
			out = append(out, name)
		}
	}
	return out
}

// Clients lists all connections.
func (r *Registry) Clients() []inspect.Client {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]inspect.Client, 0, len(r.conns))
	for _, c := range r.conns {
		out = append(out, c.inspect())
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Addr < out[j].Addr })
	return out
}

func (c *client) inspect() inspect.Client {
	return inspect.Client{
		ClientID: c.id.ClientID, Addr: c.id.Addr, Protocol: c.id.Protocol, Language: c.id.Language, Version: c.id.Version,
		ConnectedAt: c.connected, LastHeartbeat: c.beat, ProducerOf: keys(c.producers), ConsumerOf: keys(c.consumers),
	}
}

func keys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Producers lists the connections of a producer group.
func (r *Registry) Producers(name string) (out []inspect.Client) {
	for _, c := range r.Clients() {
		if slices.Contains(c.ProducerOf, name) {
			out = append(out, c)
		}
	}
	return out
}
