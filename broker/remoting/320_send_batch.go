package remoting

import "github.com/contrailmq/contrail/broker/wire"

// sendBatch: SEND_BATCH_MESSAGE. Header: as 310 with m = true. Body: RocketMQ's batch of messages of one topic, which come to
// lie in one queue, one after the other. Answers 0 with msgId (all offset message ids, joined by commas) and the first
// queueOffset; else as 10. A batch of which one message is refused is not stored at all.
func (c *conn) sendBatch(f *wire.Frame) {
	err := c.parseV2(f)
	c.header.Batch = true
	c.send(f, err)
}
