package service

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// Whatever clients do at once with one queue, each record in the log can be applied: pops in order and not, acks in time, late, twice and
// invented, changes, revivals, messages sent back, resets, and a group that is deleted meanwhile. A record that cannot would stop the member.
func TestEverythingAtOnce(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs, "log", quick)
	c := NewClient(addr, "remoting")
	orders(t, s, c, 200)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() { storm(t, s, rand.New(rand.NewPCG(7, uint64(i))), fmt.Sprint("g", i%3)) })
	}
	clients.Wait()
	if err := s.Shard().Failed(); err != nil {
		t.Fatal(err)
	}
	want := s.Shard().Deliveries().Counts()
	if want.Popped == 0 || want.Acked == 0 || want.Changed == 0 || want.SentBacks == 0 {
		t.Errorf("counts %+v", want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fs, "log", quick) // all of it again, from the log
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func storm(t *testing.T, s *Service, rnd *rand.Rand, group string) {
	c, ctx := NewClient(addr, "remoting"), context.Background()
	ours := func(r *PopRequest) { r.Group = group }
	var got []gotten
	for range 150 {
		switch op := rnd.IntN(100); {
		case op < 40:
			change := invisible(1 + rnd.Int64N(40))
			r := popping(c, 1+rnd.Int32N(8), change, waiting(rnd.Int64N(20)), ours)
			if op < 8 {
				r.Order, r.Attempt = true, fmt.Sprint(rnd.IntN(3))
			}
			if a := popOnce(s, r); a.Code == CodeSuccess {
				got = append(got, handles(t, a)...)
				a.Release()
			}
		case op < 80 && len(got) > 0:
			g := got[rnd.IntN(len(got))]
			r := g.ack(c)
			if r.Group = group; g.topic != "orders" {
				r.Topic = PopRetryTopic("orders", group)
			}
			if op < 45 {
				r.Handle = Handle{rnd.Int64N(200), 1 + rnd.Int64N(1<<42), 1000, 0, popNormal, "broker-a", 0, r.Offset}.String()
			}
			if op < 60 {
				_ = ackOne(s, r)
			} else {
				_, _ = changeOne(s, &ChangeRequest{*r, 1 + rnd.Int64N(30)})
			}
		case op < 90 && len(got) > 0:
			ch := make(chan *Error, 1)
			s.SendBack(c, &Back{Group: group, Position: got[rnd.IntN(len(got))].v.Position(), DelayLevel: 1, MaxReconsumeTimes: -1}, func(err *Error) { ch <- err })
			<-ch
		case op < 98:
			_, _ = s.ResetOffsets(ResetRequest{Group: group, Topic: "orders", QueueID: 0, Offset: rnd.Int64N(200), By: "test"})
		default:
			_ = s.DeleteGroup(ctx, group)
		}
	}
}
