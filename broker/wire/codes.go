package wire

// Request codes (org.apache.rocketmq.remoting.protocol.RequestCode).
const (
	SendMessage             = 10
	PullMessage             = 11
	QueryMessage            = 12
	QueryConsumerOffset     = 14
	UpdateConsumerOffset    = 15
	UpdateTopic             = 17
	AllTopicConfig          = 21
	BrokerConfig            = 26
	BrokerRuntimeInfo       = 28
	OffsetByTimestamp       = 29
	MaxOffset               = 30
	MinOffset               = 31
	EarliestStoreTime       = 32
	ViewMessage             = 33
	Heartbeat               = 34
	Unregister              = 35
	EndTransaction          = 37
	ConsumerList            = 38
	CheckTransaction        = 39
	ConsumerIDsChanged      = 40
	SendMessageBack         = 36
	LockBatch               = 41
	UnlockBatch             = 42
	CheckClientConfig       = 46
	PutKV                   = 100
	GetKV                   = 101
	DeleteKV                = 102
	RegisterBroker          = 103
	UnregisterBroker        = 104
	RouteInfo               = 105
	ClusterInfo             = 106
	UpdateGroup             = 200
	AllGroupConfig          = 201
	TopicStats              = 202
	ConsumerConnections     = 203
	ProducerConnections     = 204
	WipeWritePerm           = 205
	AllTopics               = 206
	DeleteGroup             = 207
	ConsumeStats            = 208
	DeleteTopicInBroker     = 215
	DeleteTopicInNameServer = 216
	RegisterTopic           = 217
	KVList                  = 219
	ClientConsumerStatus    = 221
	ResetOffset             = 222
	ConsumerStatus          = 223
	TopicsByCluster         = 224
	TopicConsumeByWho       = 300
	ConsumeTimeSpan         = 303
	SystemTopicsNameServer  = 304
	SystemTopicsBroker      = 305
	ConsumerRunningInfo     = 307
	CorrectionOffset        = 308
	ConsumeDirectly         = 309
	SendMessageV2           = 310
	CloneGroupOffset        = 314
	SendBatch               = 320
	QueryDataVersion        = 322
	SendReply               = 324
	SendReplyV2             = 325
	PushReply               = 326
	AddWritePerm            = 327
	TopicConfig             = 351
	GroupConfig             = 352
	LitePull                = 361
	RecallMessage           = 370
	QueryAssignment         = 400
	SetRequestMode          = 401
	AllRequestModes         = 402
	PopMessage              = 200050
	AckMessage              = 200051
	ChangeInvisibleTime     = 200053
	Notification            = 200054
	PollingInfo             = 200055
	BatchAckMessage         = 200151

	// Contrail's own, far from RocketMQ's; the binary header has two bytes for a code.
	BrokerGroupInfo     = 30100
	BrokerGroupTransfer = 30101
	BrokerGroupMembers  = 30102
	BrokerClusterInfo   = 30103
	BrokerClusterChange = 30104
	Scheduled           = 30105
	Transactions        = 30106
	DecideTransaction   = 30107
	DeadLetters         = 30108
	ResendDeadLetter    = 30109
)

// wide are the codes that the binary header's two bytes cannot hold, by what is left of them there.
var wide = map[int32]int32{}

func init() {
	for _, code := range []int32{PopMessage, AckMessage, ChangeInvisibleTime, Notification, PollingInfo, BatchAckMessage} {
		wide[code&0xffff] = code
	}
}

// Widen gives the code that a client meant that sent it in the binary form.
func Widen(code int32) int32 {
	if whole, ok := wide[code]; ok {
		return whole
	}
	return code
}
