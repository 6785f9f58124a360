package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// route: GET_ROUTEINFO_BY_TOPIC. Header: topic*, acceptStandardJsonOnly. Answers 0 with body Route, always in standard JSON,
// which every client reads; 17 when no broker serves the topic.
func (s *Server) route(c *rpc.Call, f *wire.Frame) {
	topic := f.String("topic")
	r, ok := s.table.Route(topic)
	if !ok {
		c.Fail(codeTopicMissing, "No topic route info in name server for the topic: %s See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.", topic)
		return
	}
	c.JSON(r)
}
