package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/notes"
)

// brokerList is this node's members of broker groups; it grows while the node runs. The configured ones are first.
type brokerList struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*broker] // the slice never changes
}

func (l *brokerList) all() []*broker {
	if p := l.list.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *brokerList) first() *broker {
	if all := l.all(); len(all) > 0 {
		return all[0]
	}
	return nil
}

func (l *brokerList) find(name string) *broker {
	for _, b := range l.all() {
		if b.name == name {
			return b
		}
	}
	return nil
}

func (l *brokerList) add(b *broker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	grown := append(l.all()[:len(l.all()):len(l.all())], b)
	l.list.Store(&grown)
}

func (b *broker) onStop(f func(context.Context) error) { b.stops = append(b.stops, f) }

func (b *broker) stop(ctx context.Context) (err error) {
	for i := len(b.stops) - 1; i >= 0; i-- {
		err = errors.Join(err, b.stops[i](ctx))
	}
	b.stops = nil
	return err
}

// stopBrokers stops the members in the opposite order of their start.
func (n *node) stopBrokers(ctx context.Context) (err error) {
	all := n.brokers.all()
	for i := len(all) - 1; i >= 0; i-- {
		err = errors.Join(err, all[i].stop(ctx))
	}
	return err
}

// progress notes how far a change is.
func (b *broker) progress(p inspect.ChangeProgress) {
	b.notes.NoteHappening(&notes.Happening{
		AtMicros: time.Now().UnixMicro(), Kind: p.Kind, Text: p.Text, Count: 1, Detail: progressDetail(b.name, p),
	})
}
