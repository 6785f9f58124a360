package remoting

import "github.com/contrailmq/contrail/broker/wire"

// pullMessage: PULL_MESSAGE. Header (PullMessageRequestHeader): consumerGroup*, topic*, queueId*, queueOffset*, maxMsgNums*,
// sysFlag* (1 commit offset, 2 may be held, 4 subscription given), commitOffset*, suspendTimeoutMillis*, subscription,
// subVersion*, expressionType, maxMsgBytes. Answers 0 with messages in their stored form, 19 nothing there, 20 nothing that
// matches, 21 the offset is outside, each with suggestWhichBrokerId, nextBeginOffset, minOffset, maxOffset; 1, 16, 17, 23-26, 29.
func (c *conn) pullMessage(f *wire.Frame) { c.pull(f) }
