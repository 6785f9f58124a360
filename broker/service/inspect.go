package service

import (
	"slices"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/shard"
)

func (s *Service) membership() Membership {
	if m := s.members.Load(); m != nil {
		return *m
	}
	return nobody{}
}

// nobody is the membership before a front told who is there.
type nobody struct{}

func (nobody) Group(string) (inspect.Group, bool) { return inspect.Group{}, false }
func (nobody) Groups() []string                   { return nil }
func (nobody) TopicGroups(string) []string        { return nil }
func (nobody) Clients() []inspect.Client          { return nil }
func (nobody) Client(string, string) (inspect.ClientDetail, bool) {
	return inspect.ClientDetail{}, false
}

// InspectNode is this process for the console. The fronts' own figures (connections) are theirs to add.
func (s *Service) InspectNode() inspect.Node {
	o, log := &s.opts, s.shard.Log()
	mode := "page-cache"
	if o.Durable {
		mode = "fdatasync"
	}
	n := inspect.Node{
		Cluster: o.Cluster, Broker: o.Broker, NodeID: o.NodeID, Version: o.Version, Roles: o.Roles, StartedAt: s.started.UnixMilli(),
		Now: time.Now().UnixMilli(), StoreHost: o.StoreHost.String(), NameServer: o.NameServer, Term: s.shard.Term(),
		Leader: s.Leads(), LogFirstPos: log.FirstPos(), LogEndPos: log.EndPos(), CommitIndex: s.shard.Committed(),
		AppliedIndex: s.shard.Applied(), SyncMode: mode, LogBytes: log.Bytes(), FsyncP50: log.Syncs().Quantile(0.5),
		FsyncP99: log.Syncs().Quantile(0.99), MessagesIn: s.shard.Counters().Messages.Load(), BytesIn: s.shard.Counters().Bytes.Load(),
		MessagesOut: s.messageOut.Load(), BytesOut: s.bytesOut.Load(),
	}
	n.DiskTotal, n.DiskFree, _ = o.FS.Usage(o.Dir)
	if err := s.shard.Failed(); err != nil {
		n.Stopped = err.Error()
	}
	n.Groups = []inspect.BrokerGroup{s.inspectBrokerGroup(&n)}
	return n
}

// inspectBrokerGroup tells the group's members; their addresses are the caller's to add.
func (s *Service) inspectBrokerGroup(n *inspect.Node) inspect.BrokerGroup {
	st := s.shard.Status()
	g := inspect.BrokerGroup{
		Name: s.opts.Broker, Member: s.opts.MemberID, Term: st.Term, Leader: st.Lead, Leads: s.Leads(), CommitIndex: st.Commit,
		AppliedIndex: st.Applied, LogEndPos: n.LogEndPos, Stopped: n.Stopped,
	}
	ids := slices.Concat(st.Members.Voters, st.Members.Learners)
	if len(ids) == 0 {
		ids = []uint64{s.opts.MemberID}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		g.Members = append(g.Members, inspectMember(id, &st))
	}
	return g
}

func inspectMember(id uint64, st *shard.Status) inspect.BrokerMember {
	m := inspect.BrokerMember{ID: id, State: "unknown"}
	if p, ok := st.Peer(id); ok {
		m.State, m.Active, m.MatchIndex = p.State, p.Active, p.Match
		m.LagEntries = max(st.Commit, p.Match) - p.Match
		if p.Learner {
			m.State = "learner"
		}
	}
	if id == st.Lead {
		m.State, m.Active = "leader", true
	}
	return m
}

// InspectTopics lists all topics without their queues.
func (s *Service) InspectTopics() []inspect.Topic {
	var out []inspect.Topic
	for _, e := range s.shard.Catalog().Topics() {
		t := s.inspectTopic(e)
		t.Queues = nil
		out = append(out, t)
	}
	return out
}

// InspectTopic gives one topic with its queues.
func (s *Service) InspectTopic(name string) (inspect.Topic, bool) {
	e, ok := s.shard.Catalog().Topic(name)
	if !ok {
		return inspect.Topic{}, false
	}
	return s.inspectTopic(e), true
}

func (s *Service) inspectTopic(e catalog.Entry) inspect.Topic {
	q := s.topicQueues(e)
	t := inspect.Topic{
		Name: e.Name, System: s.IsSystemTopic(e.Name), Perm: e.Perm, ReadQueues: e.ReadQueues, WriteQueues: e.WriteQueues, Order: e.Order,
		Attributes: e.Attributes, MessagesIn: q.Messages.Load(), BytesIn: q.Bytes.Load(), Groups: s.TopicGroups(e.Name),
	}
	for id := range max(e.ReadQueues, e.WriteQueues) {
		row := inspect.Queue{Broker: s.opts.Broker, ID: id}
		if queue := q.Find(id); queue != nil {
			row.Min, row.Max, row.LastStored = queue.Bounds()
		}
		t.Messages += row.Max - row.Min
		t.LastStored = max(t.LastStored, row.LastStored)
		t.Queues = append(t.Queues, row)
	}
	return t
}

// TopicGroups are the groups that are online for the topic or have offsets in it (code 300).
func (s *Service) TopicGroups(topic string) []string {
	groups := append(s.membership().TopicGroups(topic), s.shard.Offsets().OfTopic(topic)...)
	slices.Sort(groups)
	return slices.Compact(groups)
}

// InspectGroups lists all groups without their queues.
func (s *Service) InspectGroups() []inspect.Group {
	names := append(s.membership().Groups(), s.shard.Offsets().Groups()...)
	for _, g := range s.shard.Catalog().Groups() {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	var out []inspect.Group
	for _, n := range slices.Compact(names) {
		g, _ := s.InspectGroup(n)
		g.Queues = nil
		out = append(out, g)
	}
	return out
}

// InspectGroup gives one group with its place in each queue of the topics that it reads.
func (s *Service) InspectGroup(name string) (inspect.Group, bool) {
	g, online := s.membership().Group(name)
	config, known := s.shard.Catalog().Group(name)
	saved := s.shard.Offsets().Group(name)
	if !known && !online && len(saved) == 0 {
		return inspect.Group{}, false
	}
	if !known {
		config = catalog.NewGroup(name)
	}
	g.Name, g.System, g.RetryMaxTimes, g.ConsumeEnable = name, IsSystemGroup(name), config.RetryMaxTimes, config.ConsumeEnable
	g.MessagesOut = s.out.ofGroup(name)
	topics := map[string]bool{}
	for _, v := range saved {
		topics[v.Topic] = true
	}
	for _, v := range g.Subscriptions {
		topics[v.Topic] = true
	}
	for _, t := range sortedKeys(topics) {
		s.groupTopic(&g, t)
	}
	return g, true
}

func sortedKeys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// groupTopic adds a group's queues of one topic. A broadcast group's offsets are kept by its clients: it has no backlog here.
func (s *Service) groupTopic(g *inspect.Group, topic string) {
	e, ok := s.shard.Catalog().Topic(topic)
	if !ok {
		return
	}
	queues := s.topicQueues(e)
	for id := range e.ReadQueues {
		row := inspect.GroupQueue{Broker: s.opts.Broker, Topic: topic, QueueID: id, Committed: -1}
		q := queues.Find(id)
		if q != nil {
			row.Min, row.Max, _ = q.Bounds()
		}
		k := offset.Key{Group: g.Name, Topic: topic, QueueID: id}
		if c, ok := s.shard.Offsets().Get(k); ok {
			row.Committed, row.LastCommit, row.Client = c.Offset, c.AtMicros/1000, c.Client
		}
		if v, ok := s.lastPulls.Load(k); ok {
			p := v.(pulled)
			row.Client, row.LastPull, row.LastPullOff = p.Client, p.Millis, p.Offset
		}
		waits := max(row.Committed, row.Min)
		if g.Model != "BROADCASTING" && q != nil && (row.Committed >= 0 || g.Online) {
			row.Lag = max(0, row.Max-waits)
		}
		g.LagMessages += row.Lag
		if row.Lag > 0 {
			row.Head = s.head(k, &row, q, waits)
			if at, err := s.storeTime(q, waits); err == nil && at > 0 && (g.OldestWaiting == 0 || at < g.OldestWaiting) {
				g.OldestWaiting = at
			}
		}
		g.Queues = append(g.Queues, row)
	}
}

// head is what holds up a queue that is consumed in order: by clients that lock it, or that pop it in order.
func (s *Service) head(k offset.Key, row *inspect.GroupQueue, q *queue.Queue, at int64) *inspect.Head {
	h := inspect.Head{Offset: at, Since: row.LastCommit}
	popped, ok := s.shard.Deliveries().Head(delivery.Key(k))
	if ok {
		h.Offset, h.Client, h.Until, h.Times = popped.Offset, popped.Client, popped.UntilMillis, int32(popped.Times)
	} else if h.Client = s.shard.Locks().Holder(s.shard.LockNow(), k.Group, group.QueueRef{Topic: k.Topic, Broker: s.opts.Broker, QueueID: k.QueueID}); h.Client == "" {
		return nil
	}
	h.Behind = max(0, row.Max-h.Offset-1)
	if v, err := s.letter(q, h.Offset); err == nil && v != nil {
		run := v.Properties()
		h.UniqKey, h.Keys, h.Since = text(run, message.PropUniqKey), text(run, message.PropKeys), max(h.Since, v.StoreTime())
	}
	return &h
}

// InspectClients lists all connections.
func (s *Service) InspectClients() []inspect.Client { return s.membership().Clients() }

// InspectClient gives one client with its settings; addr "": of several with the id, the one that was heard last.
func (s *Service) InspectClient(id, addr string) (inspect.ClientDetail, bool) {
	return s.membership().Client(id, addr)
}
