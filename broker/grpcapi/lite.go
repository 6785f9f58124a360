package grpcapi

import (
	"context"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
)

// What no SDK's public interface uses is not offered, as by RocketMQ's proxy: pulling and offsets (push and simple consumers have receipts instead), and lite
// topics, which this broker has not.

// PullMessage answers NOT_IMPLEMENTED.
func (s *Server) PullMessage(_ *pb.PullMessageRequest, g grpc.ServerStreamingServer[pb.PullMessageResponse]) error {
	return g.Send(&pb.PullMessageResponse{Content: &pb.PullMessageResponse_Status{Status: notOffered("PullMessage")}})
}

// UpdateOffset answers NOT_IMPLEMENTED.
func (s *Server) UpdateOffset(context.Context, *pb.UpdateOffsetRequest) (*pb.UpdateOffsetResponse, error) {
	return &pb.UpdateOffsetResponse{Status: notOffered("UpdateOffset")}, nil
}

// GetOffset answers NOT_IMPLEMENTED.
func (s *Server) GetOffset(context.Context, *pb.GetOffsetRequest) (*pb.GetOffsetResponse, error) {
	return &pb.GetOffsetResponse{Status: notOffered("GetOffset")}, nil
}

// QueryOffset answers NOT_IMPLEMENTED.
func (s *Server) QueryOffset(context.Context, *pb.QueryOffsetRequest) (*pb.QueryOffsetResponse, error) {
	return &pb.QueryOffsetResponse{Status: notOffered("QueryOffset")}, nil
}

// SyncLiteSubscription answers NOT_IMPLEMENTED.
func (s *Server) SyncLiteSubscription(context.Context, *pb.SyncLiteSubscriptionRequest) (*pb.SyncLiteSubscriptionResponse, error) {
	return &pb.SyncLiteSubscriptionResponse{Status: notOffered("SyncLiteSubscription")}, nil
}

func notOffered(call string) *pb.Status {
	return refuse(pb.Code_NOT_IMPLEMENTED, "%s is not implemented", call)
}
