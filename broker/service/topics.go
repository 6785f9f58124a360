package service

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/txn"
)

// Names of topics with a meaning (org.apache.rocketmq.common.topic.TopicValidator, MixAll).
const (
	DefaultTopic    = "TBW102"
	RetryPrefix     = "%RETRY%"
	DeadPrefix      = "%DLQ%"
	TraceTopic      = "RMQ_SYS_TRACE_TOPIC"
	defaultQueues   = 8
	createPatience  = 10 * time.Second
	benchmarkQueues = 1024
)

var systemTopics = map[string]bool{
	DefaultTopic: true, timer.ScheduleTopic: true, timer.WheelTopic: true, txn.HalfTopic: true,
	"RMQ_SYS_TRANS_OP_HALF_TOPIC": true, txn.ParkTopic: true, TraceTopic: true, "BenchmarkTest": true,
	"OFFSET_MOVED_EVENT": true, "SELF_TEST_TOPIC": true, "CHECKPOINT_TOPIC": true,
}

// closedTopics take no message from a client.
var closedTopics = map[string]bool{
	DefaultTopic: true, timer.ScheduleTopic: true, txn.HalfTopic: true, "RMQ_SYS_TRANS_OP_HALF_TOPIC": true,
	txn.ParkTopic: true, "SELF_TEST_TOPIC": true, "OFFSET_MOVED_EVENT": true, timer.WheelTopic: true,
}

// CheckTopicName applies TopicValidator's rules: letters, digits, %, |, - and _, at most TopicMax bytes.
func CheckTopicName(name string) *Error {
	return checkName("topic", name, TopicMax)
}

// CheckGroupName is CheckTopicName for a consumer group: at most GroupMax bytes.
func CheckGroupName(name string) *Error { return checkName("group", name, GroupMax) }

func checkName(what, name string, limit int) *Error {
	if strings.TrimSpace(name) == "" {
		return Refuse(CodeInvalidParameter, "The specified %s is blank.", what)
	}
	if len(name) > limit {
		return Refuse(CodeInvalidParameter, "The specified %s is longer than %s max length %d: it has %d bytes.", what, what, limit, len(name))
	}
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("%|-_", c) >= 0 {
			continue
		}
		return Refuse(CodeInvalidParameter, "The specified %s[%q] contains illegal characters, allowing only ^[%%|a-zA-Z0-9_-]+$", what, name)
	}
	return nil
}

func (s *Service) checkSendTopic(name string) *Error {
	if err := CheckTopicName(name); err != nil {
		return err
	}
	if closedTopics[name] || strings.HasPrefix(name, DeadPrefix) {
		return Refuse(CodeNoPermission, "Sending message to topic[%s] is forbidden.", name)
	}
	return nil
}

func topicMissing(name string) *Error {
	return Refuse(CodeTopicNotExist, "topic[%s] not exist, apply first please! See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.", name)
}

// createFor makes the topic of a message: a retry topic as the group needs it, others by the rules of TBW102
// (org.apache.rocketmq.broker.topic.TopicConfigManager createTopicInSendMessageMethod).
func (s *Service) createFor(h *SendHeader) *Error {
	name := string(h.Topic)
	ctx, cancel := context.WithTimeout(context.Background(), createPatience)
	defer cancel()
	s.topicMu.Lock()
	defer s.topicMu.Unlock()
	if _, ok := s.shard.Catalog().Topic(name); ok {
		return nil
	}
	if t, ok := s.ownTopic(name); ok {
		return s.putTopicLocked(ctx, t)
	}
	template, ok := s.shard.Catalog().Topic(string(h.DefaultTopic))
	if !s.opts.AutoCreateTopic || !ok || template.Perm&catalog.PermInherit == 0 {
		return topicMissing(name)
	}
	t := catalog.NewTopic(name, max(1, min(h.DefaultTopicQueueNums, template.WriteQueues)))
	t.Perm = template.Perm &^ catalog.PermInherit
	return s.putTopicLocked(ctx, t)
}

// PutTopic creates or changes a topic and returns when it is applied and the name servers know it.
func (s *Service) PutTopic(ctx context.Context, t catalog.Topic) *Error {
	if err := CheckTopicName(t.Name); err != nil {
		return err
	}
	if t.ReadQueues < 0 || t.WriteQueues < 0 || t.ReadQueues > QueuesMax || t.WriteQueues > QueuesMax || t.ReadQueues+t.WriteQueues == 0 {
		return Refuse(CodeInvalidParameter, "topic[%s]: %d read and %d write queues; from 1 to %d are possible", t.Name, t.ReadQueues, t.WriteQueues, QueuesMax)
	}
	if t.Perm&^7 != 0 {
		return Refuse(CodeInvalidParameter, "topic[%s]: permission %d; bits 4 read, 2 write, 1 inherit are possible", t.Name, t.Perm)
	}
	s.topicMu.Lock()
	defer s.topicMu.Unlock()
	return s.putTopicLocked(ctx, t)
}

func (s *Service) putTopicLocked(ctx context.Context, t catalog.Topic) *Error {
	if t.FilterType == "" {
		t.FilterType = "SINGLE_TAG"
	}
	old, ok := s.shard.Catalog().Topic(t.Name)
	if ok && old.Topic.Equal(t) {
		return nil
	}
	if !ok && s.shard.Catalog().Count() >= TopicsMax {
		return Refuse(CodeSystemError, "topic[%s] not created: there are %d topics, which is the limit", t.Name, TopicsMax)
	}
	if err := s.do(ctx, entry.KindTopicPut, t); err != nil {
		return err
	}
	s.changed(t)
	if !s.IsSystemTopic(t.Name) {
		s.happened("topic", t.Name, "", "topic created or changed")
	}
	return nil
}

func (s *Service) do(ctx context.Context, kind entry.Kind, v any) *Error {
	body, err := json.Marshal(v)
	if err != nil {
		return &Error{CodeSystemError, "not encodable", err}
	}
	return s.refuse(s.shard.Do(ctx, kind, body))
}

func (s *Service) changed(t catalog.Topic) {
	if s.onTopic != nil {
		s.onTopic([]catalog.Topic{t})
	}
}

// DeleteTopic removes a topic with its messages and its groups' offsets.
func (s *Service) DeleteTopic(ctx context.Context, name string) *Error {
	if err := CheckTopicName(name); err != nil {
		return err
	}
	if s.IsSystemTopic(name) {
		return Refuse(CodeNoPermission, "the topic[%s] belongs to the broker and cannot be deleted", name)
	}
	s.topicMu.Lock()
	defer s.topicMu.Unlock()
	if _, ok := s.shard.Catalog().Topic(name); !ok {
		return nil
	}
	if err := s.refuse(s.shard.Do(ctx, entry.KindTopicDelete, []byte(name))); err != nil {
		return err
	}
	s.forgetPulls(func(k offset.Key) bool { return k.Topic == name })
	s.changed(catalog.Topic{Name: name})
	s.happened("topic", name, "", "topic deleted")
	return nil
}

// PutGroup creates or changes a consumer group.
func (s *Service) PutGroup(ctx context.Context, g catalog.Group) *Error {
	if err := checkName("group", g.Name, GroupMax); err != nil {
		return err
	}
	if g.RetryQueues < 0 || g.RetryQueues > QueuesMax {
		return Refuse(CodeInvalidParameter, "group[%s]: retryQueueNums %d; from 0 to %d are possible", g.Name, g.RetryQueues, QueuesMax)
	}
	if _, ok := s.shard.Catalog().Group(g.Name); !ok && s.shard.Catalog().GroupCount() >= GroupsMax {
		return Refuse(CodeSystemError, "group[%s] not created: there are %d groups, which is the limit", g.Name, GroupsMax)
	}
	if err := s.do(ctx, entry.KindGroupPut, g); err != nil {
		return err
	}
	s.happened("group", "", g.Name, "group created or changed")
	return nil
}

// DeleteGroup removes a group and its offsets.
func (s *Service) DeleteGroup(ctx context.Context, name string) *Error {
	if _, ok := s.shard.Catalog().Group(name); !ok {
		return nil
	}
	if err := s.refuse(s.shard.Do(ctx, entry.KindGroupDelete, []byte(name))); err != nil {
		return err
	}
	s.forgetPulls(func(k offset.Key) bool { return k.Group == name })
	s.happened("group", "", name, "group deleted")
	return nil
}

// EnsureGroup is a group's settings; an unknown group is made when that is allowed.
func (s *Service) EnsureGroup(ctx context.Context, name string) (catalog.Group, *Error) {
	if g, ok := s.shard.Catalog().Group(name); ok {
		return g, nil
	}
	g := catalog.NewGroup(name)
	if !s.opts.AutoCreateGroup && !IsSystemGroup(name) {
		return g, Refuse(CodeSubscriptionGroupMissing, "subscription group [%s] does not exist, see https://rocketmq.apache.org/docs/bestPractice/06FAQ", name)
	}
	return g, s.PutGroup(ctx, g)
}

// Topic and the like give the catalog.
func (s *Service) Topic(name string) (catalog.Topic, bool) {
	e, ok := s.shard.Catalog().Topic(name)
	return e.Topic, ok
}

// Topics lists all topics by name.
func (s *Service) Topics() []catalog.Topic {
	entries := s.shard.Catalog().Topics()
	out := make([]catalog.Topic, len(entries))
	for i := range entries {
		out[i] = entries[i].Topic
	}
	return out
}

// Group finds a consumer group's settings.
func (s *Service) Group(name string) (catalog.Group, bool) { return s.shard.Catalog().Group(name) }

// Groups lists all consumer groups by name.
func (s *Service) Groups() []catalog.Group { return s.shard.Catalog().Groups() }

// OnTopicChange registers f to be called (in the goroutine of PutTopic, before it returns) with the changed topics; the
// broker's registration with name servers hangs on it. Deleted topics have permission 0 and no queues. Set it before serving.
func (s *Service) OnTopicChange(f func(changed []catalog.Topic)) {
	s.topicMu.Lock()
	defer s.topicMu.Unlock()
	s.onTopic = f
}

// systemTopics makes the topics and groups that clients and tools expect (rocketmq.md 5.1), and gives the topics that it made.
func (s *Service) systemTopics(ctx context.Context) (made []catalog.Topic, err error) {
	for _, t := range s.wantedTopics() {
		if _, ok := s.shard.Catalog().Topic(t.Name); ok {
			continue
		}
		if err := s.do(ctx, entry.KindTopicPut, t); err != nil {
			return made, err
		}
		made = append(made, t)
	}
	for _, g := range systemGroups {
		if _, ok := s.shard.Catalog().Group(g); ok {
			continue
		}
		if err := s.do(ctx, entry.KindGroupPut, catalog.NewGroup(g)); err != nil {
			return made, err
		}
	}
	return made, nil
}

func (s *Service) wantedTopics() []catalog.Topic {
	topic := func(name string, queues, perm int32) catalog.Topic {
		t := catalog.NewTopic(name, queues)
		t.Perm = perm
		return t
	}
	want := []catalog.Topic{
		topic(DefaultTopic, defaultQueues, 7), topic(timer.ScheduleTopic, int32(len(s.opts.DelayLevels)), 6), topic(timer.WheelTopic, 1, 6),
		topic(txn.HalfTopic, 1, 6), topic("RMQ_SYS_TRANS_OP_HALF_TOPIC", 1, 6), topic(txn.ParkTopic, 1, 6),
		topic("BenchmarkTest", benchmarkQueues, 6), topic(s.opts.Cluster, 16, 7), topic(s.opts.Broker, 1, 7),
		topic(s.opts.Cluster+"_REPLY_TOPIC", 1, 6), topic("rmq_sys_REVIVE_LOG_"+s.opts.Cluster, 8, 6),
		topic("rmq_sys_SYNC_BROKER_MEMBER_"+s.opts.Broker, 1, 6), topic("OFFSET_MOVED_EVENT", 1, 6), topic("SELF_TEST_TOPIC", 1, 6),
	}
	if s.opts.TraceTopic {
		want = append(want, topic(TraceTopic, 1, 6))
	}
	return want
}

var systemGroups = []string{
	"TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "__MONITOR_CONSUMER", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY",
	"CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER", "CID_ONSAPI_PULL", "CID_RMQ_SYS_TRANS",
}

// IsSystemGroup says that a group is the broker's own.
func IsSystemGroup(name string) bool {
	for _, g := range systemGroups {
		if g == name {
			return true
		}
	}
	return strings.HasPrefix(name, "CID_RMQ_SYS_")
}

// EnsureRetryTopic makes a group's retry topic.
func (s *Service) EnsureRetryTopic(ctx context.Context, g catalog.Group) *Error {
	name := RetryPrefix + g.Name
	if _, ok := s.shard.Catalog().Topic(name); ok {
		return nil
	}
	s.topicMu.Lock()
	defer s.topicMu.Unlock()
	return s.putTopicLocked(ctx, catalog.NewTopic(name, g.RetryQueues))
}

// forgetPulls drops who asked last of what is gone.
func (s *Service) forgetPulls(gone func(offset.Key) bool) {
	s.lastPulls.Range(func(k, _ any) bool {
		if gone(k.(offset.Key)) {
			s.lastPulls.Delete(k)
		}
		return true
	})
}
