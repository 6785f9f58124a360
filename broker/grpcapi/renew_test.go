package grpcapi

import (
	"context"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/service"
)

// leased is a handle whose renewal is due at once.
func leased(millis int64) service.Handle {
	return service.Handle{PopMillis: millis, InvisibleMillis: 1, Type: "0", Broker: "broker-a"}
}

func renewing(t *testing.T) (*renewals, *client, *renewal) {
	t.Helper()
	b := start(t)
	l, c := &renewals{}, &client{s: b.server, id: "c"}
	l.init()
	l.add(c, b.member, "billing", "orders", "receipt", leased(time.Now().UnixMilli()))
	due := l.due(time.Now())
	if len(due) != 1 {
		t.Fatalf("%d are due", len(due))
	}
	return l, c, due[0]
}

// TestWhatIsBeingRenewedIsSettledByItsNewHandle: an ack by the old one would be taken, and have no effect.
func TestWhatIsBeingRenewedIsSettledByItsNewHandle(t *testing.T) {
	l, _, r := renewing(t)
	type held struct {
		h       service.Handle
		release func(bool)
		ok      bool
	}
	got := make(chan held)
	go func() {
		h, release, ok := l.hold(context.Background(), "receipt", "billing", "orders")
		got <- held{h, release, ok}
	}()
	select {
	case k := <-got:
		t.Fatalf("it did not wait: %+v", k)
	case <-time.After(20 * time.Millisecond):
	}
	l.renewed(r, service.Changed{PopMillis: 7, InvisibleMillis: 60_000}, nil)
	k := <-got
	if !k.ok || k.h.PopMillis != 7 {
		t.Fatalf("%+v", k)
	}
	if due := l.due(time.Now().Add(time.Hour)); len(due) != 0 {
		t.Error("it is renewed while it is being settled")
	}
	k.release(false)
	if due := l.due(time.Now().Add(time.Hour)); len(due) != 1 {
		t.Error("what was not settled is not renewed any more")
	}
}

func TestWhatIsSettledIsNotRenewed(t *testing.T) {
	l, _, r := renewing(t)
	l.renewed(r, service.Changed{PopMillis: time.Now().UnixMilli(), InvisibleMillis: 60_000}, nil)
	for _, other := range [][2]string{{"audit", "orders"}, {"billing", "payments"}} {
		if _, _, ok := l.hold(context.Background(), "receipt", other[0], other[1]); ok {
			t.Errorf("held for %v", other)
		}
	}
	_, release, _ := l.hold(context.Background(), "receipt", "billing", "orders")
	release(true)
	if _, _, ok := l.hold(context.Background(), "receipt", "billing", "orders"); ok || len(l.of) != 0 || len(l.order) != 0 {
		t.Errorf("it is kept: %d, %d", len(l.of), len(l.order))
	}
}

// A renewal that fails is tried again while the lease lasts; when the message is not leased by the handle any more it is over.
func TestRenewalsThatFail(t *testing.T) {
	l, c, r := renewing(t)
	r.handle = service.Handle{PopMillis: time.Now().UnixMilli(), InvisibleMillis: 60_000}
	l.renewed(r, service.Changed{}, service.Refuse(service.CodeSystemBusy, "busy"))
	due := l.due(time.Now().Add(2 * renewEvery))
	if len(due) != 1 {
		t.Fatalf("busy ended it: %d are due", len(due))
	}
	l.renewed(due[0], service.Changed{}, service.Refuse(service.CodeNoMessage, "not in flight"))
	if len(l.by)+len(l.order)+len(l.of) != 0 {
		t.Error("what is not leased any more is renewed")
	}
	l.add(c, r.m, "billing", "orders", "another", leased(0))
	l.drop(c)
	c.gone.Store(true)
	l.add(c, r.m, "billing", "orders", "late", leased(0))
	if len(l.by)+len(l.order)+len(l.of) != 0 {
		t.Error("messages of a client that is gone are renewed")
	}
}
