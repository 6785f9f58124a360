package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// TopicList is the body of topic lists.
type TopicList struct {
	Topics     []string `json:"topicList"`
	BrokerAddr string   `json:"brokerAddr,omitempty"`
}

// allTopics: GET_ALL_TOPIC_LIST_FROM_NAMESERVER. Answers 0 with body TopicList.
func (s *Server) allTopics(c *rpc.Call, _ *wire.Frame) {
	c.JSON(TopicList{Topics: s.table.AllTopics("")})
}
