package server

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/contrailmq/contrail/ui/api"
)

// runningInfo is org.apache.rocketmq.remoting.protocol.body.ConsumerRunningInfo.
type runningInfo struct {
	Properties map[string]any `json:"properties"`
	Queues     map[string]struct {
		Committed   int64 `json:"commitOffset"`
		CachedMin   int64 `json:"cachedMsgMinOffset"`
		CachedMax   int64 `json:"cachedMsgMaxOffset"`
		Cached      int64 `json:"cachedMsgCount"`
		Locked      bool  `json:"locked"`
		Dropped     bool  `json:"droped"`
		LastPull    int64 `json:"lastPullTimestamp"`
		LastConsume int64 `json:"lastConsumeTimestamp"`
	} `json:"mqTable"`
	Topics map[string]struct {
		PullRT    float64 `json:"pullRT"`
		PullTPS   float64 `json:"pullTPS"`
		ConsumeRT float64 `json:"consumeRT"`
		OKTPS     float64 `json:"consumeOKTPS"`
		FailedTPS float64 `json:"consumeFailedTPS"`
		Failed    int64   `json:"consumeFailedMsgs"`
	} `json:"statusTable"`
	Stacks string `json:"jstack"`
}

// running reads a client's state. What clients write is not quite JSON.
func running(answer []byte) (out api.Running, err error) {
	if len(answer) <= clientBytesMax {
		answer, err = plainJSON(answer)
	}
	var r runningInfo
	if err == nil {
		err = readClient(answer, &r)
	}
	if err != nil {
		return out, unreadable(err)
	}
	out = api.Running{Properties: map[string]string{}, Stacks: strings.ToValidUTF8(r.Stacks, "?")}
	for name, v := range r.Properties {
		out.Properties[name] = clip(textOf(v))
	}
	for key, q := range r.Queues {
		var at struct {
			Broker  string `json:"brokerName"`
			Topic   string `json:"topic"`
			QueueID int32  `json:"queueId"`
		}
		if json.Unmarshal([]byte(key), &at) != nil {
			continue
		}
		out.Queues = append(out.Queues, api.RunningQueue{
			Broker: at.Broker, Topic: at.Topic, QueueID: at.QueueID, Committed: q.Committed, CachedMin: q.CachedMin, CachedMax: q.CachedMax, Cached: q.Cached,
			Locked: q.Locked, Dropped: q.Dropped, LastPull: q.LastPull, LastConsume: q.LastConsume,
		})
	}
	for topic, n := range r.Topics {
		out.Topics = append(out.Topics, api.RunningTopic{Topic: topic, PullRT: n.PullRT, PullTPS: n.PullTPS, ConsumeRT: n.ConsumeRT, OKTPS: n.OKTPS, FailedTPS: n.FailedTPS, Failed: n.Failed})
	}
	slices.SortFunc(out.Queues, func(a, b api.RunningQueue) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Broker, b.Broker), cmp.Compare(a.QueueID, b.QueueID))
	})
	slices.SortFunc(out.Topics, func(a, b api.RunningTopic) int { return cmp.Compare(a.Topic, b.Topic) })
	if len(out.Stacks) > stackBytesMax {
		out.Stacks, out.Truncated = strings.ToValidUTF8(out.Stacks[:stackBytesMax], ""), true
	}
	return out, nil
}

func textOf(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// plainJSON makes JSON of what RocketMQ's clients write. A map's key may be an object, {{"a":1}:2}: it becomes a text that holds it. A text of
// Go's client may have lines: their ends are escaped. Everything else stays as it is.
func plainJSON(b []byte) ([]byte, error) {
	out := make([]byte, 0, len(b)+len(b)/8)
	var open []byte // brackets
	key := false    // is expected next
	for i := 0; i < len(b); {
		end := i + 1
		switch c := b[i]; {
		case c == '"':
			end = textEnd(b, i)
			key = false
		case c == '{' && key:
			end = i + objectEnd(b[i:])
			key = false
		case c == '{' || c == '[':
			open, key = append(open, c), c == '{'
		case (c == '}' || c == ']') && len(open) > 0:
			open, key = open[:len(open)-1], false
		case c == ',':
			key = len(open) > 0 && open[len(open)-1] == '{'
		}
		if end <= i {
			return nil, fmt.Errorf("what begins at byte %d does not end", i)
		}
		if part := b[i:end]; part[0] == '{' && len(part) > 1 {
			text, _ := json.Marshal(string(part)) // a string always can be
			out = append(out, text...)
		} else {
			out = appendPlain(out, part)
		}
		i = end
	}
	return out, nil
}

// appendPlain adds a part of JSON; control characters of a text are escaped.
func appendPlain(out, part []byte) []byte {
	if part[0] != '"' {
		return append(out, part...)
	}
	for _, c := range part {
		if c < ' ' {
			out = fmt.Appendf(out, `\u%04x`, c)
		} else {
			out = append(out, c)
		}
	}
	return out
}

// textEnd is behind the text that begins at i; -1: it does not end.
func textEnd(b []byte, i int) int {
	for j := i + 1; j < len(b); j++ {
		switch b[j] {
		case '\\':
			j++
		case '"':
			return j + 1
		}
	}
	return -1
}

// objectEnd is behind the object that b begins with; 0: it does not end.
func objectEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			end := textEnd(b, i)
			if end < 0 {
				return 0
			}
			i = end - 1
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
