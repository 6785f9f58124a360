package catalog

import "maps"

// Permissions of a topic (org.apache.rocketmq.common.constant.PermName).
const (
	PermInherit = 1
	PermWrite   = 2
	PermRead    = 4
)

// Topic is RocketMQ's TopicConfig; JSON field names are the wire's.
type Topic struct {
	Name        string            `json:"topicName"`
	ReadQueues  int32             `json:"readQueueNums"`
	WriteQueues int32             `json:"writeQueueNums"`
	Perm        int32             `json:"perm"`
	FilterType  string            `json:"topicFilterType"` // SINGLE_TAG
	SysFlag     int32             `json:"topicSysFlag"`
	Order       bool              `json:"order"`
	Attributes  map[string]string `json:"attributes,omitempty"`
}

// Group is RocketMQ's SubscriptionGroupConfig; JSON field names are the wire's.
type Group struct {
	Name                   string            `json:"groupName"`
	ConsumeEnable          bool              `json:"consumeEnable"`
	ConsumeFromMinEnable   bool              `json:"consumeFromMinEnable"`
	ConsumeBroadcastEnable bool              `json:"consumeBroadcastEnable"`
	ConsumeMessageOrderly  bool              `json:"consumeMessageOrderly"`
	RetryQueues            int32             `json:"retryQueueNums"`
	RetryMaxTimes          int32             `json:"retryMaxTimes"`
	RetryPolicy            *RetryPolicy      `json:"groupRetryPolicy,omitempty"`
	BrokerID               int64             `json:"brokerId"`
	WhichBrokerWhenSlow    int64             `json:"whichBrokerWhenConsumeSlowly"`
	NotifyIDsChangedEnable bool              `json:"notifyConsumerIdsChangedEnable"`
	SysFlag                int32             `json:"groupSysFlag"`
	ConsumeTimeoutMinutes  int32             `json:"consumeTimeoutMinute"`
	SubscriptionDataSet    []GroupSubscribed `json:"subscriptionDataSet,omitempty"`
	Attributes             map[string]string `json:"attributes,omitempty"`
}

// RetryPolicy is RocketMQ's GroupRetryPolicy.
type RetryPolicy struct {
	Type        string                  `json:"type"` // CUSTOMIZED or EXPONENTIAL
	Exponential *ExponentialRetryPolicy `json:"exponentialRetryPolicy,omitempty"`
	Customized  *CustomizedRetryPolicy  `json:"customizedRetryPolicy,omitempty"`
}

// ExponentialRetryPolicy waits initial*multiplier^n ms, at most max.
type ExponentialRetryPolicy struct {
	InitialMillis int64 `json:"initial"`
	MaxMillis     int64 `json:"max"`
	Multiplier    int64 `json:"multiplier"`
}

// CustomizedRetryPolicy waits next[n] ms, the last one for all further attempts.
type CustomizedRetryPolicy struct {
	NextMillis []int64 `json:"next"`
}

// GroupSubscribed is one fixed subscription of a group (SimpleSubscriptionData).
type GroupSubscribed struct {
	Topic          string `json:"topic"`
	ExpressionType string `json:"expressionType"`
	Expression     string `json:"expression"`
	Version        int64  `json:"version"`
}

// NewTopic is a topic with RocketMQ's defaults.
func NewTopic(name string, queues int32) Topic {
	return Topic{Name: name, ReadQueues: queues, WriteQueues: queues, Perm: PermRead | PermWrite, FilterType: "SINGLE_TAG"}
}

// NewGroup is a group with RocketMQ's defaults.
func NewGroup(name string) Group {
	return Group{
		Name: name, ConsumeEnable: true, ConsumeFromMinEnable: true, ConsumeBroadcastEnable: true,
		RetryQueues: 1, RetryMaxTimes: 16, WhichBrokerWhenSlow: 1, NotifyIDsChangedEnable: true, ConsumeTimeoutMinutes: 15,
	}
}

// Equal says whether two topics have the same settings.
func (t Topic) Equal(o Topic) bool {
	return t.Name == o.Name && t.ReadQueues == o.ReadQueues && t.WriteQueues == o.WriteQueues && t.Perm == o.Perm &&
		t.FilterType == o.FilterType && t.SysFlag == o.SysFlag && t.Order == o.Order && maps.Equal(t.Attributes, o.Attributes)
}
