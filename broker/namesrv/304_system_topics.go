package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// systemTopics: GET_SYSTEM_TOPIC_LIST_FROM_NS. Answers 0 with body TopicList: the names of clusters and brokers, and one
// broker's address.
func (s *Server) systemTopics(c *rpc.Call, _ *wire.Frame) {
	names, addr := s.table.Names()
	c.JSON(TopicList{Topics: names, BrokerAddr: addr})
}
