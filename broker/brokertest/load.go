package brokertest

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// Acked is a message whose send was answered with success.
type Acked struct {
	ID            string
	Queue, Offset int64
}

// Load sends messages with one request in flight on each connection and keeps what was acknowledged.
type Load struct {
	Addr, Topic string
	Conns       int

	mu     sync.Mutex
	acked  []Acked
	sent   atomic.Int64
	number atomic.Int64
}

// Queues of the load's topic.
const Queues = 4

// Run sends until stop is closed; a connection that fails is dialled again.
func (l *Load) Run(stop chan struct{}) {
	var wg sync.WaitGroup
	for i := range l.Conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			l.conn(i, stop)
		}()
	}
	wg.Wait()
}

func (l *Load) conn(i int, stop chan struct{}) {
	c := rpc.Client{Addr: l.Addr, Timeout: 10 * time.Second}
	defer c.Close()
	for {
		select {
		case <-stop:
			return
		default:
		}
		id := fmt.Sprintf("7F00000100002A9F%016X", l.number.Add(1))
		l.sent.Add(1)
		f, err := c.Do(wire.SendMessageV2, []rpc.Field{
			{Name: "a", Value: "load"}, {Name: "b", Value: l.Topic}, {Name: "c", Value: "TBW102"}, {Name: "d", Value: strconv.Itoa(Queues)},
			{Name: "e", Value: strconv.Itoa(i % Queues)}, {Name: "f", Value: "0"}, {Name: "g", Value: strconv.FormatInt(time.Now().UnixMilli(), 10)},
			{Name: "h", Value: "0"}, {Name: "i", Value: "UNIQ_KEY\x01" + id + "\x02KEYS\x01key-" + id + "\x02"},
		}, make([]byte, 200))
		if err != nil {
			time.Sleep(5 * time.Millisecond) // the broker is being killed
			continue
		}
		if f.Code != 0 {
			continue
		}
		queue, _ := f.Int("queueId", -1)
		offset, _ := f.Int("queueOffset", -1)
		l.mu.Lock()
		l.acked = append(l.acked, Acked{id, queue, offset})
		l.mu.Unlock()
	}
}

// Acked is what was acknowledged so far, and Sent how many were tried.
func (l *Load) Acked() []Acked {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked[:len(l.acked):len(l.acked)]
}

// Sent counts the messages that were tried.
func (l *Load) Sent() int64 { return l.sent.Load() }

// Drain reads a queue from its beginning and calls f for each message; offsets must be dense.
func Drain(addr, topic string, queue int64, f func(v message.View) error) (n int64, err error) {
	c := rpc.Client{Addr: addr, Timeout: 20 * time.Second}
	defer c.Close()
	for {
		a, err := c.Do(wire.PullMessage, []rpc.Field{
			{Name: "consumerGroup", Value: "brokertest-drain"}, {Name: "topic", Value: topic}, {Name: "queueId", Value: strconv.FormatInt(queue, 10)},
			{Name: "queueOffset", Value: strconv.FormatInt(n, 10)}, {Name: "maxMsgNums", Value: "160"}, {Name: "sysFlag", Value: "4"},
			{Name: "commitOffset", Value: "0"}, {Name: "suspendTimeoutMillis", Value: "0"}, {Name: "subscription", Value: "*"}, {Name: "subVersion", Value: "0"},
		}, nil)
		if err != nil {
			return n, err
		}
		if a.Code == 19 {
			return n, nil
		}
		if next, _ := a.Int("nextBeginOffset", 0); a.Code == 21 && n == 0 && next > 0 { // retention took the first ones
			n = next
			continue
		}
		if a.Code != 0 {
			return n, fmt.Errorf("pull of queue %d at %d: code %d %s", queue, n, a.Code, a.Remark)
		}
		for b := a.Body; len(b) > 0; {
			v, err := message.Parse(b)
			if err != nil {
				return n, err
			}
			if v.QueueOffset() != n {
				return n, fmt.Errorf("queue %d: offset %d follows %d", queue, v.QueueOffset(), n-1)
			}
			if err := f(v); err != nil {
				return n, err
			}
			n++
			b = b[len(v):]
		}
	}
}
