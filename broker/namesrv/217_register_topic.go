package namesrv

import (
	"encoding/json"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// registerTopic: REGISTER_TOPIC_IN_NAMESRV. Header: topic*, brokerAddr and _term (as in 103; Apache's brokers have
// none). Body: Route with the broker's queues; none removes the topic. A
// broker sends it between its full registrations, so that a new topic is known at once. Answers 0; 16 as in 103; 1 when the term is over.
func (s *Server) registerTopic(c *rpc.Call, f *wire.Frame) {
	if !s.opts.AcceptBrokers {
		c.Fail(codeNoPermission, "this name server takes no brokers of other processes (nameServer.acceptBrokers)")
		return
	}
	var r Route
	if err := json.Unmarshal(f.Body, &r); err != nil {
		c.Fail(codeError, "route not readable: %v", err)
		return
	}
	term, err := f.Int(TermField, 0)
	if err != nil {
		c.Fail(codeError, "%v", err)
		return
	}
	for _, q := range r.Queues {
		t := catalog.NewTopic(f.String("topic"), 0)
		t.Perm, t.ReadQueues, t.WriteQueues, t.SysFlag = q.Perm, q.ReadQueues, q.WriteQueues, q.SysFlag
		m := Member{Broker: q.Broker, Addr: f.String("brokerAddr"), Term: uint64(max(0, term))}
		if err := s.table.Topics(m, []catalog.Topic{t}); err != nil {
			c.Fail(codeError, "%v", err)
			return
		}
	}
	c.OK(nil)
}
