package remoting

import "github.com/contrailmq/contrail/broker/wire"

// sendMessage: SEND_MESSAGE. Header (SendMessageRequestHeader): producerGroup*, topic*, defaultTopic*, defaultTopicQueueNums*,
// queueId*, sysFlag*, bornTimestamp*, flag*, properties, reconsumeTimes, unitMode, batch, maxReconsumeTimes. Body: the
// message's body. Answers 0 with msgId, queueId, queueOffset, transactionId, MSG_REGION, TRACE_ON after the message is stored;
// 1, 2, 13, 14, 16, 17, 29.
func (c *conn) sendMessage(f *wire.Frame) {
	h := &c.header
	*h = emptyHeader
	var err error
	for i := range f.Fields {
		name, v := f.Fields[i].Name, f.Fields[i].Value
		switch string(name) {
		case "producerGroup":
			h.ProducerGroup = v
		case "topic":
			h.Topic = v
		case "defaultTopic":
			h.DefaultTopic = v
		case "defaultTopicQueueNums":
			int32Into(&h.DefaultTopicQueueNums, "defaultTopicQueueNums", v, &err)
		case "queueId":
			int32Into(&h.QueueID, "queueId", v, &err)
		case "sysFlag":
			int32Into(&h.SysFlag, "sysFlag", v, &err)
		case "bornTimestamp":
			int64Into(&h.BornTime, "bornTimestamp", v, &err)
		case "flag":
			int32Into(&h.Flag, "flag", v, &err)
		case "properties":
			h.Properties = v
		case "reconsumeTimes":
			int32Into(&h.ReconsumeTimes, "reconsumeTimes", v, &err)
		case "maxReconsumeTimes":
			int32Into(&h.MaxReconsumeTimes, "maxReconsumeTimes", v, &err)
		case "batch":
			h.Batch = string(v) == "true"
		}
	}
	c.send(f, err)
}
