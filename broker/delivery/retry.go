package delivery

import (
	"math"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
)

// LevelMax is the highest delay level of RocketMQ's default messageDelayLevel.
const LevelMax = 18

// RetryTimesDefault is a group's retryMaxTimes unless it says otherwise.
const RetryTimesDefault = 16

// levelMillis are the times of the delay levels 1 to LevelMax, and the retry policy of a group that has none.
var levelMillis = [LevelMax]int64{
	1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000, 420_000, 480_000, 540_000, 600_000,
	1_200_000, 1_800_000, 3_600_000, 7_200_000,
}

// Route is where a message goes that could not be consumed: level is the one that its consumer asked for, negative for the dead-letter
// queue; reconsumeTimes is the message's own before this time; max is how often it may be retried
// (AbstractSendMessageProcessor.consumerSendMsgBack).
func Route(reconsumeTimes, maxTimes, level int32) entry.PopTo {
	if level < 0 || reconsumeTimes >= maxTimes {
		return entry.ToDeadLetter
	}
	return entry.ToRetry
}

// RouteOwn is where a copy goes that a consumer sends to its retry topic itself: times is how often the message was retried, this time
// included; the consumers of an ordered group send only what they give up (SendMessageProcessor.handleRetryAndDLQ).
func RouteOwn(times, maxTimes int32, ordered bool) entry.PopTo {
	if times > maxTimes || ordered {
		return entry.ToDeadLetter
	}
	return entry.ToRetry
}

// Level is the delay level of the next retry: what the consumer asked for or, with 0, three more than the retries so far.
func Level(reconsumeTimes, asked int32) int32 {
	if asked > 0 {
		return min(asked, LevelMax)
	}
	return min(max(reconsumeTimes, 0), LevelMax-3) + 3
}

// Backoff is how long the next retry waits, ms, as a group's policy says; nil and what is incomplete is RocketMQ's default, the delay
// levels from the third on (GroupRetryPolicy).
func Backoff(p *catalog.RetryPolicy, reconsumeTimes int32) int64 {
	n := max(reconsumeTimes, 0)
	switch {
	case p != nil && p.Type == "EXPONENTIAL" && p.Exponential != nil:
		return exponential(p.Exponential, n)
	case p != nil && p.Type == "CUSTOMIZED" && p.Customized != nil && len(p.Customized.NextMillis) > 0:
		return customized(p.Customized.NextMillis, n)
	}
	return customized(levelMillis[:], n)
}

// customized: the first two times are those of levels that retries never use (CustomizedRetryPolicy).
func customized(next []int64, n int32) int64 {
	return max(next[min(int64(n)+2, int64(len(next)-1))], 0)
}

// exponential is initial*multiplier^n, n being at most 32, and never more than max (ExponentialRetryPolicy). What is too large for a number
// is max, where Java's overflows.
func exponential(p *catalog.ExponentialRetryPolicy, n int32) int64 {
	millis := max(p.InitialMillis, 0)
	for range min(n, 32) {
		m := max(p.Multiplier, 0)
		if m > 0 && millis > math.MaxInt64/m {
			return max(p.MaxMillis, 0)
		}
		millis *= m
	}
	return max(min(millis, p.MaxMillis), 0)
}
