// Command goclient is the unmodified Go client against a name server: goclient ADDRESS SCENARIO PREFIX. Exit code 0 says that
// all checks held. It is a module of its own, so that the client's dependencies stay out of the product.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

const patience = 60 * time.Second

type suite struct{ address, prefix string }

func main() {
	rlog.SetLogLevel("error")
	s := suite{os.Args[1], os.Args[3]}
	scenarios := map[string][]func(){
		"all":          {s.sends, s.compressed, s.tags, s.broadcast, s.rebalance, s.pull},
		"consumers":    {s.sql, s.requests},
		"delays":       {s.delayed, s.retried},
		"transactions": {s.transactions},
		"first-half":   {s.firstHalf},
		"second-half":  {s.secondHalf},
	}
	check(scenarios[os.Args[2]] != nil, "no scenario %s", os.Args[2])
	for _, run := range scenarios[os.Args[2]] {
		run()
	}
	fmt.Println("OK", os.Args[2])
}

func check(ok bool, format string, args ...any) {
	if !ok {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
		os.Exit(1)
	}
}

func must(err error, what string) { check(err == nil, "%s: %v", what, err) }

func await(what string, done func() bool) {
	for end := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		check(time.Now().Before(end), "not within %s: %s", patience, what)
	}
}

// bag counts bodies.
type bag struct {
	mu   sync.Mutex
	seen map[string]int
}

func newBag() *bag { return &bag{seen: map[string]int{}} }

func (b *bag) add(body string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[body]++
}

func (b *bag) has(body string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[body] > 0
}

func (b *bag) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.seen)
}

func (s suite) producer(group string) rmq.Producer {
	p, err := rmq.NewProducer(producer.WithNameServer([]string{s.address}), producer.WithGroupName(s.prefix+group),
		producer.WithInstanceName(s.prefix+group), producer.WithSendMsgTimeout(10*time.Second))
	must(err, "new producer")
	must(p.Start(), "start producer")
	return p
}

func (s suite) consumer(group, instance, topic, tags string, model consumer.MessageModel, into *bag) rmq.PushConsumer {
	c, err := rmq.NewPushConsumer(consumer.WithNameServer([]string{s.address}), consumer.WithGroupName(s.prefix+group),
		consumer.WithInstance(s.prefix+instance), consumer.WithConsumerModel(model),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	must(err, "new consumer")
	must(c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: tags},
		func(_ context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range msgs {
				into.add(string(m.Body))
			}
			return consumer.ConsumeSuccess, nil
		}), "subscribe")
	must(c.Start(), "start consumer")
	return c
}

func message(topic, tag, body string) *primitive.Message {
	return primitive.NewMessage(topic, []byte(body)).WithTag(tag).WithKeys([]string{"key-" + body[:min(len(body), 40)]})
}

func send(p rmq.Producer, msgs ...*primitive.Message) *primitive.SendResult {
	r, err := p.SendSync(context.Background(), msgs...)
	must(err, "send")
	check(r.Status == primitive.SendOK, "status %v", r.Status)
	return r
}

// sends: sync, async, one-way and batch; every message is consumed.
func (s suite) sends() {
	topic, p := s.prefix+"go-sends", s.producer("go-p-sends")
	defer p.Shutdown()
	expected := newBag()
	for i := range 20 {
		r := send(p, message(topic, "t", fmt.Sprint("sync", i)))
		check(r.OffsetMsgID != "" && r.MsgID != "" && r.MessageQueue.Topic == topic, "result %v", r)
		expected.add(fmt.Sprint("sync", i))
	}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Add(1)
		must(p.SendAsync(context.Background(), func(_ context.Context, r *primitive.SendResult, err error) {
			must(err, "async send")
			wg.Done()
		}, message(topic, "t", fmt.Sprint("async", i))), "async send")
		expected.add(fmt.Sprint("async", i))
	}
	wg.Wait()
	for i := range 20 {
		must(p.SendOneWay(context.Background(), message(topic, "t", fmt.Sprint("oneway", i))), "one-way send")
		expected.add(fmt.Sprint("oneway", i))
	}
	var batch []*primitive.Message
	for i := range 50 {
		batch = append(batch, message(topic, "t", fmt.Sprint("batch", i)))
		expected.add(fmt.Sprint("batch", i))
	}
	r := send(p, batch...)
	check(len(strings.Split(r.OffsetMsgID, ",")) == 50, "batch of 50 has ids %s", r.OffsetMsgID)
	seen := newBag()
	c := s.consumer("go-g-sends", "go-c-sends", topic, "*", consumer.Clustering, seen)
	defer c.Shutdown()
	await("all kinds of sends are consumed", func() bool { return seen.size() >= expected.size() })
	for body := range expected.seen {
		check(seen.has(body), "%s was not consumed", body)
	}
}

// compressed: a body over the client's threshold comes back as it was.
func (s suite) compressed() {
	topic, p := s.prefix+"go-compressed", s.producer("go-p-compressed")
	defer p.Shutdown()
	body := strings.Repeat("0123456789abcdef", 4096)
	send(p, message(topic, "t", body))
	seen := newBag()
	c := s.consumer("go-g-compressed", "go-c-compressed", topic, "*", consumer.Clustering, seen)
	defer c.Shutdown()
	await("a compressed message", func() bool { return seen.has(body) })
}

// tags: a subscription gets its tags and nothing else.
func (s suite) tags() {
	topic, p := s.prefix+"go-tags", s.producer("go-p-tags")
	defer p.Shutdown()
	for i := range 60 {
		send(p, message(topic, []string{"a", "b", "c"}[i%3], fmt.Sprint("m", i)))
	}
	seen := newBag()
	c := s.consumer("go-g-tags", "go-c-tags", topic, "a || c", consumer.Clustering, seen)
	defer c.Shutdown()
	await("tagged messages", func() bool { return seen.size() >= 40 })
	send(p, message(topic, "a", "last"))
	await("the last one", func() bool { return seen.has("last") })
	check(seen.size() == 41 && !seen.has("m1"), "the tag filter let %d through", seen.size())
}

// broadcast: every consumer gets every message.
func (s suite) broadcast() {
	topic, p := s.prefix+"go-broadcast", s.producer("go-p-broadcast")
	defer p.Shutdown()
	send(p, message(topic, "t", "makes the topic"))
	one, two := newBag(), newBag()
	a := s.consumer("go-g-broadcast", "go-c-broadcast-a", topic, "*", consumer.BroadCasting, one)
	defer a.Shutdown()
	b := s.consumer("go-g-broadcast", "go-c-broadcast-b", topic, "*", consumer.BroadCasting, two)
	defer b.Shutdown()
	await("both are there", func() bool {
		send(p, message(topic, "t", "probe"))
		return one.has("probe") && two.has("probe")
	})
	for i := range 40 {
		send(p, message(topic, "t", fmt.Sprint("m", i)))
	}
	for i := range 40 {
		await("both have all", func() bool { return one.has(fmt.Sprint("m", i)) && two.has(fmt.Sprint("m", i)) })
	}
}

// rebalance: one joins and one leaves while messages flow; nothing is lost.
func (s suite) rebalance() {
	topic, p := s.prefix+"go-rebalance", s.producer("go-p-rebalance")
	defer p.Shutdown()
	send(p, message(topic, "t", "first"))
	one, two, n := newBag(), newBag(), 0
	a := s.consumer("go-g-rebalance", "go-c-rebalance-a", topic, "*", consumer.Clustering, one)
	await("the first consumer works", func() bool { return one.has("first") })
	b := s.consumer("go-g-rebalance", "go-c-rebalance-b", topic, "*", consumer.Clustering, two)
	defer b.Shutdown()
	flow := func(count int) {
		for range count {
			send(p, message(topic, "t", fmt.Sprint("r", n)))
			n++
		}
	}
	await("both have queues", func() bool { flow(8); return one.size() > 10 && two.size() > 10 })
	must(a.Shutdown(), "shut down")
	flow(40)
	await("nothing is lost", func() bool {
		for i := range n {
			if body := fmt.Sprint("r", i); !one.has(body) && !two.has(body) {
				return false
			}
		}
		return true
	})
}

// pull: the pull consumer reads from an offset of its own choice.
func (s suite) pull() {
	topic, p := s.prefix+"go-pull", s.producer("go-p-pull")
	defer p.Shutdown()
	for i := range 12 {
		send(p, message(topic, "t", fmt.Sprint("m", i)))
	}
	c, err := rmq.NewPullConsumer(consumer.WithNameServer([]string{s.address}), consumer.WithGroupName(s.prefix+"go-g-pull"),
		consumer.WithInstance(s.prefix+"go-c-pull"))
	must(err, "new pull consumer")
	must(c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}), "subscribe")
	must(c.Start(), "start pull consumer")
	defer c.Shutdown()
	seen := newBag()
	for queue := range 4 {
		mq := &primitive.MessageQueue{Topic: topic, BrokerName: "broker-a", QueueId: queue}
		r, err := c.PullFrom(context.Background(), mq, 0, 32)
		must(err, "pull")
		for _, m := range r.GetMessageExts() {
			seen.add(string(m.Body))
		}
	}
	check(seen.size() == 12, "pulled %d of 12", seen.size())
}

// sql: a consumer gets exactly what matches.
func (s suite) sql() {
	topic, p := s.prefix+"go-sql", s.producer("go-p-sql")
	defer p.Shutdown()
	put := func(n int) {
		m := message(topic, []string{"even", "odd"}[n%2], fmt.Sprint("m", n))
		m.WithProperty("n", fmt.Sprint(n))
		send(p, m)
	}
	for n := range 100 {
		put(n)
	}
	c, err := rmq.NewPushConsumer(consumer.WithNameServer([]string{s.address}), consumer.WithGroupName(s.prefix+"go-g-sql"),
		consumer.WithInstance(s.prefix+"go-c-sql"), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	must(err, "new consumer")
	seen := newBag()
	selector := consumer.MessageSelector{Type: consumer.SQL92, Expression: "n BETWEEN 10 AND 29 AND TAGS = 'even' OR n > 1000"}
	must(c.Subscribe(topic, selector, func(_ context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range msgs {
			seen.add(string(m.Body))
		}
		return consumer.ConsumeSuccess, nil
	}), "subscribe")
	must(c.Start(), "start consumer")
	defer c.Shutdown()
	await("what matches", func() bool { return seen.size() >= 10 })
	put(101)
	put(1001)
	await("what matches of what comes", func() bool { return seen.has("m1001") })
	check(seen.size() == 11 && seen.has("m10") && seen.has("m28"), "the filter let %d through", seen.size())
}

// requests: a request is answered by who consumes it, from the first one on: its client has told the broker nothing of itself by then.
func (s suite) requests() {
	topic, asks, answers := s.prefix+"go-requests", s.producer("go-p-asks"), s.producer("go-p-answers")
	defer asks.Shutdown()
	defer answers.Shutdown()
	send(answers, message(topic, "t", "makes the topic"))
	c, err := rmq.NewPushConsumer(consumer.WithNameServer([]string{s.address}), consumer.WithGroupName(s.prefix+"go-g-answers"),
		consumer.WithInstance(s.prefix+"go-c-answers"), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	must(err, "new consumer")
	must(c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "question"},
		func(_ context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range msgs {
				reply, err := consumer.CreateReplyMessage(m, nil)
				must(err, "create reply")
				reply.Body = []byte("answer to " + string(m.Body)) // CreateReplyMessage puts a body nowhere
				send(answers, reply)
			}
			return consumer.ConsumeSuccess, nil
		}), "subscribe")
	must(c.Start(), "start consumer")
	defer c.Shutdown()
	for i := range 20 {
		m := message(topic, "question", fmt.Sprint("q", i))
		reply, err := asks.Request(context.Background(), 30*time.Second, m)
		must(err, "request")
		check(string(reply.Body) == fmt.Sprint("answer to q", i), "reply %q", reply.Body)
	}
}

// firstHalf: what was consumed before the broker and the client stop.
func (s suite) firstHalf() {
	topic, p := s.prefix+"go-halves", s.producer("go-p-halves")
	for i := range 100 {
		send(p, message(topic, "t", fmt.Sprint("before", i)))
	}
	seen := newBag()
	c := s.consumer("go-g-halves", "go-c-halves", topic, "*", consumer.Clustering, seen)
	await("the first half", func() bool { return seen.size() == 100 })
	must(c.Shutdown(), "shut down")
	for i := range 20 {
		send(p, message(topic, "t", fmt.Sprint("between", i)))
	}
	must(p.Shutdown(), "shut down")
}

// secondHalf: after a restart of both, only what was not consumed comes.
func (s suite) secondHalf() {
	topic, p := s.prefix+"go-halves", s.producer("go-p-halves2")
	for i := range 20 {
		send(p, message(topic, "t", fmt.Sprint("after", i)))
	}
	seen := newBag()
	c := s.consumer("go-g-halves", "go-c-halves2", topic, "*", consumer.Clustering, seen)
	defer c.Shutdown()
	await("the second half", func() bool { return seen.size() >= 40 })
	for body := range seen.seen {
		check(!strings.HasPrefix(body, "before"), "%s was consumed again: offsets were not kept", body)
	}
}
