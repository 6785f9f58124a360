package service

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/contrailmq/contrail/broker/catalog"
)

// Which way a group asks for a topic's messages (org.apache.rocketmq.broker.loadbalance.MessageRequestModeManager). The mode is kept
// as an attribute of the topic, so it is in the log as the topic is, and a change of the topic's other settings leaves it.
const (
	ModePull  = "PULL"
	ModePop   = "POP"
	modeStart = "message.request.mode."
	modesMax  = 1000 // of one topic
)

// RequestMode is a group's mode for a topic (SetMessageRequestModeRequestBody).
type RequestMode struct {
	Topic    string `json:"topic"`
	Group    string `json:"consumerGroup"`
	Mode     string `json:"mode"`
	PopShare int32  `json:"popShareQueueNum"` // with how many other clients a client shares its queues; <= 0: with all
}

// SetRequestMode sets a mode (code 401).
func (s *Service) SetRequestMode(ctx context.Context, m RequestMode) *Error {
	if err := s.refuseToLead(); err != nil {
		return err
	}
	if strings.HasPrefix(m.Topic, RetryPrefix) {
		return Refuse(CodeNoPermission, "retry topic is not allowed to set mode")
	}
	if m.Mode != ModePull && m.Mode != ModePop {
		return Refuse(CodeInvalidParameter, "mode %.40q: %s and %s are possible", m.Mode, ModePull, ModePop)
	}
	if err := checkName("group", m.Group, GroupMax); err != nil {
		return err
	}
	if _, ok := s.shard.Catalog().Topic(m.Topic); !ok {
		return Refuse(CodeTopicNotExist, "topic[%s] not exist", m.Topic)
	}
	if _, err := s.EnsureGroup(ctx, m.Group); err != nil {
		return err
	}
	s.topicMu.Lock()
	defer s.topicMu.Unlock()
	e, ok := s.shard.Catalog().Topic(m.Topic)
	if !ok {
		return Refuse(CodeTopicNotExist, "topic[%s] not exist", m.Topic)
	}
	t := e.Topic
	if t.Attributes = maps.Clone(t.Attributes); t.Attributes == nil {
		t.Attributes = map[string]string{}
	}
	t.Attributes[modeStart+m.Group] = m.Mode + " " + strconv.Itoa(int(m.PopShare))
	if n := len(modesOf(t)); n > modesMax {
		return Refuse(CodeSystemError, "mode of group [%s] not set: topic[%s] has %d of them, which is the limit", m.Group, m.Topic, modesMax)
	}
	return s.putTopicLocked(ctx, t)
}

// RequestModeOf is a group's mode for a topic: PULL unless it was set.
func (s *Service) RequestModeOf(topic, group string) RequestMode {
	e, _ := s.shard.Catalog().Topic(topic)
	if text, ok := e.Attributes[modeStart+group]; ok {
		return parseMode(topic, group, text)
	}
	return RequestMode{Topic: topic, Group: group, Mode: ModePull}
}

func parseMode(topic, group, text string) RequestMode {
	mode, share, _ := strings.Cut(text, " ")
	n, _ := strconv.ParseInt(share, 10, 32) // what is not readable shares with all
	return RequestMode{topic, group, mode, int32(n)}
}

func modesOf(t catalog.Topic) (out []RequestMode) {
	for name, text := range t.Attributes {
		if group, ok := strings.CutPrefix(name, modeStart); ok {
			out = append(out, parseMode(t.Name, group, text))
		}
	}
	return out
}

// RequestModes lists all that were set (code 402), by topic and group.
func (s *Service) RequestModes() map[string]map[string]RequestMode {
	out := map[string]map[string]RequestMode{}
	for _, t := range s.Topics() {
		for _, m := range modesOf(t) {
			if out[t.Name] == nil {
				out[t.Name] = map[string]RequestMode{}
			}
			out[t.Name][m.Group] = m
		}
	}
	return out
}

// Strategies of assignment (org.apache.rocketmq.client.consumer.rebalance).
var strategies = map[string]func(at, clients int, queues []QueueKey) []QueueKey{"AVG": averagely, "AVG_BY_CIRCLE": byCircle}

// Assign gives the queues that a client of a group asks (QueryAssignmentProcessor): queues are those of the topic in the whole cluster, and
// clients those of the group, both in order. false: it cannot be told, and the client keeps what it has.
func Assign(m RequestMode, strategy, client string, queues []QueueKey, clients []string) ([]QueueKey, bool) {
	allocate, at := strategies[strategy], slices.Index(clients, client)
	switch {
	case allocate == nil || len(queues) == 0 || len(clients) == 0:
		return nil, false
	case m.Mode == ModePop && (m.PopShare <= 0 || int(m.PopShare) >= len(clients)-1):
		return wholeBrokers(queues), true
	case at < 0:
		return nil, true
	case m.Mode == ModePop && len(clients) > len(queues):
		return queues[at%len(queues) : at%len(queues)+1], true
	}
	out := slices.Clone(allocate(at, len(clients), queues))
	for i := 1; m.Mode == ModePop && i <= int(m.PopShare); i++ {
		out = append(out, allocate((at+i)%len(clients), len(clients), queues)...)
	}
	return out, true
}

// wholeBrokers is one entry for each broker: its clients pop of any queue.
func wholeBrokers(queues []QueueKey) (out []QueueKey) {
	for _, q := range queues {
		if q.QueueID = anyQueue; !slices.Contains(out, q) {
			out = append(out, q)
		}
	}
	return out
}

func averagely(at, clients int, queues []QueueKey) []QueueKey {
	n, more := len(queues)/clients, len(queues)%clients
	from := at*n + min(at, more)
	if at < more {
		n++
	}
	return queues[from : from+n]
}

func byCircle(at, clients int, queues []QueueKey) (out []QueueKey) {
	for ; at < len(queues); at += clients {
		out = append(out, queues[at])
	}
	return out
}

// NameServers are the addresses that clients are told to use.
func (s *Service) NameServers() []string {
	return strings.FieldsFunc(s.opts.NameServer, func(r rune) bool { return r == ';' })
}
