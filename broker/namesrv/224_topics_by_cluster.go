package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// topicsByCluster: GET_TOPICS_BY_CLUSTER. Header: cluster*. Answers 0 with body TopicList.
func (s *Server) topicsByCluster(c *rpc.Call, f *wire.Frame) {
	cluster := f.String("cluster")
	if cluster == "" {
		c.JSON(TopicList{Topics: []string{}})
		return
	}
	c.JSON(TopicList{Topics: s.table.AllTopics(cluster)})
}
