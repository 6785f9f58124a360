package main

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/metrics"
	"github.com/contrailmq/contrail/broker/service"
)

// consoleBroker is what the console and a scrape ask for: this node's members of all broker groups as if they were one broker.
// Followers have what their leaders have, a moment later, so any node's page tells of all groups.
type consoleBroker struct {
	brokers func() []*broker
	// addr gives the address that clients dial for a member of a group.
	addr func(group string, member uint64) string
}

// InspectNode implements server.Broker: connections are the fronts' to count.
func (c consoleBroker) InspectNode() inspect.Node {
	var n inspect.Node
	for i, b := range c.brokers() {
		one := b.svc.InspectNode()
		one.Connections = int(b.portStats().Conns.Load())
		if i == 0 {
			n = one
			continue
		}
		addNode(&n, &one)
	}
	for i := range n.Groups {
		g := &n.Groups[i]
		for j := range g.Members {
			g.Members[j].Addr = c.addr(g.Name, g.Members[j].ID)
		}
	}
	return n
}

// addNode adds what another group's member counts.
func addNode(n, one *inspect.Node) {
	n.Groups = append(n.Groups, one.Groups...)
	n.LogBytes += one.LogBytes
	n.MessagesIn += one.MessagesIn
	n.MessagesOut += one.MessagesOut
	n.BytesIn += one.BytesIn
	n.BytesOut += one.BytesOut
	n.Connections += one.Connections
	n.FsyncP50, n.FsyncP99 = max(n.FsyncP50, one.FsyncP50), max(n.FsyncP99, one.FsyncP99)
	if n.Stopped == "" {
		n.Stopped = one.Stopped
	}
}

// InspectTopics implements server.Broker.
func (c consoleBroker) InspectTopics() []inspect.Topic {
	var all []inspect.Topic
	for _, b := range c.brokers() {
		all = append(all, b.svc.InspectTopics()...)
	}
	return merged(all, func(t *inspect.Topic) string { return t.Name }, addTopic)
}

// merged adds up what has the same name, in the order of names.
func merged[T any](all []T, name func(*T) string, add func(to, from *T)) []T {
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(name(&a), name(&b)) })
	var out []T
	for i := range all {
		if n := len(out); n > 0 && name(&out[n-1]) == name(&all[i]) {
			add(&out[n-1], &all[i])
		} else {
			out = append(out, all[i])
		}
	}
	return out
}

func addTopic(to, from *inspect.Topic) {
	to.ReadQueues += from.ReadQueues
	to.WriteQueues += from.WriteQueues
	to.Messages += from.Messages
	to.MessagesIn += from.MessagesIn
	to.BytesIn += from.BytesIn
	to.LastStored = max(to.LastStored, from.LastStored)
	to.Groups = union(to.Groups, from.Groups)
	to.Queues = append(to.Queues, from.Queues...)
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// InspectTopic implements server.Broker.
func (c consoleBroker) InspectTopic(name string) (t inspect.Topic, found bool) {
	for _, b := range c.brokers() {
		one, ok := b.svc.InspectTopic(name)
		switch {
		case ok && found:
			addTopic(&t, &one)
		case ok:
			t, found = one, true
		}
	}
	return t, found
}

// InspectGroups implements server.Broker.
func (c consoleBroker) InspectGroups() []inspect.Group {
	var all []inspect.Group
	for _, b := range c.brokers() {
		all = append(all, b.svc.InspectGroups()...)
	}
	return merged(all, func(g *inspect.Group) string { return g.Name }, addGroup)
}

func addGroup(to, from *inspect.Group) {
	to.Online = to.Online || from.Online
	to.Model, to.ConsumeType = cmp.Or(to.Model, from.Model), cmp.Or(to.ConsumeType, from.ConsumeType)
	to.LastSeen = max(to.LastSeen, from.LastSeen)
	to.LagMessages += from.LagMessages
	if to.OldestWaiting == 0 || from.OldestWaiting != 0 && from.OldestWaiting < to.OldestWaiting {
		to.OldestWaiting = from.OldestWaiting
	}
	to.Consistent = to.Consistent && from.Consistent
	to.MessagesOut += from.MessagesOut
	to.Queues = append(to.Queues, from.Queues...)
	for _, m := range from.Members { // a client is connected to every broker
		if !slices.ContainsFunc(to.Members, func(k inspect.Member) bool { return k.ClientID == m.ClientID }) {
			to.Members = append(to.Members, m)
		}
	}
	for _, s := range from.Subscriptions {
		if !slices.ContainsFunc(to.Subscriptions, func(k inspect.Subscription) bool { return k.Topic == s.Topic && k.Expression == s.Expression }) {
			to.Subscriptions = append(to.Subscriptions, s)
		}
	}
}

// InspectGroup implements server.Broker.
func (c consoleBroker) InspectGroup(name string) (g inspect.Group, found bool) {
	for _, b := range c.brokers() {
		one, ok := b.svc.InspectGroup(name)
		switch {
		case ok && found:
			addGroup(&g, &one)
		case ok:
			g, found = one, true
		}
	}
	return g, found
}

// InspectClients implements server.Broker.
func (c consoleBroker) InspectClients() []inspect.Client {
	var all clientList
	for _, b := range c.brokers() {
		all.add(b.svc.InspectClients())
	}
	return all.clients
}

// clientList is all connections: one for each broker group's port of this node, but one of a gRPC client, which all registries know.
type clientList struct {
	clients []inspect.Client
	grpc    map[string]int // where a gRPC client is
}

func (l *clientList) add(clients []inspect.Client) {
	for _, k := range clients {
		if k.Protocol != "grpc" {
			l.clients = append(l.clients, k)
			continue
		}
		if i, known := l.grpc[k.ClientID]; known {
			addClient(&l.clients[i], &k)
			continue
		}
		if l.grpc == nil {
			l.grpc = map[string]int{}
		}
		l.grpc[k.ClientID] = len(l.clients)
		l.clients = append(l.clients, k)
	}
}

func addClient(to, from *inspect.Client) {
	to.ConnectedAt, to.LastHeartbeat = min(to.ConnectedAt, from.ConnectedAt), max(to.LastHeartbeat, from.LastHeartbeat)
	to.ProducerOf, to.ConsumerOf = union(to.ProducerOf, from.ProducerOf), union(to.ConsumerOf, from.ConsumerOf)
}

// InspectClient implements server.Broker: of what the broker groups know of a client, the newest.
func (c consoleBroker) InspectClient(id, addr string) (d inspect.ClientDetail, found bool) {
	for _, b := range c.brokers() {
		one, ok := b.svc.InspectClient(id, addr)
		switch {
		case ok && found:
			d = newest(d, one)
		case ok:
			d, found = one, true
		}
	}
	return d, found
}

// newest is the one that was heard last, with the settings that were given last. What a gRPC client consumes and produces is known everywhere.
func newest(a, b inspect.ClientDetail) inspect.ClientDetail {
	if b.Client.LastHeartbeat > a.Client.LastHeartbeat {
		a, b = b, a
	}
	if b.Client.Protocol == "grpc" && a.Client.Protocol == "grpc" {
		addClient(&a.Client, &b.Client)
	}
	if a.Settings == nil || b.Settings != nil && b.Settings.GivenAt > a.Settings.GivenAt {
		a.Settings = b.Settings
	}
	return a
}

// InspectOut implements metrics.Source.
func (c consoleBroker) InspectOut() []inspect.Out {
	var all []inspect.Out
	for _, b := range c.brokers() {
		all = append(all, b.svc.InspectOut()...)
	}
	return merged(all, func(o *inspect.Out) string { return o.Topic + "\x00" + o.Group }, func(to, from *inspect.Out) {
		to.Messages += from.Messages
		to.Bytes += from.Bytes
	})
}

// InspectSizes implements metrics.Source.
func (c consoleBroker) InspectSizes() []inspect.Sizes {
	var all []inspect.Sizes
	for _, b := range c.brokers() {
		all = append(all, b.svc.InspectSizes()...)
	}
	return merged(all, func(s *inspect.Sizes) string { return s.Topic }, func(to, from *inspect.Sizes) {
		for i := range to.Counts {
			to.Counts[i] += from.Counts[i]
		}
		to.Bytes += from.Bytes
	})
}

// MessagesAt implements server.Broker.
func (c consoleBroker) MessagesAt(_ context.Context, position int64) (all [][]byte) {
	for _, b := range c.brokers() {
		if raw, err := b.svc.ViewByPosition("", position); err == nil {
			all = append(all, raw)
		}
	}
	return all
}

// Find implements server.Broker.
func (c consoleBroker) Find(ctx context.Context, topic, key string, unique bool) (all [][]byte, err error) {
	q := service.QueryRequest{Topic: topic, Key: key, Unique: unique, EndMillis: math.MaxInt64}
	for _, b := range c.brokers() {
		body, _, _, refused := b.svc.Query(ctx, q)
		if refused != nil && refused.Code == service.CodeQueryNotFound {
			continue
		}
		if refused != nil {
			return nil, refused
		}
		for len(body) > 0 {
			v, err := message.Parse(body)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
			body = body[len(v):]
		}
	}
	return all, nil
}

// InspectScheduled gives what this node's members of all broker groups know of scheduled messages: those that are due next.
func (c consoleBroker) InspectScheduled(limit int) (inspect.ScheduledList, error) {
	all := inspect.ScheduledList{Messages: []inspect.Scheduled{}}
	for _, b := range c.brokers() {
		list, err := b.svc.Scheduled(limit)
		if err != nil {
			return all, err
		}
		all.Add(list)
	}
	slices.SortStableFunc(all.Messages, func(a, b inspect.Scheduled) int { return cmp.Compare(a.Due, b.Due) })
	all.Messages = all.Messages[:min(limit, len(all.Messages))]
	return all, nil
}

// InspectTransactions gives the oldest open transactions, of one producer group or, with "", of all.
func (c consoleBroker) InspectTransactions(group string, limit int) inspect.TransactionList {
	all := inspect.TransactionList{Halves: []inspect.Transaction{}}
	for _, b := range c.brokers() {
		all.Add(b.svc.Transactions(group, limit))
	}
	slices.SortStableFunc(all.Halves, func(a, b inspect.Transaction) int { return cmp.Compare(a.Stored, b.Stored) })
	all.Halves = all.Halves[:min(limit, len(all.Halves))]
	return all
}

func (c consoleBroker) waiting() metrics.Waiting {
	scheduled, _ := c.InspectScheduled(0) // counts are in memory
	return metrics.Waiting{Scheduled: scheduled, Transactions: c.InspectTransactions("", 0)}
}
