package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	rmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// deciding decides by a body's first word, at once or when it is asked.
type deciding struct {
	mu    sync.Mutex
	asked map[string]int
}

func word(m []byte) string { return strings.Split(string(m), "-")[0] }

// ExecuteLocalTransaction implements primitive.TransactionListener.
func (d *deciding) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	switch word(m.Body) {
	case "commit":
		return primitive.CommitMessageState
	case "rollback":
		return primitive.RollbackMessageState
	}
	return primitive.UnknowState
}

// CheckLocalTransaction implements primitive.TransactionListener.
func (d *deciding) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	d.mu.Lock()
	d.asked[string(m.Body)]++
	d.mu.Unlock()
	if word(m.Body) == "later" {
		return primitive.CommitMessageState
	}
	return primitive.RollbackMessageState
}

func (d *deciding) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked)
}

// transactions: committed and rolled back at once, and when the producer is asked.
func (s suite) transactions() {
	topic, d, seen := s.prefix+"go-txn", &deciding{asked: map[string]int{}}, newBag()
	p, err := rmq.NewTransactionProducer(d, producer.WithNameServer([]string{s.address}), producer.WithGroupName(s.prefix+"go-p-txn"),
		producer.WithInstanceName(s.prefix+"go-p-txn"))
	must(err, "new producer")
	must(p.Start(), "start producer")
	defer p.Shutdown()
	for i := range 5 {
		for _, w := range []string{"commit", "rollback", "later", "regret"} {
			_, err := p.SendMessageInTransaction(context.Background(), message(topic, "t", fmt.Sprint(w, "-", i)))
			must(err, "send in transaction")
		}
	}
	c := s.consumer("go-g-txn", "go-g-txn", topic, "*", consumer.Clustering, seen)
	defer c.Shutdown()
	await("committed messages", func() bool { return seen.size() == 10 && d.count() == 10 })
	for i := range 5 {
		check(seen.has(fmt.Sprint("commit-", i)) && seen.has(fmt.Sprint("later-", i)), "seen %v", seen.seen)
	}
	for body, times := range d.asked {
		check(times == 1, "%s was asked about %d times", body, times)
	}
}
