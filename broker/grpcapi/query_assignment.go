package grpcapi

import (
	"context"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/catalog"
)

// QueryAssignment: topic, group. Answers OK with what a push consumer is to receive from: of a group that consumes in order each readable queue, of
// others each broker group once, with queue -1; TOPIC_NOT_FOUND, FORBIDDEN.
func (s *Server) QueryAssignment(ctx context.Context, r *pb.QueryAssignmentRequest) (*pb.QueryAssignmentResponse, error) {
	_, st := s.caller(ctx)
	if st != nil {
		return &pb.QueryAssignmentResponse{Status: st}, nil
	}
	topic, st := s.checkTopic(r.GetTopic())
	if st != nil {
		return &pb.QueryAssignmentResponse{Status: st}, nil
	}
	groupName, st := checkGroup(r.GetGroup())
	if st != nil {
		return &pb.QueryAssignmentResponse{Status: st}, nil
	}
	inOrder := s.groupSettings(groupName).ConsumeMessageOrderly
	answer := &pb.QueryAssignmentResponse{Status: topicMissing(topic)}
	for _, m := range s.o.Members() {
		t, ok := m.Service.Topic(topic)
		if !ok {
			continue
		}
		at, led := m.Leader()
		switch {
		case t.Perm&catalog.PermRead == 0:
			if len(answer.Assignments) == 0 {
				answer.Status = refuse(pb.Code_FORBIDDEN, "no readable queue of topic %s", topic)
			}
		case !led:
			if len(answer.Assignments) == 0 {
				answer.Status = statusOK
			}
		default:
			answer.Status = statusOK
			answer.Assignments = append(answer.Assignments, assigned(r.GetTopic(), &t, s.brokerAt(m.Name, at), inOrder)...)
		}
	}
	return answer, nil
}

func assigned(topic *pb.Resource, t *catalog.Topic, b *pb.Broker, inOrder bool) (all []*pb.Assignment) {
	if !inOrder {
		return []*pb.Assignment{{MessageQueue: &pb.MessageQueue{Topic: topic, Id: -1, Permission: pb.Permission_READ_WRITE, Broker: b}}}
	}
	for id := range t.ReadQueues {
		all = append(all, &pb.Assignment{MessageQueue: &pb.MessageQueue{Topic: topic, Id: id, Permission: pb.Permission_READ_WRITE, Broker: b}})
	}
	return all
}
