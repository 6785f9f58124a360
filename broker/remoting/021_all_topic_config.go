package remoting

import (
	"strconv"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// allTopicConfig: GET_ALL_TOPIC_CONFIG. Answers 0 with body TopicConfigAndMappingSerializeWrapper, all topics in one page.
func (c *conn) allTopicConfig(call *rpc.Call, _ *wire.Frame) {
	table := map[string]catalog.Topic{}
	for _, t := range c.s.svc.Topics() {
		table[t.Name] = t
	}
	call.JSON(map[string]any{
		"dataVersion": dataVersion{}, "mappingDataVersion": dataVersion{}, "topicConfigTable": table,
		"topicQueueMappingDetailMap": map[string]any{}, "topicQueueMappingInfoMap": map[string]any{},
	}, rpc.Field{Name: "totalTopicNum", Value: strconv.Itoa(len(table))})
}
