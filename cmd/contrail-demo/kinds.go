package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	rmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const (
	reminders = "reminders"
	points    = "points"
)

// number is what stands behind the last dash of an order's key; -1: nothing.
func number(key string) int {
	n, err := strconv.Atoi(key[strings.LastIndexByte(key, '-')+1:])
	if err != nil {
		return -1
	}
	return n
}

// remind has the customer of an order that is not paid be reminded, between ten and ninety seconds from now. Every third one pays before:
// his reminder is cancelled.
func (s *shop) remind(ctx context.Context, key string) {
	due := time.Now().Add(10*time.Second + rand.N(80*time.Second)).UnixMilli()
	b, err := json.Marshal(map[string]any{"order": key, "text": "you forgot something"})
	if err != nil {
		s.complain("reminder", err)
		return
	}
	m := primitive.NewMessage(reminders, b).WithTag("reminder").WithKeys([]string{key})
	m.WithProperty("TIMER_DELIVER_MS", strconv.FormatInt(due, 10))
	r, err := s.producers[0].SendSync(ctx, m)
	if err != nil {
		s.complain("reminder", err)
		return
	}
	if number(key)%3 == 0 {
		time.AfterFunc(5*time.Second, func() { s.forget(r.MsgID, due) })
	}
}

// forget cancels a reminder: a message that names it and its due time.
func (s *shop) forget(id string, due int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m := primitive.NewMessage(reminders, []byte("0"))
	m.WithProperty("TIMER_DELIVER_MS", strconv.FormatInt(due, 10))
	m.WithProperty("TIMER_DEL_UNIQKEY", reminders+"+"+id)
	if _, err := s.producers[0].SendSync(ctx, m); err != nil {
		s.complain("reminder not cancelled", err)
	}
}

// crm reads the reminders.
func (s *shop) crm() error {
	c, err := s.consumer("crm", "crm-1", reminders, "*", func(string, []byte) error { return nil })
	if err == nil {
		s.onStop(c.Shutdown)
	}
	return err
}

// errAddress is why an invoice cannot be written.
var errAddress = errors.New("the customer's address is not known")

// invoicing writes invoices for paid orders. One of twenty needs a second try. One of a hundred can never be written: after two more
// tries, a second apart, it is a dead letter, until somebody resends it.
func (s *shop) invoicing() error {
	c, err := rmq.NewPushConsumer(consumer.WithNameServer(s.nameServers()), consumer.WithGroupName("invoicing"), consumer.WithInstance("invoicing-1"),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithMaxReconsumeTimes(2), consumer.WithTrace(s.trace()))
	if err != nil {
		return fmt.Errorf("consumer invoicing: %w", err)
	}
	err = c.Subscribe(orders, consumer.MessageSelector{Type: consumer.TAG, Expression: "paid"},
		func(ctx context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			if concurrent, ok := primitive.GetConcurrentlyCtx(ctx); ok {
				concurrent.DelayLevelWhenNextConsume = 1
			}
			for _, m := range msgs {
				n := number(m.GetKeys())
				if m.GetProperty("CONTRAIL_RESENT_FROM") != "" { // who resends has asked the customer
					continue
				}
				if n%100 == 50 || n%20 == 0 && m.ReconsumeTimes == 0 {
					return consumer.ConsumeRetryLater, errAddress
				}
			}
			return consumer.ConsumeSuccess, nil
		})
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return fmt.Errorf("consumer invoicing: %w", err)
	}
	s.onStop(c.Shutdown)
	return nil
}

// bank decides whether points are credited: most at once, some when the broker asks what became of them.
type bank struct{}

// ExecuteLocalTransaction implements primitive.TransactionListener.
func (bank) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	switch number(m.GetKeys()) % 5 {
	case 0:
		return primitive.UnknowState
	case 1:
		return primitive.RollbackMessageState
	}
	return primitive.CommitMessageState
}

// CheckLocalTransaction implements primitive.TransactionListener.
func (bank) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	if number(m.GetKeys())%2 == 0 {
		return primitive.CommitMessageState
	}
	return primitive.RollbackMessageState
}

// credit sends a customer's points for every second paid order, in a transaction with the bank's books.
func (s *shop) credit(ctx context.Context) error {
	p, err := rmq.NewTransactionProducer(bank{}, producer.WithNameServer(s.nameServers()), producer.WithGroupName("points-bank"),
		producer.WithInstanceName("points-bank"), producer.WithRetry(2))
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		return fmt.Errorf("producer points-bank: %w", err)
	}
	s.onStop(p.Shutdown)
	c, err := s.consumer("points", "points-1", points, "*", func(string, []byte) error { return nil })
	if err != nil {
		return err
	}
	s.onStop(c.Shutdown)
	go func() {
		for n := 0; ctx.Err() == nil; n++ {
			key := fmt.Sprintf("points-%d", n)
			m := primitive.NewMessage(points, fmt.Appendf(nil, `{"points":%d}`, rand.IntN(200))).WithTag("credit").WithKeys([]string{key})
			if _, err := p.SendMessageInTransaction(ctx, m); err != nil && ctx.Err() == nil {
				s.complain("points", err)
			}
			wait(ctx, 3*time.Second)
		}
	}()
	return nil
}
