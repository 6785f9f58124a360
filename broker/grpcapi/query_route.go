package grpcapi

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/catalog"
)

// QueryRoute: topic. Answers OK with a MessageQueue for each queue of each broker group that has the topic and a leader, the groups by turns, each with
// the endpoints of the node that leads and of the others; TOPIC_NOT_FOUND, also where topics are made by themselves: a producer of an unknown topic fails at its start.
func (s *Server) QueryRoute(ctx context.Context, r *pb.QueryRouteRequest) (*pb.QueryRouteResponse, error) {
	if _, st := s.caller(ctx); st != nil {
		return &pb.QueryRouteResponse{Status: st}, nil
	}
	name, st := s.checkTopic(r.GetTopic())
	if st != nil {
		return &pb.QueryRouteResponse{Status: st}, nil
	}
	answer := &pb.QueryRouteResponse{Status: statusOK}
	known := false
	var groups [][]*pb.MessageQueue
	for _, m := range s.o.Members() {
		t, ok := m.Service.Topic(name)
		if !ok {
			continue
		}
		known = true
		if at, ok := m.Leader(); ok {
			groups = append(groups, queuesOf(r.GetTopic(), &t, s.brokerAt(m.Name, at)))
		}
	}
	answer.MessageQueues = interleaved(groups)
	switch {
	case !known:
		answer.Status = topicMissing(name)
	case len(answer.MessageQueues) == 0:
		answer.Status = refuse(pb.Code_HA_NOT_AVAILABLE, "no broker group of topic %s is led at the moment", name)
	}
	return answer, nil
}

// interleaved takes turns: simple consumers ask one queue after the other, each for its long-polling time, and a receive is answered from all queues of a broker
// group. With the queues of a group in a row a message of the next group would wait for as many long polls as there are queues.
func interleaved(groups [][]*pb.MessageQueue) (all []*pb.MessageQueue) {
	for i, more := 0, true; more; i++ {
		more = false
		for _, g := range groups {
			if i < len(g) {
				all, more = append(all, g[i]), true
			}
		}
	}
	return all
}

func queuesOf(topic *pb.Resource, t *catalog.Topic, b *pb.Broker) (queues []*pb.MessageQueue) {
	types := acceptedTypes(t)
	read, write := t.ReadQueues, t.WriteQueues
	if t.Perm&catalog.PermRead == 0 {
		read = 0
	}
	if t.Perm&catalog.PermWrite == 0 {
		write = 0
	}
	for id := range max(read, write) {
		permission := pb.Permission_READ_WRITE
		switch {
		case id >= write:
			permission = pb.Permission_READ
		case id >= read:
			permission = pb.Permission_WRITE
		}
		queues = append(queues, &pb.MessageQueue{Topic: topic, Id: id, Permission: permission, Broker: b, AcceptMessageTypes: types})
	}
	return queues
}

const messageTypeAttribute = "message.type"

// acceptedTypes are those of a topic's attribute message.type; a topic without it takes normal messages.
func acceptedTypes(t *catalog.Topic) []pb.MessageType {
	switch strings.ToUpper(t.Attributes[messageTypeAttribute]) {
	case "FIFO":
		return []pb.MessageType{pb.MessageType_FIFO}
	case "DELAY":
		return []pb.MessageType{pb.MessageType_DELAY}
	case "TRANSACTION":
		return []pb.MessageType{pb.MessageType_TRANSACTION}
	case "MIXED":
		return []pb.MessageType{pb.MessageType_NORMAL, pb.MessageType_FIFO, pb.MessageType_DELAY, pb.MessageType_TRANSACTION}
	}
	return []pb.MessageType{pb.MessageType_NORMAL}
}

// brokerAt names the node that leads, and behind it the others: a client whose connection breaks finds another one by itself. A name that is to be resolved
// stands alone, as SDKs want it, and so does what is in front of all nodes: each of them answers for all.
func (s *Server) brokerAt(name, leader string) *pb.Broker {
	front := s.o.Front != ""
	if front {
		leader = s.o.Front
	}
	e := &pb.Endpoints{Scheme: pb.AddressScheme_DOMAIN_NAME, Addresses: []*pb.Address{addressOf(leader)}}
	ip, err := netip.ParseAddr(e.Addresses[0].Host)
	if err != nil {
		return &pb.Broker{Name: name, Endpoints: e}
	}
	if e.Scheme = pb.AddressScheme_IPv4; ip.Is6() {
		e.Scheme = pb.AddressScheme_IPv6
	}
	if front {
		return &pb.Broker{Name: name, Endpoints: e}
	}
	for _, at := range s.nodes() {
		a := addressOf(at)
		if other, err := netip.ParseAddr(a.Host); at != leader && err == nil && other.Is6() == ip.Is6() {
			e.Addresses = append(e.Addresses, a)
		}
	}
	return &pb.Broker{Name: name, Endpoints: e}
}

// nodes are all nodes' addresses, in the same order on each.
func (s *Server) nodes() []string {
	others := s.others()
	if len(others) == 0 {
		return nil
	}
	all := append(slices.Clone(others), s.o.Own)
	slices.Sort(all)
	return all
}

func addressOf(hostPort string) *pb.Address {
	host, port, _ := net.SplitHostPort(hostPort)
	n, _ := strconv.ParseInt(port, 10, 32)
	return &pb.Address{Host: host, Port: int32(n)}
}
