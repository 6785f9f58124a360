package group

import (
	"slices"
	"strings"

	"github.com/contrailmq/contrail/broker/inspect"
)

const (
	wordMax       = 64      // bytes of a heartbeat's words that are kept for each member; RocketMQ's have up to 30
	expressionMax = 1 << 10 // bytes of an expression that are shown
)

// Client is one connection with what it told: the one from addr; addr "": of several with the id, the one that was heard last.
func (r *Registry) Client(id, addr string) (inspect.ClientDetail, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var at Conn
	var newest *client
	for c, cl := range r.conns {
		if cl.id.ClientID == id && (addr == "" || cl.id.Addr == addr) && (newest == nil || cl.beat > newest.beat) {
			at, newest = c, cl
		}
	}
	if newest == nil {
		return inspect.ClientDetail{}, false
	}
	return inspect.ClientDetail{Client: newest.inspect(), Consumes: r.consumesLocked(at, newest), Settings: newest.id.Settings}, true
}

func (r *Registry) consumesLocked(c Conn, cl *client) []inspect.Consuming {
	out := make([]inspect.Consuming, 0, len(cl.consumers))
	for name := range cl.consumers {
		if g := r.groups[name]; g != nil && g.members[c] != nil {
			m := g.members[c]
			out = append(out, inspect.Consuming{Group: name, ConsumeType: m.consumeType, Model: m.model, FromWhere: m.fromWhere, Subscriptions: shortened(list(m.subs))})
		}
	}
	slices.SortFunc(out, func(a, b inspect.Consuming) int { return strings.Compare(a.Group, b.Group) })
	return out
}

func shortened(all []inspect.Subscription) []inspect.Subscription {
	for i := range all {
		all[i].Expression = inspect.Cut(all[i].Expression, expressionMax)
	}
	return all
}
