package server

import (
	"net/url"
	"reflect"
	"slices"
	"testing"

	"github.com/contrailmq/contrail/broker/inspect"
)

func TestUnreadAreTopicsThatSomebodyShouldRead(t *testing.T) {
	count, names, all := unread([]inspect.Topic{
		{Name: "audit", Messages: 3}, {Name: "orders", Messages: 9, Groups: []string{"billing"}}, {Name: "empty"}, {Name: "clicks", Messages: 7},
		{Name: "%DLQ%billing", Messages: 2}, {Name: "%RETRY%billing", Messages: 2}, {Name: "RMQ_SYS_TRACE_TOPIC", Messages: 1, System: true},
	})
	if count != 6 || all != 2 || !slices.Equal(names, []string{"clicks", "audit"}) {
		t.Errorf("%d topics, %d unread: %q", count, all, names)
	}
}

// A client is found by its id, whatever is in it, and of several connections by its address.
func TestClientsAreShownWithTheirSettings(t *testing.T) {
	c := newConsole(t, nil)
	id := "10.0.0.7@1#x/y%z"
	want := inspect.ClientDetail{
		Client: inspect.Client{ClientID: id, Addr: "10.0.0.8:1", Protocol: "grpc", ProducerOf: []string{}, ConsumerOf: []string{"billing"}}, Consumes: []inspect.Consuming{},
		Settings: &inspect.ClientSettings{
			GivenAt: 5, ClientType: "PUSH_CONSUMER", RequestTimeout: 3000, UserAgent: inspect.UserAgent{Hostname: "<script>"},
			Backoff:      &inspect.Backoff{MaxAttempts: 17, Strategy: "customized", Delays: []int64{10_000, 30_000}},
			Subscription: &inspect.Subscribed{Group: "billing", ReceiveBatchSize: 32, Subscriptions: []inspect.Subscription{{Topic: "orders", Type: "TAG", Expression: "paid"}}},
		},
	}
	c.broker.clients = append(c.broker.clients, want)
	if got := answer[inspect.ClientDetail](t, c.get(t, "/api/v1/clients/"+url.PathEscape(id)+"?addr=10.0.0.8:1")); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := answer[inspect.ClientDetail](t, c.get(t, "/api/v1/clients/"+url.PathEscape(id))); got.Settings != nil || got.Consumes[0].Model != "CLUSTERING" {
		t.Errorf("%+v", got)
	}
}
