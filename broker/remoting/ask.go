package remoting

import (
	"bytes"
	"strings"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// Requests that the broker makes of a client, over the connection that the client opened.
//
// A client that is connected to another member is reached through the connection over which that member relays (relay.go): the request
// then has the field _ctrlTo with the client's id, and the member's answer is the client's. That works for clients that have had
// something relayed over it; consumers send heartbeats to all members anyway, and are found where they are asked for.
const toField = "_ctrlTo"

// Limits of requests to clients.
const (
	asksMax   = 256              // of one connection, not answered
	clientMax = 10 * time.Second // for an answer, as RocketMQ's Broker2Client
	statusMax = 5 * time.Second  // for its place in the queues
	replyMax  = 3 * time.Second  // for taking a reply
)

// reply is what a client answered.
type reply struct {
	code   int32
	remark string
	fields []rpc.Field
	body   []byte
}

// askable is a client that can be asked. done is called once, from any goroutine, and must not block.
type askable interface {
	ask(code int32, fields []rpc.Field, body []byte, patience time.Duration, done func(*reply, *service.Error))
}

// Foreign is a client of another front, which is asked in its own words what a request of this code asks. done is called once, from any goroutine.
type Foreign interface {
	Ask(code int32, fields map[string]string, body []byte, done func(code int32, remark string, body []byte))
}

type foreign struct{ Foreign }

func (a foreign) ask(code int32, fields []rpc.Field, body []byte, _ time.Duration, done func(*reply, *service.Error)) {
	named := map[string]string{}
	for _, f := range fields {
		named[f.Name] = f.Value
	}
	a.Ask(code, named, body, func(code int32, remark string, body []byte) {
		done(&reply{code: code, remark: remark, body: body}, nil)
	})
}

// askableOf is a connection as one that can be asked; false: it cannot.
func askableOf(c any) (askable, bool) {
	switch k := c.(type) {
	case askable:
		return k, true
	case Foreign:
		return foreign{k}, true
	}
	return nil, false
}

// asks are the requests of one connection that its client has not answered. The zero value is ready.
type asks struct {
	mu     sync.Mutex
	number int32
	by     map[int32]*asked
	ended  bool
}

type asked struct {
	done  func(*reply, *service.Error)
	timer *time.Timer
}

func (c *conn) ask(code int32, fields []rpc.Field, body []byte, patience time.Duration, done func(*reply, *service.Error)) {
	number, err := c.asks.add(patience, done)
	if err != nil {
		done(nil, err)
		return
	}
	c.rpc.Reply(func(dst []byte) []byte {
		w := wire.Request(dst, wire.JSON, number, code)
		for _, f := range fields {
			w.String(f.Name, f.Value)
		}
		return append(w.End(len(body)), body...)
	})
}

func (a *asks) add(patience time.Duration, done func(*reply, *service.Error)) (int32, *service.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return 0, clientGone()
	}
	if len(a.by) >= asksMax {
		return 0, service.Refuse(service.CodeSystemBusy, "[TOO MANY REQUESTS WAIT] %d requests wait for this client's answers, which is the limit", asksMax)
	}
	if a.by == nil {
		a.by = map[int32]*asked{}
	}
	a.number++
	number := a.number
	a.by[number] = &asked{done, time.AfterFunc(patience, func() {
		if k := a.take(number); k != nil {
			k.done(nil, service.Refuse(service.CodeConsumeTimeout, "the client did not answer within %s", patience))
		}
	})}
	return number, nil
}

func clientGone() *service.Error {
	return service.Refuse(service.CodeSystemError, "the client's connection ended before it answered")
}

// take gives a request that is answered now; nil when it is over.
func (a *asks) take(number int32) *asked {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.by[number]
	delete(a.by, number)
	return k
}

// answered takes a client's answer.
func (a *asks) answered(f *wire.Frame) {
	k := a.take(f.Opaque)
	if k == nil {
		return // it came too late
	}
	k.timer.Stop()
	r := &reply{code: f.Code, remark: string(f.Remark), body: bytes.Clone(f.Body)}
	for _, field := range f.Fields {
		r.fields = append(r.fields, rpc.Field{Name: string(field.Name), Value: string(field.Value)})
	}
	k.done(r, nil)
}

// end tells who waits that the client is gone.
func (a *asks) end() {
	a.mu.Lock()
	waiting := a.by
	a.by, a.ended = nil, true
	a.mu.Unlock()
	for _, k := range waiting {
		k.timer.Stop()
		k.done(nil, clientGone())
	}
}

// far is a client that is connected to another member; link is that member's connection to this one.
type far struct {
	link     *conn
	clientID string
}

func (a far) ask(code int32, fields []rpc.Field, body []byte, patience time.Duration, done func(*reply, *service.Error)) {
	a.link.ask(code, append(fields, rpc.Field{Name: toField, Value: a.clientID}), body, patience, done)
}

// consumer finds a client of a consumer group, here or at another member.
func (s *Server) consumer(name, clientID string) (askable, bool) {
	if m, ok := s.clients.Member(name, clientID); ok {
		return askableOf(m.Conn)
	}
	return s.farClient(clientID)
}

// client finds a client by its id.
func (s *Server) client(clientID string) (askable, bool) {
	if c, ok := s.clients.Called(clientID); ok {
		return askableOf(c)
	}
	return s.farClient(clientID)
}

// farClients are the clients of other members that have had something relayed to this one.
type farClients struct {
	mu sync.Mutex
	by map[string]*conn // the connection over which they are reached, by client id
}

func (s *Server) farClient(clientID string) (askable, bool) {
	s.far.mu.Lock()
	defer s.far.mu.Unlock()
	link, ok := s.far.by[clientID]
	return far{link, clientID}, ok
}

func (f *farClients) put(clientID string, link *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[string]*conn{}
	}
	f.by[clientID] = link
}

// gone forgets who was reached over a connection.
func (f *farClients) gone(link *conn, guests map[string]*service.Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range guests {
		if id := k.Identity().ClientID; f.by[id] == link {
			delete(f.by, id)
		}
	}
}

// offline: a client that is not found here may be connected to the leader.
func (c *conn) offline(call *rpc.Call, f *wire.Frame, err *service.Error) {
	if c.s.relay != nil && !c.relayed && !c.s.leads() {
		c.relay(f)
		return
	}
	c.refuse(call, err)
}

// handTo asks a client what this request asks, and answers with what it says. more replaces fields of the request.
func (c *conn) handTo(to askable, call *rpc.Call, f *wire.Frame, body []byte, more ...rpc.Field) {
	k, who := *call, c.who
	c.rpc.Owe(1)
	to.ask(f.Code, ownFields(f, more), body, clientMax, func(r *reply, err *service.Error) {
		if err != nil {
			k.Fail(err.Code, "%s", err.Text)
			c.refused(who, int(k.Code), "", "", err)
		} else {
			k.Answer(int(r.code), r.remark, r.body, r.fields...)
		}
		c.rpc.Owe(-1)
	})
}

// ownFields are a request's fields without those that members add for each other.
func ownFields(f *wire.Frame, more []rpc.Field) []rpc.Field {
	out := more
	for _, field := range f.Fields {
		name := string(field.Name)
		if !strings.HasPrefix(name, "_ctrl") && !hasField(more, name) {
			out = append(out, rpc.Field{Name: name, Value: string(field.Value)})
		}
	}
	return out
}

func hasField(fields []rpc.Field, name string) bool {
	for _, f := range fields {
		if f.Name == name {
			return true
		}
	}
	return false
}
