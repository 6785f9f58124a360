package grpcapi

import (
	"context"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
)

// SyncLiteSubscription answers NOT_IMPLEMENTED: this broker has no lite topics.
func (s *Server) SyncLiteSubscription(context.Context, *pb.SyncLiteSubscriptionRequest) (*pb.SyncLiteSubscriptionResponse, error) {
	return &pb.SyncLiteSubscriptionResponse{Status: refuse(pb.Code_NOT_IMPLEMENTED, "SyncLiteSubscription is not implemented")}, nil
}
