package remoting

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// statusClients is how many clients of a group are asked for one answer.
const statusClients = 1000

// consumerStatus: INVOKE_BROKER_TO_GET_CONSUMER_STATUS. Header: topic*, group*, clientAddr (a client's id; empty: all). Asks the clients
// with 221 and answers 0 with body {"consumerTable":{clientId:{{queue}:offset}},"messageQueueTable":{}}, without those that do not
// answer in time; 1 when nobody is online. Checked against Broker2Client.getConsumeStatus, which asks one client after the other.
func (c *conn) consumerStatus(call *rpc.Call, f *wire.Frame) {
	name, wanted := f.String("group"), f.String("clientAddr")
	members := c.s.clients.Members(name)
	if len(members) == 0 {
		c.offline(call, f, service.Refuse(service.CodeSystemError, "No Any Consumer online in the consumer group: [%.255s]", name))
		return
	}
	members = slices.DeleteFunc(members, func(m group.Member) bool { return wanted != "" && m.ID.ClientID != wanted })
	if len(members) == 0 {
		call.OK(noStatus)
		return
	}
	if len(members) > statusClients {
		c.refuse(call, service.Refuse(service.CodeInvalidParameter, "%d clients are in group [%.255s], at most %d are asked: name one", len(members), name, statusClients))
		return
	}
	g := &statuses{conn: c, call: *call, left: len(members), tables: make([][]byte, len(members)), members: members}
	fields := []rpc.Field{{Name: "topic", Value: f.String("topic")}, {Name: "group", Value: name}}
	c.rpc.Owe(1)
	for i, m := range members {
		if to, ok := askableOf(m.Conn); ok {
			to.ask(wire.ClientConsumerStatus, fields, nil, statusMax, func(r *reply, _ *service.Error) { g.got(i, r) })
		} else {
			g.got(i, nil)
		}
	}
}

// noStatus is the answer about a client that is not in the group.
var noStatus = []byte(`{"consumerTable":{},"messageQueueTable":{}}`)

// statuses gathers what a group's clients answer.
type statuses struct {
	conn    *conn
	call    rpc.Call
	members []group.Member
	mu      sync.Mutex
	left    int
	tables  [][]byte // of each member; nil: it did not answer
}

func (g *statuses) got(i int, r *reply) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r != nil && r.code == service.CodeSuccess {
		g.tables[i] = queueTable(r.body)
	}
	if g.left--; g.left > 0 {
		return
	}
	body := []byte(`{"consumerTable":{`)
	first := true
	for i, table := range g.tables {
		id, err := json.Marshal(g.members[i].ID.ClientID)
		if table == nil || err != nil {
			continue
		}
		if !first {
			body = append(body, ',')
		}
		first = false
		body = append(append(append(body, id...), ':'), table...)
	}
	g.call.OK(append(body, `},"messageQueueTable":{}}`...))
	g.conn.rpc.Owe(-1)
}

// queueTable cuts the map out of a GetConsumerStatusBody. Its keys are objects, so it is no standard JSON; it is handed on as it is.
func queueTable(body []byte) []byte {
	const name = `"messageQueueTable":`
	at := bytes.Index(body, []byte(name))
	if at < 0 {
		return nil
	}
	rest := body[at+len(name):]
	if end := objectEnd(rest); end > 0 {
		return bytes.Clone(rest[:end])
	}
	return nil
}

// objectEnd is where the object at the beginning of b ends; 0: it does not.
func objectEnd(b []byte) int {
	depth, text := 0, false
	for i := 0; i < len(b); i++ {
		switch {
		case text && b[i] == '\\':
			i++
		case b[i] == '"':
			text = !text
		case text:
		case b[i] == '{':
			depth++
		case b[i] == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
