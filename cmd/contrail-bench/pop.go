package main

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/wire"
)

// How popped messages are acknowledged.
type acking int

const (
	noPop   acking = iota // they are pulled
	ackEach               // one request for each, all of a pop in flight at once
	ackAll                // one request for all of a pop
)

const popConns = 16

// popAll pops a topic's messages and acknowledges them, over several connections with one pop in flight each. When a group has had them
// all, the next group begins.
func popAll(addr, topic string, batch int, how acking, measuring *atomic.Bool, stop chan struct{}) (*result, error) {
	var wg sync.WaitGroup
	var round atomic.Int64
	results, errs := make([]result, popConns), make([]error, popConns)
	for i := range popConns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := &popConn{topic: topic, batch: batch, how: how, round: &round, measuring: measuring}
			errs[i] = c.run(addr, stop, &results[i])
		}()
	}
	wg.Wait()
	total := &result{}
	for i := range popConns {
		if errs[i] != nil {
			return nil, fmt.Errorf("pop from %s: %w", addr, errs[i])
		}
		total.messages += results[i].messages
		total.latencies.merge(&results[i].latencies)
	}
	return total, nil
}

type popConn struct {
	topic     string
	batch     int
	how       acking
	round     *atomic.Int64
	measuring *atomic.Bool

	conn net.Conn
	in   answers
	out  []byte
}

func (c *popConn) run(addr string, stop chan struct{}, r *result) (err error) {
	if c.conn, err = net.Dial("tcp", addr); err != nil {
		return err
	}
	defer c.conn.Close()
	c.in = answers{conn: c.conn}
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		began, round := time.Now(), c.round.Load()
		n, err := c.once("bench_pop_" + strconv.FormatInt(round, 10))
		if err != nil {
			return err
		}
		if n == 0 {
			c.round.CompareAndSwap(round, round+1)
		} else if c.measuring.Load() {
			r.messages += uint64(n)
			r.latencies.add(time.Since(began))
		}
	}
}

// once pops, and waits until what came is acknowledged.
func (c *popConn) once(group string) (n int, err error) {
	w := wire.Request(c.out[:0], wire.JSON, 1, wire.PopMessage)
	for _, f := range [][2]string{
		{"consumerGroup", group}, {"topic", c.topic}, {"queueId", "-1"}, {"maxMsgNums", strconv.Itoa(c.batch)}, {"invisibleTime", "60000"},
		{"pollTime", "100"}, {"bornTime", strconv.FormatInt(time.Now().UnixMilli(), 10)}, {"initMode", "0"}, {"expType", "TAG"}, {"exp", "*"}, {"order", "false"},
	} {
		w.String(f[0], f[1])
	}
	c.out = w.End(0)
	var asked int
	if err = c.ask(1, func(f *wire.Frame) error {
		if f.Code != 0 && f.Code != 209 && f.Code != 210 {
			return fmt.Errorf("pop: code %d %s", f.Code, f.Remark)
		}
		n, asked, err = c.acks(group, f)
		return err
	}); err != nil || n == 0 {
		return 0, err
	}
	return n, c.ask(asked, func(f *wire.Frame) error {
		if f.Code != 0 {
			return fmt.Errorf("ack: code %d %s", f.Code, f.Remark)
		}
		return nil
	})
}

// ask writes c.out and hands n answers over.
func (c *popConn) ask(n int, each func(*wire.Frame) error) error {
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	for n > 0 {
		if err := c.in.next(func(f *wire.Frame) error { n--; return each(f) }); err != nil {
			return err
		}
	}
	return nil
}

// acks makes the requests that acknowledge the n messages of an answer. The topic's queues come one after the other.
func (c *popConn) acks(group string, f *wire.Frame) (n, requests int, err error) {
	starts := map[int32]string{}
	for _, one := range splitInfo(f.String("startOffsetInfo")) {
		starts[one.queue] = one.rest
	}
	c.out = c.out[:0]
	batches := map[int32]*batchAck{}
	var order []int32
	for b := f.Body; len(b) > 0; n++ {
		v, err := message.Parse(b)
		if err != nil {
			return n, 0, err
		}
		b = b[len(v):]
		q, offset := v.QueueID(), v.QueueOffset()
		if c.how == ackEach {
			handle := fmt.Sprintf("%s %s %s %s 0 broker-a %d %d", starts[q], f.Get("popTime"), f.Get("invisibleTime"), f.Get("reviveQid"), q, offset)
			w := wire.Request(c.out, wire.JSON, int32(n), wire.AckMessage)
			for _, field := range [][2]string{
				{"consumerGroup", group}, {"topic", c.topic}, {"queueId", strconv.Itoa(int(q))}, {"extraInfo", handle}, {"offset", strconv.FormatInt(offset, 10)},
			} {
				w.String(field[0], field[1])
			}
			c.out = w.End(0)
			continue
		}
		a := batches[q]
		if a == nil {
			a = newBatchAck(group, c.topic, q, starts[q], f)
			batches[q], order = a, append(order, q)
		}
		a.set(offset)
	}
	if c.how == ackEach || n == 0 {
		return n, n, nil
	}
	all := make([]*batchAck, 0, len(order))
	for _, q := range order {
		all = append(all, batches[q])
	}
	body, err := json.Marshal(map[string]any{"brokerName": "broker-a", "acks": all})
	if err != nil {
		return n, 0, err
	}
	w := wire.Request(c.out, wire.JSON, 1, wire.BatchAckMessage)
	c.out = append(w.End(len(body)), body...)
	return n, 1, nil
}

// batchAck is RocketMQ's BatchAck.
type batchAck struct {
	Group   string      `json:"c"`
	Topic   string      `json:"t"`
	Retry   string      `json:"r"`
	Start   json.Number `json:"so"`
	QueueID int32       `json:"q"`
	Revive  json.Number `json:"rq"`
	Pop     json.Number `json:"pt"`
	Hidden  json.Number `json:"it"`
	Bits    []byte      `json:"b"`
	start   int64
}

func newBatchAck(group, topic string, q int32, start string, f *wire.Frame) *batchAck {
	n, _ := strconv.ParseInt(start, 10, 64)
	return &batchAck{group, topic, "0", json.Number(start), q, json.Number(f.String("reviveQid")), json.Number(f.String("popTime")), json.Number(f.String("invisibleTime")), nil, n}
}

func (a *batchAck) set(offset int64) {
	bit := int(offset - a.start)
	for len(a.Bits) <= bit/8 {
		a.Bits = append(a.Bits, 0)
	}
	a.Bits[bit/8] |= 1 << (bit % 8)
}

type queueInfo struct {
	queue int32
	rest  string
}

// splitInfo reads "type queue rest;…".
func splitInfo(text string) (out []queueInfo) {
	for one := range strings.SplitSeq(text, ";") {
		parts := strings.Fields(one)
		if len(parts) != 3 {
			continue
		}
		q, _ := strconv.ParseInt(parts[1], 10, 32)
		out = append(out, queueInfo{int32(q), parts[2]})
	}
	return out
}
