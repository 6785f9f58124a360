package service

import (
	"context"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/vfs"
)

// Queues go in two steps, as in RocketMQ, and not before what they hold was read.
func TestQueuesThatAreNotReadStay(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	put := func(read, write int32) *Error {
		x := catalog.NewTopic("orders", read)
		x.WriteQueues = write
		if err := s.CheckQueues(x); err != nil {
			return err
		}
		return s.PutTopic(context.Background(), x)
	}
	commit := func(at int64) {
		ch := make(chan *Error, 1)
		s.CommitOffset(entry.Offset{Group: "g", Topic: "orders", QueueID: 3, Offset: at}, func(err *Error) { ch <- err })
		if err := <-ch; err != nil {
			t.Fatal(err)
		}
	}
	refuses := func(read, write int32, why string) {
		t.Helper()
		if err := put(read, write); err == nil || err.Code != CodeInvalidParameter || !strings.Contains(err.Text, why) {
			t.Fatalf("%d read, %d write: %v; want %s", read, write, err, why)
		}
	}
	if err := put(4, 4); err != nil {
		t.Fatal(err)
	}
	c := NewClient(addr, "remoting")
	for range 2 {
		ok(t, send(t, s, c, header("orders", "x", 3), "m"))
	}
	commit(1)
	refuses(2, 4, "what goes to queue 2 would not be read")
	refuses(2, 2, "reduce the write queues to 2 first")
	if err := put(4, 2); err != nil {
		t.Fatal(err)
	}
	refuses(2, 2, "group g has not read 1 messages of queue 3")
	commit(2)
	if err := put(2, 2); err != nil {
		t.Fatal(err)
	}
	if err := put(6, 6); err != nil {
		t.Fatal(err)
	}
	if at, err := s.QueryOffset("g", "orders", 3, true); err != nil || at != 2 {
		t.Fatalf("after more queues again: %d %v", at, err)
	}
}
