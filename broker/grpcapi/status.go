package grpcapi

import (
	"fmt"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
)

var statusOK = &pb.Status{Code: pb.Code_OK, Message: "OK"}

func refuse(code pb.Code, format string, args ...any) *pb.Status {
	return &pb.Status{Code: code, Message: fmt.Sprintf(format, args...)}
}

// statusCodes are those that tell a client more than that something failed
// (org.apache.rocketmq.proxy.grpc.v2.common.ResponseBuilder).
var statusCodes = map[int]pb.Code{
	service.CodeSuccess: pb.Code_OK, service.CodeSystemBusy: pb.Code_TOO_MANY_REQUESTS, service.CodeFlowControl: pb.Code_TOO_MANY_REQUESTS, service.CodePollingFull: pb.Code_TOO_MANY_REQUESTS,
	service.CodeNotSupported: pb.Code_NOT_IMPLEMENTED, service.CodeTopicNotExist: pb.Code_TOPIC_NOT_FOUND, service.CodeSubscriptionGroupMissing: pb.Code_CONSUMER_GROUP_NOT_FOUND,
	service.CodeNoPermission: pb.Code_FORBIDDEN, service.CodeServiceNotAvailable: pb.Code_HA_NOT_AVAILABLE,
}

// statusOf is a refusal of the service; nil: OK.
func statusOf(err *service.Error) *pb.Status {
	if err == nil {
		return statusOK
	}
	code, ok := statusCodes[err.Code]
	if !ok {
		code = pb.Code_INTERNAL_SERVER_ERROR
	}
	return &pb.Status{Code: code, Message: err.Text}
}

// topicMissing has the text by which SDKs know that a topic does not exist.
func topicMissing(topic string) *pb.Status {
	return refuse(pb.Code_TOPIC_NOT_FOUND, "CODE: 17  DESC: No topic route info in name server for the topic: %s", topic)
}
