package service

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/vfs"
)

// rocketLevels are RocketMQ's delay levels as its documents write them.
const rocketLevels = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"

// lies is the message at an offset of queue 0, when everybody waits for the clock; nil: there is none.
func lies(t *testing.T, s *Service, topic string, offset int64) message.View {
	t.Helper()
	synctest.Wait()
	r := pullOnce(s, &PullRequest{Client: NewClient(addr, "remoting"), Group: "reader", Topic: topic, Offset: offset, MaxMessages: 2})
	if r.Code == CodePullNotFound || r.Code == CodeTopicNotExist {
		return nil
	}
	if r.Code != CodeSuccess || r.Messages != 1 {
		t.Fatalf("%s/0 at %d: code %d %s, %d messages", topic, offset, r.Code, r.Remark, r.Messages)
	}
	v, err := message.Parse(slices.Clone(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// comesAt waits by the clock for a message that is due at a moment: a millisecond before, it is not there, and then it is.
func comesAt(t *testing.T, s *Service, topic string, offset, due int64) message.View {
	t.Helper()
	time.Sleep(time.Duration(due-1-time.Now().UnixMilli()) * time.Millisecond)
	if v := lies(t, s, topic, offset); v != nil {
		t.Fatalf("%s/0 %d came %d ms early", topic, offset, due-v.StoreTime())
	}
	time.Sleep(time.Millisecond)
	v := lies(t, s, topic, offset)
	if v == nil {
		t.Fatalf("%s/0 %d did not come when it was due", topic, offset)
	}
	if v.StoreTime() != due {
		t.Fatalf("%s/0 %d came %d ms late", topic, offset, v.StoreTime()-due)
	}
	return v
}

func durations(t *testing.T, words string) (out []time.Duration) {
	t.Helper()
	for _, word := range strings.Fields(words) {
		d, err := time.ParseDuration(word)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// Each of the 18 levels takes its time to the millisecond, whether sent alone or beside the others, and one beyond them takes the last's.
func TestEachDelayLevelTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, vfs.NewMem(), "log")
		defer s.Close()
		c, levels := NewClient(addr, "remoting"), durations(t, rocketLevels)
		levels = append(levels, levels[17]) // level 19
		due := map[int]int64{}
		for i := len(levels) - 1; i >= 0; i-- { // the last first: what waits longest must not be in the way
			h := asking(fmt.Sprint("level", i+1), strconv.Itoa(i+1), "DELAY", strconv.Itoa(i+1))
			before := time.Now().UnixMilli()
			if r := ok(t, send(t, s, c, h, "body")); r.Due != before+levels[i].Milliseconds() {
				t.Fatalf("level %d is due after %d ms, its time is %v", i+1, r.Due-before, levels[i])
			}
			due[i] = before + levels[i].Milliseconds()
			time.Sleep(3 * time.Millisecond)
		}
		order := []int{}
		for i := range levels {
			order = append(order, i)
		}
		slices.SortFunc(order, func(a, b int) int { return int(due[a] - due[b]) })
		for _, i := range order {
			v := comesAt(t, s, fmt.Sprint("level", i+1), 0, due[i])
			if string(v.Body()) != "body" || prop(v, "UNIQ_KEY") != "ID"+strconv.Itoa(i+1) || prop(v, "DELAY") != strconv.Itoa(i+1) {
				t.Errorf("level %d came as %q with %q", i+1, v.Body(), v.Properties())
			}
		}
		if n := s.Shard().Timers().Counts(); n.Scheduled != 19 || n.Fired != 19 || n.Pending() != 0 {
			t.Errorf("counts %+v", n)
		}
	})
}

// What a consumer sends back 16 times comes back at exactly the 16 intervals, though the broker starts again in the middle of each; the 17th
// time it is a dead letter at once, and there is one of everything.
func TestEachRetryTakesItsTimeUntilTheDeadLetter(t *testing.T) {
	for name, restarts := range map[string]bool{"without restarts": false, "with a restart in each wait": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { retries(t, restarts) })
		})
	}
}

func retries(t *testing.T, restarts bool) {
	fs, c := vfs.NewMem(), NewClient(addr, "remoting")
	s := open(t, fs, "log")
	defer func() { s.Close() }()
	if _, err := s.EnsureGroup(context.Background(), "g"); err != nil {
		t.Fatal(err)
	}
	ok(t, send(t, s, c, header("orders", "a", 0), "poison"))
	v := lies(t, s, "orders", 0)
	for attempt, wait := range durations(t, rocketLevels)[2:] {
		ok(t, back(t, s, c, Back{Group: "g", Position: v.Position(), MaxReconsumeTimes: -1}))
		due := time.Now().Add(wait).UnixMilli()
		ok(t, back(t, s, c, Back{Group: "g", Position: v.Position(), MaxReconsumeTimes: -1})) // again: nothing more
		if restarts {
			time.Sleep(wait / 2)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, fs, "log")
		}
		v = comesAt(t, s, "%RETRY%g", int64(attempt), due)
		if v.ReconsumeTimes() != int32(attempt+1) || prop(v, "DELAY") != strconv.Itoa(attempt+3) || prop(v, "RETRY_TOPIC") != "orders" || string(v.Body()) != "poison" {
			t.Fatalf("attempt %d: %d times, %q", attempt+1, v.ReconsumeTimes(), v.Properties())
		}
		if lies(t, s, "%DLQ%g", 0) != nil {
			t.Fatalf("a dead letter after attempt %d", attempt+1)
		}
		time.Sleep(7 * time.Millisecond) // the consumer works
	}
	now := time.Now().UnixMilli()
	ok(t, back(t, s, c, Back{Group: "g", Position: v.Position(), MaxReconsumeTimes: -1}))
	ok(t, back(t, s, c, Back{Group: "g", Position: v.Position(), MaxReconsumeTimes: -1}))
	dead := lies(t, s, "%DLQ%g", 0)
	if dead == nil || dead.ReconsumeTimes() != 17 || dead.StoreTime() != now || prop(dead, "UNIQ_KEY") != "IDa" {
		t.Fatalf("the dead letter is %q", dead)
	}
	time.Sleep(3 * time.Hour)
	if lies(t, s, "%RETRY%g", 16) != nil || lies(t, s, "%DLQ%g", 1) != nil {
		t.Fatal("it came once more")
	}
	if n := s.Shard().Timers().Counts(); n.Scheduled != 16 || n.Fired != 16 || n.Pending() != 0 {
		t.Errorf("counts %+v", n)
	}
}

// Who asks again to cancel what it cancelled before, once the message's time is over, is not told that it was delivered. Nor is who asks for
// what never was.
func TestWhatWasCancelledIsNotSaidToBeDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, vfs.NewMem(), "log")
		defer s.Close()
		c, ctx, handles := NewClient(addr, "remoting"), context.Background(), map[string]string{}
		for _, id := range []string{"first", "cancelled", "comes", "last"} {
			handles[id] = ok(t, send(t, s, c, asking("orders", id, "TIMER_DELAY_MS", "60000"), id)).RecallHandle
		}
		if _, err := s.Recall(ctx, c, "orders", handles["cancelled"]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		handles["never"] = RecallHandle("orders", "broker-a", time.Now().UnixMilli()-1000, "IDnever")
		for id, want := range map[string]string{"cancelled": RecallUnknown, "never": RecallUnknown, "comes": RecallTooLate, "last": RecallTooLate} {
			if _, err := s.Recall(ctx, c, "orders", handles[id]); err == nil || err.Code != CodeIllegalOperation || RecallOutcome(err.Text) != want {
				t.Errorf("%s: %v, expected %s", id, err, want)
			}
		}
	})
}
