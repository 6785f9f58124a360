package main

import (
	"slices"
	"testing"

	"github.com/contrailmq/contrail/broker/inspect"
)

// A gRPC client is in the registries of all broker groups of a node, and once in the list; each connection of a remoting client is its own.
func TestClientsOfSeveralBrokerGroups(t *testing.T) {
	var l clientList
	l.add([]inspect.Client{
		{ClientID: "g", Addr: "1:1", Protocol: "grpc", ConnectedAt: 5, LastHeartbeat: 10, ProducerOf: []string{"orders"}, ConsumerOf: []string{}},
		{ClientID: "r", Addr: "2:2", Protocol: "remoting"},
	})
	l.add([]inspect.Client{
		{ClientID: "r", Addr: "2:3", Protocol: "remoting"},
		{ClientID: "g", Addr: "1:1", Protocol: "grpc", ConnectedAt: 4, LastHeartbeat: 12, ProducerOf: []string{"money", "orders"}, ConsumerOf: []string{}},
	})
	if len(l.clients) != 3 {
		t.Fatalf("%+v", l.clients)
	}
	if g := l.clients[0]; g.ConnectedAt != 4 || g.LastHeartbeat != 12 || !slices.Equal(g.ProducerOf, []string{"money", "orders"}) {
		t.Errorf("%+v", g)
	}
}

func TestOfWhatIsKnownOfAClientTheNewestIsShown(t *testing.T) {
	known := func(heard, given int64, protocol, group string) inspect.ClientDetail {
		d := inspect.ClientDetail{Client: inspect.Client{Protocol: protocol, LastHeartbeat: heard, ConsumerOf: []string{group}}, Consumes: []inspect.Consuming{{Group: group}}}
		if given > 0 {
			d.Settings = &inspect.ClientSettings{GivenAt: given}
		}
		return d
	}
	for what, x := range map[string]struct {
		a, b         inspect.ClientDetail
		heard, given int64
		consumes     string
		of           int
	}{
		"both":                     {known(1, 7, "grpc", "a"), known(2, 8, "grpc", "b"), 2, 8, "b", 2},
		"the older has newer ones": {known(1, 9, "grpc", "a"), known(2, 8, "grpc", "b"), 2, 9, "b", 2},
		"one was told none":        {known(1, 7, "grpc", "a"), known(2, 0, "grpc", "b"), 2, 7, "b", 2},
		"connections of remoting":  {known(1, 0, "remoting", "a"), known(2, 0, "remoting", "b"), 2, 0, "b", 1},
	} {
		for _, d := range []inspect.ClientDetail{newest(x.a, x.b), newest(x.b, x.a)} {
			given := int64(0)
			if d.Settings != nil {
				given = d.Settings.GivenAt
			}
			if d.Client.LastHeartbeat != x.heard || given != x.given || d.Consumes[0].Group != x.consumes || len(d.Client.ConsumerOf) != x.of {
				t.Errorf("%s: %+v", what, d)
			}
		}
	}
}
