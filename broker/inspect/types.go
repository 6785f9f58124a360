package inspect

// Node is one process.
type Node struct {
	Cluster      string   `json:"cluster"`
	Broker       string   `json:"broker"` // broker group's name
	NodeID       string   `json:"nodeId"`
	Version      string   `json:"version"`
	Roles        []string `json:"roles"`
	StartedAt    int64    `json:"startedAt"`
	Now          int64    `json:"now"`
	StoreHost    string   `json:"storeHost"` // what clients dial
	NameServer   string   `json:"nameServer"`
	Term         uint64   `json:"term"`
	Leader       bool     `json:"leader"`
	LogFirstPos  int64    `json:"logFirstPosition"`
	LogEndPos    int64    `json:"logEndPosition"`
	CommitIndex  uint64   `json:"commitIndex"`
	AppliedIndex uint64   `json:"appliedIndex"`
	SyncMode     string   `json:"syncMode"` // fdatasync or page-cache
	DiskTotal    int64    `json:"diskTotalBytes"`
	DiskFree     int64    `json:"diskFreeBytes"`
	LogBytes     int64    `json:"logBytes"`
	FsyncP50     float64  `json:"fsyncP50Micros"`
	FsyncP99     float64  `json:"fsyncP99Micros"`
	MessagesIn   int64    `json:"messagesInTotal"`
	MessagesOut  int64    `json:"messagesOutTotal"`
	BytesIn      int64    `json:"bytesInTotal"`
	BytesOut     int64    `json:"bytesOutTotal"`
	Connections  int      `json:"connections"`
	Stopped      string   `json:"stopped,omitempty"` // why the broker refuses writes; empty when it serves

	Groups []BrokerGroup `json:"brokerGroups"` // of which this process has a member
}

// BrokerGroup is a replicated log as this process's member sees it.
type BrokerGroup struct {
	Name         string         `json:"name"`
	Member       uint64         `json:"member"` // this process's
	Term         uint64         `json:"term"`
	Leader       uint64         `json:"leader"` // member; 0: nobody leads as far as is known here
	Leads        bool           `json:"leads"`  // this process's member does
	CommitIndex  uint64         `json:"commitIndex"`
	AppliedIndex uint64         `json:"appliedIndex"`
	LogEndPos    int64          `json:"logEndPosition"`
	Stopped      string         `json:"stopped,omitempty"`
	Members      []BrokerMember `json:"members"`
}

// BrokerMember is a member of a broker group as the group's leader told of it last.
type BrokerMember struct {
	ID         uint64 `json:"id"`
	Addr       string `json:"addr"`  // what clients dial
	State      string `json:"state"` // leader, replicating, probing, snapshot, learner; unknown when no leader told
	Active     bool   `json:"active"`
	MatchIndex uint64 `json:"matchIndex"` // newest entry that it is known to have
	LagEntries uint64 `json:"lagEntries"`
}

// Topic is one topic with its queues' ends.
type Topic struct {
	Name        string            `json:"name"`
	System      bool              `json:"system"`
	Perm        int32             `json:"perm"`
	ReadQueues  int32             `json:"readQueues"`
	WriteQueues int32             `json:"writeQueues"`
	Order       bool              `json:"order"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Messages    int64             `json:"messages"` // kept
	MessagesIn  int64             `json:"messagesInTotal"`
	BytesIn     int64             `json:"bytesInTotal"`
	LastStored  int64             `json:"lastStoredAt"` // 0: never
	Groups      []string          `json:"groups"`       // with offsets or members
	Queues      []Queue           `json:"queues,omitempty"`
}

// Queue is one queue's range: [Min, Max) exists.
type Queue struct {
	Broker     string `json:"broker"` // broker group's name
	ID         int32  `json:"id"`
	Min        int64  `json:"min"`
	Max        int64  `json:"max"`
	LastStored int64  `json:"lastStoredAt"`
}

// Group is one consumer group.
type Group struct {
	Name          string         `json:"name"`
	System        bool           `json:"system"`
	Online        bool           `json:"online"`
	Model         string         `json:"model"`       // CLUSTERING or BROADCASTING; empty when never online
	ConsumeType   string         `json:"consumeType"` // CONSUME_ACTIVELY, CONSUME_PASSIVELY, CONSUME_POP
	Members       []Member       `json:"members"`
	LastSeen      int64          `json:"lastSeenAt"` // when the last member was online; 0 unknown
	LagMessages   int64          `json:"lagMessages"`
	OldestWaiting int64          `json:"oldestWaitingAt"` // store time of the oldest message not acknowledged; 0 none
	Subscriptions []Subscription `json:"subscriptions"`
	Consistent    bool           `json:"subscriptionsConsistent"`
	Queues        []GroupQueue   `json:"queues,omitempty"`
	MessagesOut   int64          `json:"messagesOutTotal"`
	RetryMaxTimes int32          `json:"retryMaxTimes"`
	ConsumeEnable bool           `json:"consumeEnable"`
}

// GroupQueue is a group's place in one queue.
type GroupQueue struct {
	Broker      string `json:"broker"` // broker group's name
	Topic       string `json:"topic"`
	QueueID     int32  `json:"queueId"`
	Min         int64  `json:"min"`
	Max         int64  `json:"max"`
	Committed   int64  `json:"committed"` // next offset to consume; -1 when never committed
	Lag         int64  `json:"lagMessages"`
	LastCommit  int64  `json:"lastCommitAt"`
	Client      string `json:"client"` // who pulled or committed last
	LastPull    int64  `json:"lastPullAt"`
	LastPullOff int64  `json:"lastPullOffset"`
	Head        *Head  `json:"head,omitempty"` // of a queue that is consumed in order
}

// Head is the first message that a group has not consumed in a queue that it consumes in order: those behind it wait for it.
type Head struct {
	Offset  int64  `json:"offset"`
	UniqKey string `json:"uniqKey"`
	Keys    string `json:"keys,omitempty"`
	Since   int64  `json:"sinceAt"`           // ms: since then nothing was consumed here
	Client  string `json:"client"`            // that holds the queue; "": nobody does
	Until   int64  `json:"untilAt,omitempty"` // ms, of a message that was popped
	Times   int32  `json:"times,omitempty"`   // how often it was popped before
	Behind  int64  `json:"behind"`            // messages
}

// Subscription is one topic of a group as one or more of its members told it.
type Subscription struct {
	Topic      string `json:"topic"`
	Type       string `json:"type"` // TAG or SQL92
	Expression string `json:"expression"`
	Version    int64  `json:"version"`
}

// Member is one online consumer of a group.
type Member struct {
	ClientID      string         `json:"clientId"`
	Addr          string         `json:"addr"`
	Language      string         `json:"language"`
	Version       string         `json:"version"`
	ConnectedAt   int64          `json:"connectedAt"`
	LastHeartbeat int64          `json:"lastHeartbeatAt"`
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
}

// Client is one connection.
type Client struct {
	ClientID      string   `json:"clientId"`
	Addr          string   `json:"addr"`
	Protocol      string   `json:"protocol"`
	Language      string   `json:"language"`
	Version       string   `json:"version"`
	ConnectedAt   int64    `json:"connectedAt"`
	LastHeartbeat int64    `json:"lastHeartbeatAt"`
	ProducerOf    []string `json:"producerOf"` // producer groups
	ConsumerOf    []string `json:"consumerOf"` // consumer groups
}
