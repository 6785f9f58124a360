package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	rmq5 "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
)

// The other half of the shop talks RocketMQ 5's gRPC. Customers send things back (topic returns, in order for each customer; group refunds, which cannot pay some
// back). Vouchers are given for later (topic vouchers; group mailing), and some are taken back before. Gifts (topic gifts; group gifts) are booked in transactions, some of which the
// broker must ask about. Partners read all orders, which are sent by the other protocol.
const (
	returns, vouchers, gifts = "returns", "vouchers", "gifts"

	startPatience = 60 * time.Second
)

// newer is the services that use gRPC.
type newer struct {
	shop     *shop
	endpoint string
}

func (n *newer) config(group string) *rmq5.Config {
	return &rmq5.Config{Endpoint: n.endpoint, ConsumerGroup: group, Credentials: &credentials.SessionCredentials{}}
}

// open starts all services; each goes on until ctx ends.
func (n *newer) open(ctx context.Context) error {
	_ = os.Setenv(rmq5.CLIENT_LOG_LEVEL, "error")
	rmq5.ResetLogger()
	checker := &rmq5.TransactionChecker{Check: func(*rmq5.MessageView) rmq5.TransactionResolution { return rmq5.COMMIT }}
	p, err := rmq5.NewProducer(n.config(""), rmq5.WithTopics(returns, vouchers, gifts), rmq5.WithTransactionChecker(checker))
	if err != nil {
		return fmt.Errorf("gRPC producer: %w", err)
	}
	if err := p.Start(); err != nil {
		return fmt.Errorf("gRPC producer: %w", err)
	}
	n.shop.onStop(p.GracefulStop)
	for _, c := range []struct {
		group, topic string
		took         time.Duration
		failsAt      int // one in so many can never be done; 0: none
	}{{"refunds", returns, 30 * time.Millisecond, 25}, {"mailing", vouchers, 10 * time.Millisecond, 0}, {"gifts", gifts, 10 * time.Millisecond, 0}, {"partners", orders, time.Millisecond, 0}} {
		if err := n.consumer(c.group, c.topic, c.took, c.failsAt); err != nil {
			return err
		}
	}
	for _, f := range []func(context.Context, rmq5.Producer, int) error{n.sendBack, n.give, n.book} {
		go n.again(ctx, p, f)
	}
	return nil
}

// again has one thing happen now and then.
func (n *newer) again(ctx context.Context, p rmq5.Producer, f func(context.Context, rmq5.Producer, int) error) {
	for i := int(time.Now().Unix() % 1_000_000 * 10); ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(500+rand.IntN(1500)) * time.Millisecond):
		}
		if err := f(ctx, p, i); err != nil && ctx.Err() == nil {
			n.shop.complain("by gRPC", err)
		}
	}
}

func messageOf(topic, key string, body map[string]any) (*rmq5.Message, error) {
	b, err := json.Marshal(body)
	m := &rmq5.Message{Topic: topic, Body: b}
	m.SetKeys(key)
	m.SetTag("shop")
	return m, err
}

// sendBack is a customer's return: those of one customer are in order.
func (n *newer) sendBack(ctx context.Context, p rmq5.Producer, i int) error {
	customer := fmt.Sprintf("customer-%d", i%20)
	m, err := messageOf(returns, fmt.Sprintf("return-%d", i), map[string]any{"return": i, "customer": customer})
	if err == nil {
		m.SetMessageGroup(customer)
		_, err = p.Send(ctx, m)
	}
	return err
}

// give is a voucher for later; one in four is taken back before.
func (n *newer) give(ctx context.Context, p rmq5.Producer, i int) error {
	m, err := messageOf(vouchers, fmt.Sprintf("voucher-%d", i), map[string]any{"voucher": i})
	if err != nil {
		return err
	}
	m.SetDelayTimestamp(time.Now().Add(time.Duration(20+rand.IntN(100)) * time.Second))
	sent, err := p.Send(ctx, m)
	if err == nil && i%4 == 0 {
		_, err = p.Recall(ctx, vouchers, sent[0].RecallHandle)
	}
	return err
}

// book is a gift in a transaction: most are committed, some rolled back, and some left to the broker's question.
func (n *newer) book(ctx context.Context, p rmq5.Producer, i int) error {
	m, err := messageOf(gifts, fmt.Sprintf("gift-%d", i), map[string]any{"gift": i})
	if err != nil {
		return err
	}
	tx := p.BeginTransaction()
	if _, err = p.SendWithTransaction(ctx, m, tx); err != nil {
		return err
	}
	switch i % 10 {
	case 0:
		return tx.RollBack()
	case 1: // it forgets
		return nil
	}
	return tx.Commit()
}

// consumer is a push consumer that takes its time and fails at some messages, again and again.
func (n *newer) consumer(group, topic string, took time.Duration, failsAt int) error {
	c, err := rmq5.NewPushConsumer(n.config(group), rmq5.WithPushAwaitDuration(10*time.Second), rmq5.WithPushConsumptionThreadCount(2),
		rmq5.WithPushSubscriptionExpressions(map[string]*rmq5.FilterExpression{topic: rmq5.SUB_ALL}),
		rmq5.WithPushMessageListener(&rmq5.FuncMessageListener{Consume: func(m *rmq5.MessageView) rmq5.ConsumerResult {
			time.Sleep(took)
			if failsAt > 0 && len(m.GetBody()) > 0 && hash(m.GetKeys())%failsAt == 0 {
				return rmq5.FAILURE
			}
			return rmq5.SUCCESS
		}}))
	if err != nil {
		return fmt.Errorf("gRPC consumer %s: %w", group, err)
	}
	for end := time.Now().Add(startPatience); ; time.Sleep(time.Second) { // orders are made by the other half
		if err = c.Start(); err == nil {
			n.shop.onStop(c.GracefulStop)
			return nil
		}
		if time.Now().After(end) {
			return errors.Join(fmt.Errorf("gRPC consumer %s", group), err)
		}
	}
}

func hash(keys []string) (h int) {
	for _, k := range keys {
		for _, b := range []byte(k) {
			h = (h*31 + int(b)) & 0xFFFF
		}
	}
	return h
}
