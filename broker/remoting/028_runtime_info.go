package remoting

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// runtimeInfo: GET_BROKER_RUNTIME_INFO. Answers 0 with body KVTable {"table":{…}}. Apache's tools fail on a numeric key that is
// missing, so every key of rocketmq.md 9.3 is there; what does not exist here (send queues, page cache locks) is 0.
func (c *conn) runtimeInfo(call *rpc.Call, _ *wire.Frame) {
	n := c.s.svc.InspectNode()
	t := map[string]string{}
	for _, k := range zeroKeys {
		t[k] = "0"
	}
	c.runtimeNode(t, &n)
	c.runtimeRates(t, &n)
	call.JSON(map[string]any{"table": t})
}

var zeroKeys = []string{
	"putMessageFailedTimes", "putMessageEntireTimeMax", "getMessageEntireTimeMax", "dispatchMaxBuffer", "dispatchBehindBytes",
	"pageCacheLockTimeMills", "remainTransientStoreBufferNumbs", "remainHowManyDataToCommit", "remainHowManyDataToFlush",
	"sendThreadPoolQueueSize", "sendThreadPoolQueueHeadWaitTimeMills", "pullThreadPoolQueueSize",
	"pullThreadPoolQueueHeadWaitTimeMills", "litePullThreadPoolQueueSize", "litePullThreadPoolQueueHeadWaitTimeMills",
	"queryThreadPoolQueueSize", "queryThreadPoolQueueHeadWaitTimeMills", "ackThreadPoolQueueSize",
	"ackThreadPoolQueueHeadWaitTimeMills", "EndTransactionQueueSize", "EndTransactionThreadPoolQueueCapacity", "timerReadBehind",
	"timerOffsetBehind", "timerCongestNum", "timerEnqueueTps", "timerDequeueTps", "putLatency99", "putLatency999",
	"sendThreadPoolQueueCapacity", "pullThreadPoolQueueCapacity", "litePullThreadPoolQueueCapacity", "queryThreadPoolQueueCapacity",
	"ackThreadPoolQueueCapacity",
	"msgPutTotalYesterdayMorning", "msgGetTotalYesterdayMorning", "msgPutTotalTodayMorning", "msgGetTotalTodayMorning",
}

func (c *conn) runtimeNode(t map[string]string, n *inspect.Node) {
	up := time.Duration(n.Now-n.StartedAt) * time.Millisecond
	used := 0.0
	if n.DiskTotal > 0 {
		used = 1 - float64(n.DiskFree)/float64(n.DiskTotal)
	}
	ratio := strconv.FormatFloat(used, 'f', 4, 64)
	t["brokerVersionDesc"], t["brokerVersion"] = "V5_5_0", strconv.Itoa(wire.OwnVersion)
	t["brokerActive"], t["bootTimestamp"] = strconv.FormatBool(n.Leader), strconv.FormatInt(n.StartedAt, 10)
	t["runtime"] = fmt.Sprintf("[ %d days, %d hours, %d minutes, %d seconds ]", int(up.Hours())/24, int(up.Hours())%24, int(up.Minutes())%60, int(up.Seconds())%60)
	t["startAcceptSendRequestTimeStamp"] = strconv.FormatInt(n.StartedAt, 10)
	t["commitLogMinOffset"], t["commitLogMaxOffset"] = strconv.FormatInt(n.LogFirstPos, 10), strconv.FormatInt(n.LogEndPos, 10)
	t["commitLogDiskRatio"], t["consumeQueueDiskRatio"] = ratio, ratio
	t["commitLogDirCapacity"] = fmt.Sprintf("Total : %s, Free : %s.", gib(n.DiskTotal), gib(n.DiskFree))
	t["earliestMessageTimeStamp"] = strconv.FormatInt(c.s.svc.EarliestMessage(), 10)
}

func gib(n int64) string { return fmt.Sprintf("%.1fGiB", float64(n)/(1<<30)) }

func (c *conn) runtimeRates(t map[string]string, n *inspect.Node) {
	in, out := c.s.svc.Rates()
	put, get := rates(in), rates(out)
	t["putTps"], t["getFoundTps"], t["getTotalTps"], t["getMissTps"] = put, get, get, "0 0 0"
	t["getTransferredTps"], t["getTransferedTps"] = get, get
	t["msgPutTotalTodayNow"], t["msgGetTotalTodayNow"] = strconv.FormatInt(n.MessagesIn, 10), strconv.FormatInt(n.MessagesOut, 10)
	t["putMessageTimesTotal"], t["putMessageSizeTotal"] = strconv.FormatInt(n.MessagesIn, 10), strconv.FormatInt(n.BytesIn, 10)
	t["putMessageAverageSize"] = strconv.FormatFloat(float64(n.BytesIn)/float64(max(1, n.MessagesIn)), 'f', 1, 64)
	t["putMessageDistributeTime"] = "[<=0ms]:0 [0~10ms]:0 [10~50ms]:0 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 [500ms~1s]:0 [1~2s]:0 [2~3s]:0 [3~4s]:0 [4~5s]:0 [5~10s]:0 [10s~]:0"
}

// rates prints per-second rates of 10 s, 60 s and 600 s.
func rates(r [3]float64) string { return fmt.Sprintf("%.2f %.2f %.2f", r[0], r[1], r[2]) }

func portOf(hostPort string) string {
	_, port, _ := net.SplitHostPort(hostPort)
	return port
}
