package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const (
	orders, payments, shipments = "orders", "payments", "shipments"
	openPatience                = 30 * time.Second
)

// shop is the producers and consumers of all services; each has a client of its own, as services have.
type shop struct {
	nameServer string
	producers  [3]rmq.Producer // web, billing, shipping

	mu      sync.Mutex
	stops   []func() error
	failed  int
	started time.Time
}

func (s *shop) onStop(f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stops = append(s.stops, f)
}

// nameServers are the addresses, given as RocketMQ writes them: with semicolons between.
func (s *shop) nameServers() []string { return strings.Split(s.nameServer, ";") }

// open starts the producers and makes the topics, because a group that begins before its topic exists would wait for its
// client's next look at the routes.
func (s *shop) open() error {
	s.started = time.Now()
	for i, group := range []string{"web-shop", "billing-out", "shipping-out"} {
		p, err := rmq.NewProducer(producer.WithNameServer(s.nameServers()), producer.WithGroupName(group),
			producer.WithInstanceName(group), producer.WithRetry(2), producer.WithTrace(s.trace()))
		if err != nil {
			return fmt.Errorf("producer %s: %w", group, err)
		}
		if err := p.Start(); err != nil {
			return fmt.Errorf("producer %s: %w", group, err)
		}
		s.producers[i] = p
		s.onStop(p.Shutdown)
	}
	for _, t := range []struct {
		producer int
		topic    string
	}{{0, orders}, {1, payments}, {2, shipments}, {0, reminders}, {0, points}} {
		if err := s.first(t.producer, t.topic); err != nil {
			return err
		}
	}
	return nil
}

func (s *shop) trace() *primitive.TraceConfig {
	return &primitive.TraceConfig{
		Access: primitive.Local, TraceTopic: "", NamesrvAddrs: s.nameServers(), GroupName: "shop",
	}
}

// first sends until the broker is there.
func (s *shop) first(producer int, topic string) error {
	var err error
	for end := time.Now().Add(openPatience); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if err = s.send(producer, topic, "opened", "shop", map[string]any{"shop": "opened"}); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no broker behind name server %s: %w", s.nameServer, err)
}

func (s *shop) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.stops) - 1; i >= 0; i-- {
		if err := s.stops[i](); err != nil {
			fmt.Fprintln(os.Stderr, "contrail-demo: stop:", err)
		}
	}
}

func (s *shop) send(producer int, topic, tag, key string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = s.producers[producer].SendSync(ctx, primitive.NewMessage(topic, b).WithTag(tag).WithKeys([]string{key}))
	return err
}

// complain says that the broker refuses, at the first failure and then now and then.
func (s *shop) complain(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed++; s.failed%50 == 1 {
		fmt.Fprintf(os.Stderr, "contrail-demo: %s (failure %d): %v\n", what, s.failed, err)
	}
}

// sell sends orders until ctx ends.
func (s *shop) sell(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := time.Now().Unix() % 1_000_000 * 10; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		tag := []string{"paid", "new", "paid", "cancelled"}[n%4]
		key := fmt.Sprintf("order-%d", n)
		err := s.send(0, orders, tag, key, map[string]any{
			"order": key, "state": tag, "customer": fmt.Sprintf("customer-%d", rand.IntN(500)), "total": float64(rand.IntN(30000)) / 100,
			"items": rand.IntN(5) + 1,
		})
		if err != nil {
			s.complain("order not sent", err)
		} else if tag == "new" {
			s.remind(ctx, key)
		}
	}
}

// consumer starts a push consumer whose f is given each message's key and body.
func (s *shop) consumer(group, instance, topic, tags string, f func(key string, body []byte) error) (rmq.PushConsumer, error) {
	c, err := rmq.NewPushConsumer(consumer.WithNameServer(s.nameServers()), consumer.WithGroupName(group),
		consumer.WithInstance(instance), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumeGoroutineNums(1), consumer.WithPullThresholdForQueue(4), consumer.WithTrace(s.trace()))
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", group, err)
	}
	err = c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: tags},
		func(_ context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range msgs {
				if err := f(m.GetKeys(), m.Body); err != nil {
					s.complain(group, err)
				}
			}
			return consumer.ConsumeSuccess, nil
		})
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", group, err)
	}
	return c, nil
}

// billing takes paid orders and sends payments.
func (s *shop) billing() error {
	c, err := s.consumer("billing", "billing-1", orders, "paid || opened", func(key string, body []byte) error {
		time.Sleep(time.Duration(5+rand.IntN(20)) * time.Millisecond)
		return s.send(1, payments, "captured", key, map[string]any{"order": key, "captured": true, "bytes": len(body)})
	})
	if err == nil {
		s.onStop(c.Shutdown)
	}
	return err
}

// shipping is too slow in two minutes out of four.
func (s *shop) shipping() error {
	c, err := s.consumer("shipping", "shipping-1", payments, "*", func(key string, _ []byte) error {
		pack := 100 * time.Millisecond
		if time.Since(s.started)%(4*time.Minute) < 2*time.Minute {
			pack = 900 * time.Millisecond
		}
		time.Sleep(pack)
		return s.send(2, shipments, "packed", key, map[string]any{"order": key, "packedIn": pack.String()})
	})
	if err == nil {
		s.onStop(c.Shutdown)
	}
	return err
}

// loyalty comes and goes.
func (s *shop) loyalty(ctx context.Context) {
	for n := 1; ctx.Err() == nil; n++ {
		c, err := s.consumer("loyalty", fmt.Sprintf("loyalty-%d", n), orders, "*", func(string, []byte) error { return nil })
		if err != nil {
			s.complain("loyalty", err)
		}
		wait(ctx, 25*time.Second)
		if err == nil {
			if err := c.Shutdown(); err != nil {
				s.complain("loyalty leaves", err)
			}
		}
		wait(ctx, 20*time.Second)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
