package main

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/ui/api"
)

// operatorOf is the console's operator of one broker.
func operatorOf(addr string, svc *service.Service) consoleOperator {
	return consoleOperator{consoleBroker{brokers: func() []*broker { return []*broker{{name: "broker-a", svc: svc}} }}, admin{addr}}
}

func refusedWith(err error) int {
	var r *refused
	if errors.As(err, &r) {
		return r.code
	}
	return 0
}

// What the console does reaches a broker, and what the broker says of it comes back.
func TestConsoleOperates(t *testing.T) {
	addr, svc := startBroker(t)
	o := operatorOf(addr, svc)
	places, err := o.PlanReset("billing", "orders", -1, 0, -1)
	if err != nil || len(places) != 1 || places[0] != (api.ResetPlace{Broker: "broker-a", Topic: "orders", Committed: 2, Max: 3, Again: 2, Oldest: places[0].Oldest, Newest: places[0].Newest}) {
		t.Fatalf("%+v %v", places, err)
	}
	if err := o.Reset("billing", api.ResetTo{Broker: "broker-a", Topic: "orders", Offset: 1}); err != nil {
		t.Error(err)
	}
	if err := o.Reset("billing", api.ResetTo{Broker: "broker-a", Topic: "orders", Offset: 99}); refusedWith(err) == 0 || !strings.Contains(err.Error(), "99") {
		t.Errorf("behind the end: %v", err)
	}
	if done, err := o.CloneOffsets("billing", "audit", "orders"); err != nil || len(done) != 1 {
		t.Errorf("%v %v", done, err)
	}
	if g, _ := svc.InspectGroup("audit"); len(g.Queues) != 1 || g.Queues[0].Committed != 1 {
		t.Errorf("cloned: %+v", g.Queues)
	}
	if err := o.Reset("billing", api.ResetTo{Broker: "broker-z", Topic: "orders"}); refusedWith(err) != service.CodeInvalidParameter {
		t.Errorf("an unknown broker group: %v", err)
	}
	if _, err := o.RunningInfo(&api.AskRunning{Group: "billing", Client: "c1"}); refusedWith(err) == 0 || !strings.Contains(err.Error(), "not online") {
		t.Errorf("a client that is not there: %v", err)
	}
	if _, err := o.ConsumeDirectly("ID", &api.VerifyMessage{Group: "billing", Client: "c1", Broker: "broker-a", Topic: "orders"}); refusedWith(err) == 0 {
		t.Errorf("a client that is not there: %v", err)
	}
}

func TestConsoleOperatesOnWhatWaits(t *testing.T) {
	addr, svc := startBroker(t)
	o := operatorOf(addr, svc)
	sendWith(t, svc, "orders", "TIMER_DELAY_SEC", "3600")
	list, err := o.Scheduled(10)
	if err != nil || len(list.Messages) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	for _, want := range []string{service.RecallCancelled, service.RecallAlready} {
		if got, err := o.Cancel("orders", list.Messages[0].Handle); err != nil || got.Outcome != want {
			t.Errorf("%+v %v, expected %s", got, err, want)
		}
	}
	if _, err := o.Cancel("orders", "nonsense"); refusedWith(err) != service.CodeInvalidParameter {
		t.Errorf("no handle: %v", err)
	}
	sendWith(t, svc, "orders", "PGROUP", "bank", "TRAN_MSG", "true")
	h := o.Transactions("bank", 10).Halves[0]
	d := api.DecideTransaction{Broker: h.Broker, Offset: h.Offset, Position: h.Position, Decision: "commit"}
	if err := o.Decide(&d); err != nil {
		t.Fatal(err)
	}
	d.Decision = "rollback"
	if err := o.Decide(&d); refusedWith(err) == 0 {
		t.Errorf("the first decision wins: %v", err)
	}
	r := sendWith(t, svc, "orders", "KEYS", "order-7")
	sendWith(t, svc, "%RETRY%billing", "KEYS", "order-1")
	dead := make(chan *service.Error, 1)
	svc.SendBack(service.NewClient(netip.MustParseAddrPort("10.0.0.9:1"), "remoting"), &service.Back{Group: "billing", Position: r.Position, DelayLevel: -1, MaxReconsumeTimes: -1},
		func(err *service.Error) { dead <- err })
	if err := <-dead; err != nil {
		t.Fatal(err)
	}
	letters, err := o.DeadLetters("broker-a", "billing", 0, 10)
	if err != nil || len(letters.Letters) != 1 || letters.Letters[0].Keys != "order-7" {
		t.Fatalf("%+v %v", letters, err)
	}
	for _, want := range []string{service.OutcomeResent, service.OutcomeAlready} {
		if got, err := o.Resend("billing", api.LetterRef{Broker: "broker-a"}, false, "console"); err != nil || got.Outcome != want || got.Topic != "%RETRY%billing" {
			t.Errorf("%+v %v, expected %s", got, err, want)
		}
	}
	if _, err := o.DeadLetters("broker-a", "nobody", 0, 10); refusedWith(err) != service.CodeSubscriptionGroupMissing {
		t.Errorf("an unknown group: %v", err)
	}
}

// Changes are possible on loopback unless the configuration says otherwise, and never on a console that is read-only.
func TestWhetherTheConsoleActs(t *testing.T) {
	yes, no := true, false
	here, there := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, &net.TCPAddr{IP: net.IPv4zero, Port: 8080}
	for _, x := range []struct {
		actions bool
		allow   *bool
		at      net.Addr
		why     string
	}{
		{true, nil, here, ""}, {true, &yes, there, ""}, {true, &no, here, "console.allowChanges is false"}, {true, nil, there, "0.0.0.0:8080"},
		{false, nil, here, "console.actions is false"}, {false, &yes, here, "console.actions is false"},
	} {
		n := &node{conf: defaultConfig()}
		if !n.conf.Console.Actions {
			t.Fatal("a console acts by default")
		}
		n.conf.Console.Actions, n.conf.Console.AllowChanges = x.actions, x.allow
		if why := n.noChanges(x.at); !strings.Contains(why, x.why) || (why == "") != (x.why == "") {
			t.Errorf("%+v: %q", x, why)
		}
	}
}
