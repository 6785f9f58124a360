package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

const (
	lanes     = 8
	sendEvery = 10 * time.Millisecond // of each lane
)

// ledger is what was acknowledged and what was consumed.
type ledger struct {
	mu       sync.Mutex
	acked    map[string]bool
	consumed map[string]int
	failed   int
	why      string
	last     time.Time
	gap      time.Duration // the longest time without an acknowledgement
}

// failover sends from several lanes, and consumes, until a line comes in, while brokers fail. Nothing that was acknowledged may be missing.
func (s *suite) failover() {
	topic := s.prefix + "normal"
	l := &ledger{acked: map[string]bool{}, consumed: map[string]int{}}
	c, err := rmq.NewPushConsumer(s.config(s.prefix+"g-failover"), rmq.WithPushAwaitDuration(5*time.Second), rmq.WithPushSubscriptionExpressions(map[string]*rmq.FilterExpression{topic: rmq.SUB_ALL}),
		rmq.WithPushMessageListener(&rmq.FuncMessageListener{Consume: func(m *rmq.MessageView) rmq.ConsumerResult {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.consumed[string(m.GetBody())]++
			return rmq.SUCCESS
		}}))
	must(err, "push consumer")
	must(c.Start(), "start of the push consumer")
	p := s.producer(rmq.WithTopics(topic))
	stop := make(chan struct{})
	var running sync.WaitGroup
	for lane := range lanes {
		running.Go(func() { l.send(p, topic, lane, stop) })
	}
	fmt.Println("runs")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	close(stop)
	running.Wait()
	await("all that was acknowledged", func() bool { return len(l.missing()) == 0 })
	l.mu.Lock()
	defer l.mu.Unlock()
	again := 0
	for _, n := range l.consumed {
		again += n - 1
	}
	fmt.Printf("%d acknowledged, %d tries failed after the client's own (%s), %d consumed again, longest gap %v\n", len(l.acked), l.failed, l.why, again, l.gap.Round(time.Millisecond))
}

// send sends one message after the other; what fails is sent again.
func (l *ledger) send(p rmq.Producer, topic string, lane int, stop chan struct{}) {
	for n := 0; ; n++ {
		body := fmt.Sprintf("%d-%d", lane, n)
		for {
			select {
			case <-stop:
				return
			case <-time.After(sendEvery):
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			began := time.Now()
			_, err := p.Send(ctx, message(topic, body))
			cancel()
			if os.Getenv("VERBOSE") != "" && time.Since(began) > time.Second {
				fmt.Fprintf(os.Stderr, "%s lane %d: %v after %v\n", time.Now().Format("05.000"), lane, err, time.Since(began))
			}
			if l.took(body, err) {
				break
			}
		}
	}
}

func (l *ledger) took(body string, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed++
		l.why = err.Error()
		return false
	}
	if now := time.Now(); !l.last.IsZero() {
		l.gap, l.last = max(l.gap, now.Sub(l.last)), now
	} else {
		l.last = now
	}
	l.acked[body] = true
	return true
}

func (l *ledger) missing() (bodies []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for body := range l.acked {
		if l.consumed[body] == 0 {
			bodies = append(bodies, body)
		}
	}
	return bodies
}
