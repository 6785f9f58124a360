package inspect

import "strings"

// ClientDetail is one client with what it told of itself and what it was told.
type ClientDetail struct {
	Client   Client          `json:"client"`
	Consumes []Consuming     `json:"consumes"` // by group
	Settings *ClientSettings `json:"settings"` // null: it talks remoting, or told none to this broker yet
}

// Consuming is what a client's heartbeat says of one consumer group.
type Consuming struct {
	Group         string         `json:"group"`
	ConsumeType   string         `json:"consumeType"` // CONSUME_ACTIVELY, CONSUME_PASSIVELY, CONSUME_POP
	Model         string         `json:"model"`       // CLUSTERING, BROADCASTING
	FromWhere     string         `json:"fromWhere"`   // of a group that is new: CONSUME_FROM_LAST_OFFSET …
	Subscriptions []Subscription `json:"subscriptions"`
}

// ClientSettings are those that a gRPC client works by: its own words with what the broker decided, as it was answered last.
// It is shared: not to be changed.
type ClientSettings struct {
	GivenAt        int64       `json:"givenAt"`    // ms
	ClientType     string      `json:"clientType"` // PRODUCER, PUSH_CONSUMER, SIMPLE_CONSUMER …
	RequestTimeout int64       `json:"requestTimeoutMillis"`
	UserAgent      UserAgent   `json:"userAgent"`
	AccessKey      string      `json:"accessKey"` // that it signs its calls with; empty: it signs none. Nobody checks it while there is no access control
	Backoff        *Backoff    `json:"backoff"`
	Publishing     *Publishing `json:"publishing"`   // of a producer
	Subscription   *Subscribed `json:"subscription"` // of a consumer
}

// UserAgent is what an SDK says of itself and its machine.
type UserAgent struct {
	Language string `json:"language"`
	Version  string `json:"version"`
	Platform string `json:"platform"`
	Hostname string `json:"hostname"`
}

// Backoff is how often something is tried and how long is waited in between.
type Backoff struct {
	MaxAttempts   int32   `json:"maxAttempts"` // the first one included
	Strategy      string  `json:"strategy"`    // exponential, customized; "": none
	Initial       int64   `json:"initialMillis"`
	Max           int64   `json:"maxMillis"`
	Multiplier    float32 `json:"multiplier"`
	Delays        []int64 `json:"delaysMillis"` // customized: before the second attempt, the third …
	DelaysOmitted int     `json:"delaysOmitted"`
}

// Publishing is a producer's part of its settings.
type Publishing struct {
	Topics              []string `json:"topics"`
	TopicsOmitted       int      `json:"topicsOmitted"` // that were not kept
	MaxBodyBytes        int32    `json:"maxBodyBytes"`
	ValidateMessageType bool     `json:"validateMessageType"`
}

// Subscribed is a consumer's part of its settings.
type Subscribed struct {
	Group                string         `json:"group"`
	FIFO                 bool           `json:"fifo"`
	ReceiveBatchSize     int32          `json:"receiveBatchSize"`
	LongPolling          int64          `json:"longPollingMillis"`
	Subscriptions        []Subscription `json:"subscriptions"`
	SubscriptionsOmitted int            `json:"subscriptionsOmitted"` // that were not kept
}

// Cut is at most n bytes of what a client said; more is told by an ellipsis.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
