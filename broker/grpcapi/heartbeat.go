package grpcapi

import (
	"context"
	"slices"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/service"
)

const groupPatience = 5 * time.Second

// Heartbeat: group (of a consumer), client_type. Keeps the client in its groups. Answers OK; UNRECOGNIZED_CLIENT_TYPE when it has told no settings, upon
// which SDKs tell them again; CLIENT_ID_REQUIRED, ILLEGAL_CONSUMER_GROUP.
func (s *Server) Heartbeat(ctx context.Context, r *pb.HeartbeatRequest) (*pb.HeartbeatResponse, error) {
	c, st := s.caller(ctx)
	if st != nil {
		return &pb.HeartbeatResponse{Status: st}, nil
	}
	if !s.relayed(ctx) {
		s.beatElsewhere(c, r)
	}
	c.mu.Lock()
	settings := c.settings
	c.mu.Unlock()
	if settings == nil {
		c.beat() // by what it asked for
		return &pb.HeartbeatResponse{Status: refuse(pb.Code_UNRECOGNIZED_CLIENT_TYPE, "cannot find client settings for this client")}, nil
	}
	switch settings.GetClientType() {
	case pb.ClientType_PRODUCER, pb.ClientType_PUSH_CONSUMER, pb.ClientType_SIMPLE_CONSUMER:
	default:
		return &pb.HeartbeatResponse{Status: refuse(pb.Code_UNRECOGNIZED_CLIENT_TYPE, "%s", settings.GetClientType())}, nil
	}
	if settings.GetSubscription() != nil && r.GetGroup() != nil {
		if _, st := checkGroup(r.GetGroup()); st != nil {
			return &pb.HeartbeatResponse{Status: st}, nil
		}
	}
	c.beat()
	return &pb.HeartbeatResponse{Status: statusOK}, nil
}

// beat tells the registries of all members that the client is there.
func (c *client) beat() {
	c.mu.Lock()
	now := time.Now().UnixMilli()
	hb := &group.Heartbeat{ClientID: c.id}
	if c.told = now; c.settings != nil {
		hb = heartbeatOf(c.id, c.settings)
	} else if c.inferred.Group != "" {
		d := c.inferred
		d.Subscriptions = slices.Clone(d.Subscriptions)
		hb.Consumers = []group.ConsumerData{d}
	}
	id := c.identityLocked()
	c.mu.Unlock()
	for _, m := range c.s.o.Members() {
		c.join(now, m)
		_, tell := m.Clients.Beat(now, c, id, hb)
		tell()
	}
}

// ensureGroup makes a consumer group where this node leads. What fails is told when the group consumes.
func (s *Server) ensureGroup(ctx context.Context, name string) (refused *service.Error) {
	for _, m := range s.o.Members() {
		if !m.Service.Leads() {
			continue
		}
		g, err := m.Service.EnsureGroup(ctx, name)
		if err == nil && g.RetryQueues > 0 {
			err = m.Service.EnsureRetryTopic(ctx, g)
		}
		if err != nil && !err.NotLed() {
			refused = err
		}
	}
	return refused
}

// NotifyClientTermination: group. The client goes; it leaves its groups at once. Answers OK; UNRECOGNIZED_CLIENT_TYPE when it is not known.
func (s *Server) NotifyClientTermination(ctx context.Context, _ *pb.NotifyClientTerminationRequest) (*pb.NotifyClientTerminationResponse, error) {
	c, st := s.caller(ctx)
	if st != nil {
		return &pb.NotifyClientTerminationResponse{Status: st}, nil
	}
	c.mu.Lock()
	known := c.settings != nil
	c.mu.Unlock()
	s.forget(c)
	if !known {
		return &pb.NotifyClientTerminationResponse{Status: refuse(pb.Code_UNRECOGNIZED_CLIENT_TYPE, "cannot find client settings for this client")}, nil
	}
	return &pb.NotifyClientTerminationResponse{Status: statusOK}, nil
}
