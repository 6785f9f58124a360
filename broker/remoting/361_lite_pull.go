package remoting

import "github.com/contrailmq/contrail/broker/wire"

// litePull: LITE_PULL_MESSAGE, what DefaultLitePullConsumer sends. As 11.
func (c *conn) litePull(f *wire.Frame) { c.pull(f) }
