package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// lateMax is how late a message may come on a busy machine; never may it come early.
const lateMax = 5 * time.Second

// came is the messages that a consumer got, by body and attempt.
type came struct {
	mu   sync.Mutex
	msgs map[string]*primitive.MessageExt
	at   map[string]time.Time
}

func newCame() *came {
	return &came{msgs: map[string]*primitive.MessageExt{}, at: map[string]time.Time{}}
}

func (c *came) add(key string, m *primitive.MessageExt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	check(c.msgs[key] == nil, "%s came twice", key)
	c.msgs[key], c.at[key] = m, time.Now()
}

func (c *came) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.msgs)
}

// delayed: levels and times; each message comes once, never before it is due.
func (s suite) delayed() {
	topic, p := s.prefix+"go-delayed", s.producer("go-p-delayed")
	defer p.Shutdown()
	due, seen := map[string]time.Time{}, newCame()
	send(p, message(topic, "t", "now"))
	for level, d := range []time.Duration{0, time.Second, 5 * time.Second} {
		if level == 0 {
			continue
		}
		body := fmt.Sprint("level", level)
		due[body] = time.Now().Add(d)
		send(p, message(topic, "t", body).WithDelayTimeLevel(level))
	}
	for i := range 10 {
		m, at := message(topic, "t", fmt.Sprint("at", i)), time.Now().Add(time.Duration(1500+211*i)*time.Millisecond)
		m.WithProperty("TIMER_DELIVER_MS", fmt.Sprint(at.UnixMilli()))
		due[fmt.Sprint("at", i)] = at
		send(p, m)
	}
	c := s.keeping("go-g-delayed", topic, 16, func(m *primitive.MessageExt) consumer.ConsumeResult {
		seen.add(string(m.Body), m)
		return consumer.ConsumeSuccess
	})
	defer c.Shutdown()
	await("delayed messages", func() bool { return seen.size() == len(due)+1 })
	for body, at := range due {
		m := seen.msgs[body]
		late := time.Duration(m.StoreTimestamp-at.UnixMilli()) * time.Millisecond
		check(late >= 0 && late < lateMax, "%s came %s late", body, late)
		check(m.Topic == topic && m.GetKeys() == "key-"+body && m.GetTags() == "t", "came as %v", m)
	}
}

// retried: what fails is consumed again at the levels that the client names, and then is a dead letter.
func (s suite) retried() {
	topic, p := s.prefix+"go-poison", s.producer("go-p-poison")
	defer p.Shutdown()
	seen, dead := newCame(), newCame()
	sent := send(p, message(topic, "t", "poison"))
	c := s.keeping("go-g-poison", topic, 2, func(m *primitive.MessageExt) consumer.ConsumeResult {
		seen.add(fmt.Sprint(m.ReconsumeTimes), m)
		return consumer.ConsumeRetryLater
	})
	defer c.Shutdown()
	await("attempts", func() bool { return seen.size() == 3 })
	for i := 1; i <= 2; i++ {
		m := seen.msgs[fmt.Sprint(i)]
		waited := time.Duration(m.StoreTimestamp-seen.at[fmt.Sprint(i-1)].UnixMilli()) * time.Millisecond
		check(waited >= time.Second-10*time.Millisecond && waited < time.Second+lateMax, "attempt %d came after %s", i, waited)
		check(m.MsgId == sent.MsgID && m.GetProperty("ORIGIN_MESSAGE_ID") == sent.OffsetMsgID, "attempt %v", m)
	}
	time.Sleep(time.Second) // the client knows topics that exist when it starts
	d := s.keeping("go-g-dead", "%DLQ%"+s.prefix+"go-g-poison", 16, func(m *primitive.MessageExt) consumer.ConsumeResult {
		dead.add(string(m.Body), m)
		return consumer.ConsumeSuccess
	})
	defer d.Shutdown()
	await("the dead letter", func() bool { return dead.size() == 1 })
	m := dead.msgs["poison"]
	check(m != nil && m.ReconsumeTimes == 3 && m.GetProperty("RETRY_TOPIC") == topic, "dead letter %v", m)
}

// keeping is a push consumer whose failed messages wait one second each time.
func (s suite) keeping(group, topic string, retries int32, on func(*primitive.MessageExt) consumer.ConsumeResult) rmq.PushConsumer {
	c, err := rmq.NewPushConsumer(consumer.WithNameServer([]string{s.address}), consumer.WithGroupName(s.prefix+group),
		consumer.WithInstance(s.prefix+group), consumer.WithMaxReconsumeTimes(retries), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	must(err, "new consumer")
	must(c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "*"},
		func(ctx context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			if concurrent, ok := primitive.GetConcurrentlyCtx(ctx); ok {
				concurrent.DelayLevelWhenNextConsume = 1
			}
			result := consumer.ConsumeSuccess
			for _, m := range msgs {
				result = on(m)
			}
			return result, nil
		}), "subscribe")
	must(c.Start(), "start consumer")
	return c
}
