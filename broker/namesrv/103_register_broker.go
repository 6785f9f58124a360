package namesrv

import (
	"encoding/json"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// Registration is the body of REGISTER_BROKER (RegisterBrokerBody).
type Registration struct {
	Topics struct {
		Table map[string]catalog.Topic `json:"topicConfigTable"`
	} `json:"topicConfigSerializeWrapper"`
}

// TermField is the ext field that our brokers add to code 103: the term in which they lead or follow.
const TermField = "_term"

// registerBroker: REGISTER_BROKER. Header: brokerName*, brokerAddr*, clusterName*, brokerId* (0 leads), compressed, _term (Apache's
// brokers have none). Body: Registration, all of the broker's topics, which count when they are the leader's. Answers 0 with
// masterAddr; 16 where brokers of other processes are not accepted; 1 for what it cannot read, and for a leader whose term is over.
func (s *Server) registerBroker(c *rpc.Call, f *wire.Frame) {
	if !s.opts.AcceptBrokers {
		c.Fail(codeNoPermission, "this name server takes no brokers of other processes (nameServer.acceptBrokers)")
		return
	}
	if f.Bool("compressed", false) {
		c.Fail(codeError, "a compressed registration is not supported")
		return
	}
	id, err := f.Int("brokerId", 0)
	term, e := f.Int(TermField, 0)
	if err == nil {
		err = e
	}
	var r Registration
	if err == nil {
		err = json.Unmarshal(f.Body, &r)
	}
	if err != nil {
		c.Fail(codeError, "registration not readable: %v", err)
		return
	}
	topics := make([]catalog.Topic, 0, len(r.Topics.Table))
	for _, t := range r.Topics.Table {
		topics = append(topics, t)
	}
	m := Member{f.String("clusterName"), f.String("brokerName"), id, f.String("brokerAddr"), uint64(max(0, term))}
	if err := s.table.Register(time.Now().UnixMilli(), m, topics, c.Conn); err != nil {
		c.Fail(codeError, "%v", err)
		return
	}
	c.OK(nil, rpc.Field{Name: "haServerAddr"}, rpc.Field{Name: "masterAddr", Value: s.table.Leader(m.Broker)})
}
