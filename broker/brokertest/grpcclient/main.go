// Command grpcclient is the unmodified Go client of RocketMQ 5 against a broker's gRPC port: grpcclient ENDPOINT SCENARIO PREFIX. Topics PREFIXnormal,
// PREFIXfifo, PREFIXdelay and PREFIXtxn of these types must exist, and group PREFIXg-fifo, which consumes in order. Exit code 0 says that all checks held. It is
// a module of its own, so that the client's dependencies stay out of the product.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
)

const patience = 90 * time.Second

type suite struct{ endpoint, prefix string }

func main() {
	os.Setenv(rmq.CLIENT_LOG_LEVEL, "error")
	rmq.ResetLogger()
	s := suite{os.Args[1], os.Args[3]}
	scenarios := map[string][]func(){
		"normal":       {s.normal, s.refusals},
		"fifo":         {s.fifo},
		"delays":       {s.delays},
		"transactions": {s.transactions},
		"push":         {s.push},
		"failover":     {s.failover},
	}
	scenarios["all"] = slices.Concat(scenarios["normal"], scenarios["fifo"], scenarios["delays"], scenarios["transactions"], scenarios["push"])
	check(scenarios[os.Args[2]] != nil, "no scenario %s", os.Args[2])
	rmq.EnableSsl = os.Getenv("PLAINTEXT") == ""
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

func (s *suite) config(group string) *rmq.Config {
	return &rmq.Config{Endpoint: s.endpoint, ConsumerGroup: group, Credentials: &credentials.SessionCredentials{}}
}

func (s *suite) producer(options ...rmq.ProducerOption) rmq.Producer {
	p, err := rmq.NewProducer(s.config(""), options...)
	must(err, "producer")
	must(p.Start(), "start of the producer")
	return p
}

func (s *suite) simple(group, topic string, filter *rmq.FilterExpression) rmq.SimpleConsumer {
	c, err := rmq.NewSimpleConsumer(s.config(s.prefix+group), rmq.WithSimpleAwaitDuration(5*time.Second), rmq.WithSimpleSubscriptionExpressions(map[string]*rmq.FilterExpression{topic: filter}))
	must(err, "simple consumer")
	must(c.Start(), "start of the simple consumer")
	return c
}

func message(topic, body string) *rmq.Message {
	m := &rmq.Message{Topic: topic, Body: []byte(body)}
	m.SetKeys("key-" + body)
	return m
}

// receive takes what comes, until there are n messages, without acknowledging.
func receive(c rmq.SimpleConsumer, n int, invisible time.Duration) (got []*rmq.MessageView) {
	await(fmt.Sprintf("%d messages", n), func() bool {
		list, err := c.Receive(context.Background(), 32, invisible)
		var e *rmq.ErrRpcStatus
		if errors.As(err, &e) && e.Code == 40401 {
			return len(got) >= n
		}
		must(err, "receive")
		got = append(got, list...)
		return len(got) >= n
	})
	return got
}

func ackAll(c rmq.SimpleConsumer, list []*rmq.MessageView) {
	for _, m := range list {
		must(c.Ack(context.Background(), m), "ack")
	}
}

func bodies(list []*rmq.MessageView) (all []string) {
	for _, m := range list {
		all = append(all, string(m.GetBody()))
	}
	slices.Sort(all)
	return all
}

// normal: contents and properties come as they were sent; tags and SQL filter; what is not acknowledged comes again after its time, and no sooner.
func (s *suite) normal() {
	topic := s.prefix + "normal"
	p := s.producer(rmq.WithTopics(topic))
	defer p.GracefulStop()
	all := s.simple("g-all", topic, rmq.SUB_ALL)
	defer all.GracefulStop()
	tagged := s.simple("g-tag", topic, rmq.NewFilterExpression("a||b"))
	defer tagged.GracefulStop()
	sql := s.simple("g-sql", topic, rmq.NewFilterExpressionWithType("n > 5 AND color = 'red'", rmq.SQL92))
	defer sql.GracefulStop()
	var want, wantTagged, wantSQL []string
	for i := range 12 {
		body := fmt.Sprintf("m%02d", i)
		m := message(topic, body)
		m.SetTag([]string{"a", "b", "c"}[i%3])
		m.AddProperty("n", fmt.Sprint(i))
		m.AddProperty("color", []string{"red", "blue"}[i%2])
		r, err := p.Send(context.Background(), m)
		must(err, "send")
		check(len(r) == 1 && r[0].MessageID != "" && r[0].TransactionId == r[0].MessageID, "receipt %+v", r)
		want = append(want, body)
		if i%3 < 2 {
			wantTagged = append(wantTagged, body)
		}
		if i > 5 && i%2 == 0 {
			wantSQL = append(wantSQL, body)
		}
	}
	began := time.Now()
	got := receive(all, 12, 10*time.Second)
	check(slices.Equal(bodies(got), want), "received %q", bodies(got))
	for _, m := range got {
		body := string(m.GetBody())
		check(m.GetProperties()["n"] == strings.TrimLeft(body[1:], "0") || body == "m00" && m.GetProperties()["n"] == "0", "%s has properties %v", body, m.GetProperties())
		check(m.GetTopic() == topic && len(m.GetKeys()) == 1 && m.GetKeys()[0] == "key-"+body && m.GetDeliveryAttempt() == 1 && m.GetTag() != nil, "%s: %+v", body, m)
	}
	ackAll(all, got[:6])
	must(all.ChangeInvisibleDuration(got[6], 10*time.Second), "change")
	again := receive(all, 6, 15*time.Second)
	check(time.Since(began) >= 10*time.Second, "came again after %s", time.Since(began))
	check(slices.Equal(bodies(again), bodies(got[6:])), "again %q, not acknowledged were %q", bodies(again), bodies(got[6:]))
	for _, m := range again {
		check(m.GetDeliveryAttempt() == 2, "attempt %d", m.GetDeliveryAttempt())
	}
	ackAll(all, again)
	list := receive(tagged, len(wantTagged), 15*time.Second)
	check(slices.Equal(bodies(list), wantTagged), "by tag %q", bodies(list))
	ackAll(tagged, list)
	list = receive(sql, len(wantSQL), 15*time.Second)
	check(slices.Equal(bodies(list), wantSQL), "by SQL %q", bodies(list))
	ackAll(sql, list)
}

func refused(err error, code int32, what string) {
	var e *rmq.ErrRpcStatus
	check(errors.As(err, &e) && e.Code == code, "%s: %v, expected %d", what, err, code)
}

// refusals are those that the broker makes.
func (s *suite) refusals() {
	topic := s.prefix + "normal"
	p := s.producer(rmq.WithTopics(topic), rmq.WithMaxAttempts(1))
	defer p.GracefulStop()
	for _, c := range []struct {
		what   string
		code   int32
		change func(*rmq.Message)
	}{
		{"tag with |", 40004, func(m *rmq.Message) { m.SetTag("a|b") }},
		{"blank key", 40005, func(m *rmq.Message) { m.SetKeys(" ") }},
		{"no body", 41302, func(m *rmq.Message) { m.Body = nil }},
		{"the broker's property", 40007, func(m *rmq.Message) { m.AddProperty("UNIQ_KEY", "x") }},
		{"large properties", 43101, func(m *rmq.Message) { m.AddProperty("x", strings.Repeat("x", 17<<10)) }},
		{"many properties", 43101, func(m *rmq.Message) {
			for i := range 129 {
				m.AddProperty(fmt.Sprint("p", i), "x")
			}
		}},
	} {
		m := message(topic, "refused")
		c.change(m)
		_, err := p.Send(context.Background(), m)
		refused(err, c.code, c.what)
	}
	c := s.simple("g-refused", topic, rmq.SUB_ALL)
	defer c.GracefulStop()
	for _, d := range []time.Duration{time.Second, 13 * time.Hour} {
		_, err := c.Receive(context.Background(), 1, d)
		refused(err, 40011, d.String())
	}
	unknown, err := rmq.NewProducer(s.config(""), rmq.WithTopics(s.prefix+"unknown"))
	must(err, "producer")
	check(unknown.Start() != nil, "a producer of an unknown topic starts")
}

// fifo: the messages of a group come in the order in which they were sent.
func (s *suite) fifo() {
	topic := s.prefix + "fifo"
	p := s.producer(rmq.WithTopics(topic))
	defer p.GracefulStop()
	for i := range 20 {
		m := message(topic, fmt.Sprintf("%d-%02d", i%2, i))
		m.SetMessageGroup(fmt.Sprint("group-", i%2))
		_, err := p.Send(context.Background(), m)
		must(err, "send")
	}
	var mu sync.Mutex
	seen := map[string][]string{}
	count := 0
	c, err := rmq.NewPushConsumer(s.config(s.prefix+"g-fifo"), rmq.WithPushAwaitDuration(5*time.Second), rmq.WithPushSubscriptionExpressions(map[string]*rmq.FilterExpression{topic: rmq.SUB_ALL}),
		rmq.WithPushMessageListener(&rmq.FuncMessageListener{Consume: func(m *rmq.MessageView) rmq.ConsumerResult {
			mu.Lock()
			defer mu.Unlock()
			g := *m.GetMessageGroup()
			seen[g] = append(seen[g], string(m.GetBody()))
			count++
			return rmq.SUCCESS
		}}))
	must(err, "push consumer")
	must(c.Start(), "start of the push consumer")
	await("20 in order", func() bool { mu.Lock(); defer mu.Unlock(); return count >= 20 })
	c.GracefulStop()
	for g, list := range seen {
		check(len(list) == 10 && slices.IsSorted(list), "%s came as %q", g, list)
	}
	check(len(seen) == 2, "groups %v", seen)
}

// delays: never early; a recalled one never comes.
func (s *suite) delays() {
	topic := s.prefix + "delay"
	p := s.producer(rmq.WithTopics(topic))
	defer p.GracefulStop()
	c := s.simple("g-delay", topic, rmq.SUB_ALL)
	defer c.GracefulStop()
	due := map[string]time.Time{}
	for i := range 4 {
		body := fmt.Sprint("d", i)
		m := message(topic, body)
		due[body] = time.Now().Add(time.Duration(2+i) * time.Second)
		m.SetDelayTimestamp(due[body])
		r, err := p.Send(context.Background(), m)
		must(err, "send")
		check(r[0].RecallHandle != "", "no recall handle: %+v", r[0])
		if i == 3 {
			recalled, err := p.Recall(context.Background(), topic, r[0].RecallHandle)
			must(err, "recall")
			check(recalled == r[0].MessageID, "recalled %s, sent %s", recalled, r[0].MessageID)
			_, err = p.Recall(context.Background(), topic, r[0].RecallHandle)
			refused(err, 50001, "recall again")
		}
	}
	got := receive(c, 3, 15*time.Second)
	for _, m := range got {
		check(!time.Now().Before(due[string(m.GetBody())].Truncate(time.Millisecond)), "%s came early", m.GetBody())
	}
	check(slices.Equal(bodies(got), []string{"d0", "d1", "d2"}), "received %q", bodies(got))
	ackAll(c, got)
	if list, err := c.Receive(context.Background(), 1, 15*time.Second); err == nil {
		check(false, "the recalled one came, or something else: %q", bodies(list))
	}
}

// transactions: committed ones come, rolled back ones never, undecided ones are asked about.
func (s *suite) transactions() {
	topic := s.prefix + "txn"
	var mu sync.Mutex
	asked := map[string]int{}
	p := s.producer(rmq.WithTopics(topic), rmq.WithTransactionChecker(&rmq.TransactionChecker{Check: func(m *rmq.MessageView) rmq.TransactionResolution {
		mu.Lock()
		defer mu.Unlock()
		body := string(m.GetBody())
		asked[body]++
		switch {
		case body == "orphan-commit" && asked[body] > 1: // the first time it does not know yet
			return rmq.COMMIT
		case body == "orphan-rollback":
			return rmq.ROLLBACK
		}
		return rmq.UNKNOWN
	}}))
	defer p.GracefulStop()
	for _, body := range []string{"commit", "rollback", "orphan-commit", "orphan-rollback"} {
		tx := p.BeginTransaction()
		_, err := p.SendWithTransaction(context.Background(), message(topic, body), tx)
		must(err, "send")
		switch body {
		case "commit":
			must(tx.Commit(), "commit")
		case "rollback":
			must(tx.RollBack(), "rollback")
		}
	}
	c := s.simple("g-txn", topic, rmq.SUB_ALL)
	defer c.GracefulStop()
	got := receive(c, 2, time.Minute) // longer than it takes until all are decided: neither comes twice
	check(slices.Equal(bodies(got), []string{"commit", "orphan-commit"}), "received %q", bodies(got))
	ackAll(c, got)
	await("the question about the one that is rolled back", func() bool { mu.Lock(); defer mu.Unlock(); return asked["orphan-rollback"] > 0 })
	mu.Lock()
	defer mu.Unlock()
	check(asked["orphan-commit"] == 2 && asked["orphan-rollback"] == 1 && asked["commit"] == 0 && asked["rollback"] == 0, "asked %v", asked)
}

// push: what fails comes again with its attempts counted, and is a dead letter after the last one. The group's policy is that of PREFIXg-push.
func (s *suite) push() {
	topic := s.prefix + "normal"
	p := s.producer(rmq.WithTopics(topic))
	defer p.GracefulStop()
	var mu sync.Mutex
	attempts := map[string][]int32{}
	c, err := rmq.NewPushConsumer(s.config(s.prefix+"g-push"), rmq.WithPushAwaitDuration(5*time.Second), rmq.WithPushSubscriptionExpressions(map[string]*rmq.FilterExpression{topic: rmq.NewFilterExpression("push")}),
		rmq.WithPushMessageListener(&rmq.FuncMessageListener{Consume: func(m *rmq.MessageView) rmq.ConsumerResult {
			mu.Lock()
			defer mu.Unlock()
			body := string(m.GetBody())
			attempts[body] = append(attempts[body], m.GetDeliveryAttempt())
			if body == "poison" || body == "once" && m.GetDeliveryAttempt() == 1 {
				return rmq.FAILURE
			}
			return rmq.SUCCESS
		}}))
	must(err, "push consumer")
	must(c.Start(), "start of the push consumer")
	defer c.GracefulStop()
	for _, body := range []string{"good", "once", "poison"} {
		m := message(topic, body)
		m.SetTag("push")
		_, err := p.Send(context.Background(), m)
		must(err, "send")
	}
	await("three attempts of the poison", func() bool { mu.Lock(); defer mu.Unlock(); return len(attempts["poison"]) >= 3 })
	await("the second of the other", func() bool { mu.Lock(); defer mu.Unlock(); return len(attempts["once"]) >= 2 })
	dead := "%DLQ%" + s.prefix + "g-push"
	await("the topic of dead letters, which is made with the first", func() bool {
		probe, err := rmq.NewProducer(s.config(""), rmq.WithTopics(dead))
		must(err, "producer")
		if probe.Start() != nil {
			return false
		}
		return probe.GracefulStop() == nil
	})
	letters := s.simple("g-dead", dead, rmq.SUB_ALL)
	defer letters.GracefulStop()
	got := receive(letters, 1, 15*time.Second)
	check(len(got) == 1 && string(got[0].GetBody()) == "poison", "dead letters %q", bodies(got))
	ackAll(letters, got)
	mu.Lock()
	defer mu.Unlock()
	check(slices.Equal(attempts["good"], []int32{1}) && slices.Equal(attempts["once"], []int32{1, 2}) && slices.Equal(attempts["poison"], []int32{1, 2, 3}), "attempts %v", attempts)
}
