package remoting

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// assignmentQuery is QueryAssignmentRequestBody.
type assignmentQuery struct {
	Topic    string `json:"topic"`
	Group    string `json:"consumerGroup"`
	ClientID string `json:"clientId"`
	Strategy string `json:"strategyName"`
	Model    string `json:"messageModel"`
}

// assignment is MessageQueueAssignment.
type assignment struct {
	Queue service.QueueKey `json:"messageQueue"`
	Mode  string           `json:"mode"`
}

// queryAssignment: QUERY_ASSIGNMENT. Body: assignmentQuery. Answers 0 with body {"messageQueueAssignments":[{"messageQueue":…,"mode":"PULL" or
// "POP"}]}: what the client is to ask, of all brokers that serve the topic, and how; without the list when it cannot be told: the client
// then keeps what it has. Any member of the broker group answers it: consumers send heartbeats to all.
func (c *conn) queryAssignment(call *rpc.Call, f *wire.Frame) {
	var q assignmentQuery
	if err := json.Unmarshal(f.Body, &q); err != nil {
		c.refuse(call, service.Refuse(service.CodeSystemError, "assignment query not readable: %v", err))
		return
	}
	select {
	case c.s.routes <- struct{}{}:
	default:
		c.refuse(call, service.Refuse(service.CodeSystemBusy, "%d questions about assignments are being answered, which is the limit, try again", routesMax))
		return
	}
	l := c.later(call, f, q.Topic, q.Group)
	go func() {
		defer func() { <-c.s.routes }()
		answer := map[string]any{}
		if a := c.s.assign(&q); a != nil {
			answer["messageQueueAssignments"] = a
		}
		body, err := json.Marshal(answer)
		if err != nil {
			l.fail(service.Refuse(service.CodeSystemError, "assignments not encodable: %v", err))
			return
		}
		l.ok(body)
	}()
}

// assign gives what a client is to ask; nil: it cannot be told.
func (s *Server) assign(q *assignmentQuery) []assignment {
	m, queues := s.svc.RequestModeOf(q.Topic, q.Group), s.queuesOf(q.Topic)
	if q.Model != broadcasting {
		var ok bool
		if queues, ok = service.Assign(m, q.Strategy, q.ClientID, queues, s.clients.ConsumerIDs(q.Group)); !ok {
			return nil
		}
	} else if len(queues) == 0 {
		return nil
	}
	out := []assignment{}
	for _, k := range queues {
		if a := (assignment{k, m.Mode}); !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

const routePatience = time.Second

// queuesOf lists the readable queues of a topic by broker and number, as a name server knows them; when none answers, this broker's.
func (s *Server) queuesOf(topic string) (out []service.QueueKey) {
	data, ok := s.route(topic)
	if t, here := s.svc.Topic(topic); !ok && here {
		data = []queueData{{s.opts.Broker, t.Perm, t.ReadQueues}}
	}
	for _, d := range data {
		for id := int32(0); id < d.ReadQueues && d.Perm&catalog.PermRead != 0; id++ {
			out = append(out, service.QueueKey{Topic: topic, Broker: d.Broker, QueueID: id})
		}
	}
	slices.SortFunc(out, func(a, b service.QueueKey) int {
		return cmp.Or(cmp.Compare(a.Broker, b.Broker), cmp.Compare(a.QueueID, b.QueueID))
	})
	return out
}

// queueData is what a route says of one broker.
type queueData struct {
	Broker     string `json:"brokerName"`
	Perm       int32  `json:"perm"`
	ReadQueues int32  `json:"readQueueNums"`
}

// route asks the name servers, one after the other.
func (s *Server) route(topic string) ([]queueData, bool) {
	for _, addr := range s.svc.NameServers() {
		c := rpc.Client{Addr: addr, Timeout: routePatience}
		f, err := c.Do(wire.RouteInfo, []rpc.Field{{Name: "topic", Value: topic}, {Name: "acceptStandardJsonOnly", Value: "true"}}, nil)
		var r struct {
			Queues []queueData `json:"queueDatas"`
		}
		ok := err == nil && f.Code == service.CodeSuccess && json.Unmarshal(f.Body, &r) == nil
		known := err == nil && f.Code == service.CodeTopicNotExist
		c.Close()
		if ok || known {
			return r.Queues, true
		}
	}
	return nil, false
}
