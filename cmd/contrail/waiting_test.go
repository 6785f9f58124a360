package main

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/service"
)

// sendWith sends a message with properties, and gives its result.
func sendWith(t *testing.T, svc *service.Service, topic string, props ...string) service.Result {
	t.Helper()
	run := message.AppendProperty(nil, message.PropUniqKey, "ID-"+props[len(props)-1])
	for i := 0; i+1 < len(props); i += 2 {
		run = message.AppendProperty(run, props[i], props[i+1])
	}
	p, done := svc.Parcel(service.NewClient(netip.MustParseAddrPort("10.0.0.9:1"), "remoting")), make(chan service.Result, 1)
	p.Add(&service.SendHeader{ProducerGroup: []byte("pg"), Topic: []byte(topic), DefaultTopic: []byte(service.DefaultTopic), DefaultTopicQueueNums: 1, Properties: run}, []byte("x"), service.Token{})
	p.Submit(func(p *service.Parcel) {
		r := p.Results[0]
		p.Release()
		done <- r
	})
	r := <-done
	if r.Code != 0 {
		t.Fatalf("code %d %s", r.Code, r.Remark)
	}
	return r
}

// What waits is listed and cancelled, by the handle that the list tells; mistakes are named.
func TestScheduleFromTheShell(t *testing.T) {
	addr, svc := startBroker(t)
	run := func(args ...string) (string, error) {
		return command(append(append([]string{"schedule"}, args...), "--broker", addr)...)
	}
	sendWith(t, svc, "orders", "TIMER_DELAY_SEC", "3600")
	out, err := run("list")
	if err != nil || !strings.Contains(out, "1 messages wait; 1 were scheduled, 0 fired, 0 cancelled") || !strings.Contains(out, "ID-3600") {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = run("list", "--output", "json")
	var list inspect.ScheduledList
	if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list.Messages) != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	handle := list.Messages[0].Handle
	for args, want := range map[string]string{
		"orders nonsense":     "recall handle is invalid",
		"shipments " + handle: "not exist",
		"orders " + service.RecallHandle("orders", "broker-z", 1, "k"): `broker group "broker-z"`,
	} {
		if _, err := run(append([]string{"cancel"}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("cancel %s: %v, expected %q", args, err, want)
		}
	}
	if out, err := run("cancel", "orders", handle); err != nil || out != "cancelled\n" {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := run("cancel", "orders", handle); err == nil || !strings.Contains(err.Error(), "cancelled already") {
		t.Errorf("again: %v", err)
	}
	for args, want := range map[string]string{"list --output xml": "possible are text, json", "list --limit 1001": "from 0 to 1000", "list --groups x": `broker group "x"`} {
		if _, err := run(strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", args, err, want)
		}
	}
}

// Transactions that hang are listed and decided.
func TestTxnFromTheShell(t *testing.T) {
	addr, svc := startBroker(t)
	r := sendWith(t, svc, "orders", "PGROUP", "bank", "TRAN_MSG", "true")
	out, err := command("txn", "list", "--broker", addr)
	if err != nil || !strings.Contains(out, "1 transactions are open") || !strings.Contains(out, "bank") {
		t.Fatalf("%v\n%s", err, out)
	}
	offset, position := strconv.FormatInt(r.QueueOffset, 10), strconv.FormatInt(r.Position, 10)
	if _, err := command("txn", "commit", "--broker", addr, "--offset", offset, "--position", "1"); err == nil || !strings.Contains(err.Error(), "offset wrong") {
		t.Errorf("a wrong position: %v", err)
	}
	if out, err := command("txn", "commit", "--broker", addr, "--offset", offset, "--position", position); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := svc.Shard().Txn().Counts(); n.Open != 0 || n.Committed != 1 {
		t.Errorf("%+v", n)
	}
}

// Dead letters are listed and resent, once.
func TestDlqFromTheShell(t *testing.T) {
	addr, svc := startBroker(t)
	dead := make(chan *service.Error, 1)
	r := sendWith(t, svc, "orders", "KEYS", "order-7")
	sendWith(t, svc, "%RETRY%billing", "KEYS", "order-1")
	svc.SendBack(service.NewClient(netip.MustParseAddrPort("10.0.0.9:1"), "remoting"), &service.Back{Group: "billing", Position: r.Position, DelayLevel: -1, MaxReconsumeTimes: -1},
		func(err *service.Error) { dead <- err })
	if err := <-dead; err != nil {
		t.Fatal(err)
	}
	out, err := command("dlq", "list", "billing", "--broker", addr)
	if err != nil || !strings.Contains(out, "1 dead letters of billing are kept") || !strings.Contains(out, "order-7") {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"1 of 1 resent", "0 of 1 resent"} {
		if out, err := command("dlq", "resend", "billing", "0", "--by", "li", "--broker", addr); err != nil || !strings.Contains(out, want) {
			t.Errorf("expected %q: %v\n%s", want, err, out)
		}
	}
	if out, err := command("dlq", "resend", "billing", "9", "--broker", addr); err == nil || !strings.Contains(out, "missing") || !strings.Contains(err.Error(), "no dead letter at offset 9") {
		t.Errorf("a letter that is not there: %v\n%s", err, out)
	}
	for _, args := range []string{"list nobody", "resend billing x", "resend nobody 0"} {
		if out, err := command(append(append([]string{"dlq"}, strings.Fields(args)...), "--broker", addr)...); err == nil {
			t.Errorf("dlq %s: %s", args, out)
		}
	}
}

// TestMistakesFromTheShell change nothing, and are named.
func TestMistakesFromTheShell(t *testing.T) {
	addr, _ := startBroker(t)
	if out, err := command("topic", "create", "shipments", "--type", "FIFO", "--broker", addr); err != nil {
		t.Fatal(err, out)
	}
	for args, want := range map[string]string{
		"topic update shipmnets --read-queues 4": "no broker group has a topic shipmnets",
		"topic update shipments":                 "--read-queues 0, --write-queues 0",
		"topic create shipments --type NORMAL":   "is there and takes FIFO messages",
		"txn commit":                             "--offset -1, --position -1: name both",
	} {
		if out, err := command(append(strings.Fields(args), "--broker", addr)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
	if out, err := command("topic", "foo"); err == nil || !strings.Contains(err.Error(), `there is no "foo"`) {
		t.Errorf("topic foo: %v\n%s", err, out)
	}
	if out, err := command("topic", "create", "shipments", "--type", "FIFO", "--broker", addr); err != nil {
		t.Errorf("the same again: %v\n%s", err, out)
	}
}
