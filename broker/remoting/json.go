package remoting

import (
	"encoding/json"
	"slices"
	"strings"
)

// queueKey is RocketMQ's MessageQueue.
type queueKey struct {
	Broker  string `json:"brokerName"`
	QueueID int32  `json:"queueId"`
	Topic   string `json:"topic"`
}

// byQueue is a map with queues as keys. Apache's tools read and write it as no standard JSON: {{"brokerName":…}:value,…}.
type byQueue[V any] map[queueKey]V

// append appends the map's form; rows are in order, so that answers can be compared.
func (m byQueue[V]) append(dst []byte) ([]byte, error) {
	keys := make([]queueKey, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b queueKey) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.QueueID - b.QueueID)
	})
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		key, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m[k])
		if err != nil {
			return nil, err
		}
		dst = append(append(append(dst, key...), ':'), value...)
	}
	return append(dst, '}'), nil
}

// dataVersion is what lists of settings carry; nobody compares it here.
type dataVersion struct {
	StateVersion int64 `json:"stateVersion"`
	Timestamp    int64 `json:"timestamp"`
	Counter      int64 `json:"counter"`
}
