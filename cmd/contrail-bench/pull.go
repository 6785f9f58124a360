package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/wire"
)

// consume pulls a topic's queues from the beginning, again and again, one connection and one request in flight for each queue.
func consume(addr, topic string, queues, batch int, measuring *atomic.Bool, stop chan struct{}) (*result, error) {
	var wg sync.WaitGroup
	results, errs := make([]result, queues), make([]error, queues)
	for q := range queues {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[q] = pullConn(addr, topic, q, batch, measuring, stop, &results[q])
		}()
	}
	wg.Wait()
	total := &result{}
	for q := range queues {
		if errs[q] != nil {
			return nil, fmt.Errorf("queue %d of %s: %w", q, addr, errs[q])
		}
		total.messages += results[q].messages
		total.latencies.merge(&results[q].latencies)
	}
	return total, nil
}

func pullConn(addr, topic string, queue, batch int, measuring *atomic.Bool, stop chan struct{}, r *result) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := answers{conn: conn}
	var out []byte
	offset, total := int64(0), uint64(0)
	for {
		select {
		case <-stop:
			if total == 0 {
				return fmt.Errorf("queue %d of topic %s gave no message", queue, topic)
			}
			return nil
		default:
		}
		out = pullRequest(out[:0], topic, queue, batch, offset)
		began := time.Now()
		if _, err := conn.Write(out); err != nil {
			return err
		}
		for answered := false; !answered; {
			if err := in.next(func(f *wire.Frame) error {
				answered = true
				n, err := pulled(f, &offset)
				total += n
				if err == nil && measuring.Load() && n > 0 {
					r.messages += n
					r.latencies.add(time.Since(began))
				}
				return err
			}); err != nil {
				return err
			}
		}
	}
}

// pulled counts the messages of an answer and moves on; at the end of the queue it begins again.
func pulled(f *wire.Frame, offset *int64) (n uint64, err error) {
	switch f.Code {
	case 0:
		for b := f.Body; len(b) > 4; n++ {
			size := int(binary.BigEndian.Uint32(b))
			if size < 4 || size > len(b) {
				return n, fmt.Errorf("message of %d bytes in %d", size, len(b))
			}
			b = b[size:]
		}
		*offset, err = f.Int("nextBeginOffset", 0)
		return n, err
	case 19, 20, 21:
		*offset = 0
		return 0, nil
	}
	return 0, fmt.Errorf("pull: code %d %s", f.Code, f.Remark)
}

func pullRequest(dst []byte, topic string, queue, batch int, offset int64) []byte {
	return pullFrom(dst, topic, queue, batch, offset, 4, 0)
}

// pullFrom also says the sysFlag (1 commit the offset, 2 may be held, 4 subscription given) and how long it may be held, ms.
func pullFrom(dst []byte, topic string, queue, batch int, offset int64, sysFlag, suspend int) []byte {
	w := wire.Request(dst, wire.Binary, 1, wire.PullMessage)
	for _, f := range pullFields(topic, queue, batch, offset, sysFlag, suspend) {
		w.String(f[0], f[1])
	}
	return w.End(0)
}

func pullFields(topic string, queue, batch int, offset int64, sysFlag, suspend int) [][2]string {
	return [][2]string{
		{"consumerGroup", "bench_consumer"}, {"topic", topic}, {"queueId", strconv.Itoa(queue)}, {"queueOffset", strconv.FormatInt(offset, 10)},
		{"maxMsgNums", strconv.Itoa(batch)}, {"sysFlag", strconv.Itoa(sysFlag)}, {"commitOffset", strconv.FormatInt(offset, 10)},
		{"suspendTimeoutMillis", strconv.Itoa(suspend)},
		{"subscription", "*"}, {"subVersion", "0"}, {"expressionType", "TAG"},
	}
}
