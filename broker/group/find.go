package group

import (
	"slices"
	"strings"
)

// Member is one connection of a consumer group.
type Member struct {
	Conn Conn
	ID   Identity
}

// Members lists a group's connections by client id.
func (r *Registry) Members(name string) []Member {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.groups[name]
	if g == nil {
		return nil
	}
	out := make([]Member, 0, len(g.members))
	for c, m := range g.members {
		out = append(out, Member{c, m.id})
	}
	slices.SortFunc(out, func(a, b Member) int {
		if n := strings.Compare(a.ID.ClientID, b.ID.ClientID); n != 0 {
			return n
		}
		return strings.Compare(a.ID.Addr, b.ID.Addr)
	})
	return out
}

// Member finds a client in a group.
func (r *Registry) Member(name, clientID string) (Member, bool) {
	for _, m := range r.Members(name) {
		if m.ID.ClientID == clientID {
			return m, true
		}
	}
	return Member{}, false
}

// Call has a client known by its id before its first heartbeat told it: a request message says to whom the reply goes. It takes nothing
// from a connection that is known by the same id.
func (r *Registry) Call(c Conn, clientID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	cl := r.conns[c]
	if cl == nil || cl.called != "" || r.byID[clientID] != nil {
		return false
	}
	r.callLocked(c, cl, clientID)
	return true
}

// callLocked makes c the connection of the client; of several with one id, the last that told it.
func (r *Registry) callLocked(c Conn, cl *client, clientID string) {
	if cl.called == clientID && r.byID[clientID] != nil {
		return
	}
	r.uncallLocked(c, cl)
	cl.called = clientID
	r.byID[clientID] = c
}

func (r *Registry) uncallLocked(c Conn, cl *client) {
	if r.byID[cl.called] == c {
		delete(r.byID, cl.called)
	}
}

// Called finds the connection of a client.
func (r *Registry) Called(clientID string) (Conn, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.byID[clientID]
	return c, ok
}

// Producer picks one connection of a producer group, any of them each time; !ok: none is connected.
func (r *Registry) Producer(name string) (m Member, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for c, cl := range r.conns { // a map's order is another one each time
		if cl.producers[name] {
			return Member{c, cl.id}, true
		}
	}
	return Member{}, false
}
