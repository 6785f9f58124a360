package metrics

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/contrailmq/contrail/broker/inspect"
)

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue

	retryPrefix = "%RETRY%"
	// anyTopic stands where a number is known of a group only, and the group has several topics.
	anyTopic = "_all"
)

// Permissions as RocketMQ's bits.
const (
	permRead      = 4
	permReadWrite = 6
)

func (s *scrape) topics() {
	topics := s.o.Source.InspectTopics()
	slices.SortFunc(topics, func(a, b inspect.Topic) int { return cmp.Compare(a.Name, b.Name) })
	s.emit("rocketmq_topic_number", "Topics.", gauge, float64(len(topics)))
	types := make(map[string]string, len(topics))
	for i := range topics {
		t := &topics[i]
		types[t.Name] = messageType(t)
		labels := []string{"topic", t.Name, "message_type", types[t.Name], "is_system", boolText(t.System)}
		s.emit("rocketmq_messages_in_total", "Messages stored since the start.", counter, float64(t.MessagesIn), labels...)
		s.emit("rocketmq_throughput_in_total", "Bytes of messages stored since the start.", counter, float64(t.BytesIn), labels...)
	}
	s.sizes(types)
	permission := permReadWrite
	if s.node.Stopped != "" || !s.node.Leader {
		permission = permRead
	}
	s.emit("rocketmq_broker_permission", "2 write, 4 read, 6 both.", gauge, float64(permission))
}

// handedOut is what went to consumers, by topic and group.
func (s *scrape) handedOut() {
	for _, o := range s.o.Source.InspectOut() {
		labels := []string{"topic", o.Topic, "consumer_group", o.Group, "is_retry", boolText(strings.HasPrefix(o.Topic, retryPrefix)), "is_system", boolText(o.System)}
		s.emit("rocketmq_messages_out_total", "Messages sent to consumers since the start.", counter, float64(o.Messages), labels...)
		s.emit("rocketmq_throughput_out_total", "Bytes of messages sent to consumers since the start.", counter, float64(o.Bytes), labels...)
	}
}

// sizes is the histogram of messages' sizes; types are those of the topics.
func (s *scrape) sizes(types map[string]string) {
	sizes := s.o.Source.InspectSizes()
	slices.SortFunc(sizes, func(a, b inspect.Sizes) int { return cmp.Compare(a.Topic, b.Topic) })
	for _, z := range sizes {
		kind, ok := types[z.Topic]
		if !ok {
			continue // it was deleted meanwhile
		}
		count, buckets := uint64(0), make(map[float64]uint64, len(z.Bounds))
		for i, n := range z.Counts {
			if count += n; i < len(z.Bounds) {
				buckets[float64(z.Bounds[i])] = count
			}
		}
		for _, name := range s.spelled("rocketmq_message_size", "_bytes") {
			s.histogram(name, "Sizes of messages stored since the start, with their properties, in bytes.", count, float64(z.Bytes), buckets, "topic", z.Topic, "message_type", kind)
		}
	}
}

func messageType(t *inspect.Topic) string {
	if kind := t.Attributes["message.type"]; kind != "" {
		return strings.ToLower(kind)
	}
	return "normal"
}

func (s *scrape) groups() {
	groups := s.o.Source.InspectGroups()
	s.known = map[string]inspect.Group{}
	for _, g := range groups {
		s.known[g.Name] = g
	}
	slices.SortFunc(groups, func(a, b inspect.Group) int { return cmp.Compare(a.Name, b.Name) })
	s.emit("rocketmq_consumer_group_number", "Consumer groups.", gauge, float64(len(groups)))
	for i := range groups {
		if g, ok := s.o.Source.InspectGroup(groups[i].Name); ok {
			s.group(&g)
		}
	}
}

// place is a group's standing in one topic.
type place struct {
	topic                  string
	lag, inflight, waiting int64
}

func (s *scrape) group(g *inspect.Group) {
	system := boolText(g.System)
	places := placesOf(g)
	lagging := ""
	for _, p := range places {
		labels := []string{"consumer_group", g.Name, "topic", p.topic, "is_retry", boolText(strings.HasPrefix(p.topic, retryPrefix)), "is_system", system}
		s.emit("rocketmq_consumer_lag_messages", "Messages that the group has not acknowledged.", gauge, float64(p.lag), labels...)
		s.emit("rocketmq_consumer_inflight_messages", "Messages handed out and not acknowledged.", gauge, float64(p.inflight), labels...)
		s.emit("rocketmq_consumer_ready_messages", "Messages not handed out yet.", gauge, float64(p.waiting), labels...)
		if p.lag > 0 && lagging == "" {
			lagging = p.topic
		} else if p.lag > 0 {
			lagging = anyTopic
		}
	}
	if len(places) == 0 {
		return
	}
	if lagging == "" { // nothing is late: of which topic, matters only when there is one
		if lagging = anyTopic; len(places) == 1 {
			lagging = places[0].topic
		}
	}
	late := int64(0)
	if g.OldestWaiting > 0 {
		late = max(0, s.node.Now-g.OldestWaiting)
	}
	s.unit("rocketmq_consumer_lag_latency", "_milliseconds", "Age of the oldest message that the group has not acknowledged, in ms.", gauge, float64(late),
		"consumer_group", g.Name, "topic", lagging, "is_retry", boolText(strings.HasPrefix(lagging, retryPrefix)), "is_system", system)
}

// placesOf sums a group's queues up by topic. What was asked for and what was committed say how much is under way.
func placesOf(g *inspect.Group) []place {
	var places []place
	for i := range g.Queues {
		q := &g.Queues[i]
		if len(places) == 0 || places[len(places)-1].topic != q.Topic { // queues come sorted by topic
			places = append(places, place{topic: q.Topic})
		}
		p := &places[len(places)-1]
		p.lag += q.Lag
		from := max(q.Max-q.Lag, q.Min) // the first that is not acknowledged
		inflight := min(max(0, q.LastPullOff-from), q.Lag)
		p.inflight += inflight
		p.waiting += q.Lag - inflight
	}
	return places
}

// who is a kind of client.
type who struct{ language, version, protocol, group, mode, system string }

var consumeModes = map[string]string{"CONSUME_ACTIVELY": "pull", "CONSUME_PASSIVELY": "push", "CONSUME_POP": "pop"}

func (s *scrape) clients() {
	producers, consumers := map[who]int{}, map[who]int{}
	for _, c := range s.o.Source.InspectClients() {
		kind := who{language: strings.ToLower(c.Language), version: strings.ToLower(c.Version), protocol: strings.ToLower(c.Protocol)}
		if len(c.ProducerOf) > 0 {
			producers[kind]++
		}
		for _, name := range c.ConsumerOf {
			g := s.known[name]
			kind.group, kind.mode, kind.system = name, consumeModes[g.ConsumeType], boolText(g.System)
			consumers[kind]++
		}
	}
	for _, w := range sorted(producers) {
		s.emit("rocketmq_producer_connections", "Connections of producers.", gauge, float64(producers[w]), "language", w.language, "version", w.version, "protocol_type", w.protocol)
	}
	for _, w := range sorted(consumers) {
		s.emit("rocketmq_consumer_connections", "Connections of consumers.", gauge, float64(consumers[w]),
			"language", w.language, "version", w.version, "protocol_type", w.protocol, "consumer_group", w.group, "consume_mode", w.mode, "is_system", w.system)
	}
}

func sorted(m map[who]int) []who {
	all := make([]who, 0, len(m))
	for w := range m {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b who) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.language, b.language), cmp.Compare(a.version, b.version), cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.mode, b.mode))
	})
	return all
}

func (s *scrape) latencies() {
	if s.o.Latency == nil {
		return
	}
	s.o.Latency.each(func(l *latency, rest bool) {
		count, sum, buckets := l.cumulative()
		if count == 0 {
			return
		}
		request, response := requestName(l.code), responseName(l.response)
		if rest {
			request, response = "other", "other"
		}
		for _, name := range s.spelled("rocketmq_rpc_latency", "_milliseconds") {
			s.histogram(name, "How long requests took until they were answered, in ms.", count, sum, buckets,
				"protocol_type", "remoting", "request_code", request, "response_code", response, "is_long_polling", boolText(l.held), "result", "success")
		}
	})
}

// requestNames are RocketMQ's names of the requests that are known here; others go by their number.
var requestNames = map[int32]string{
	10: "send_message", 11: "pull_message", 12: "query_message", 14: "query_consumer_offset", 15: "update_consumer_offset", 17: "update_and_create_topic",
	21: "get_all_topic_config", 26: "get_broker_config", 28: "get_broker_runtime_info", 29: "search_offset_by_timestamp", 30: "get_max_offset", 31: "get_min_offset",
	32: "get_earliest_msg_storetime", 33: "view_message_by_id", 34: "heart_beat", 35: "unregister_client", 38: "get_consumer_list_by_group", 41: "lock_batch_mq",
	42: "unlock_batch_mq", 46: "check_client_config", 200: "update_and_create_subscriptiongroup", 201: "get_all_subscriptiongroup_config", 202: "get_topic_stats_info",
	203: "get_consumer_connection_list", 204: "get_producer_connection_list", 207: "delete_subscriptiongroup", 208: "get_consume_stats", 215: "delete_topic_in_broker",
	300: "query_topic_consume_by_who", 305: "get_system_topic_list_from_broker", 310: "send_message_v2", 320: "send_batch_message", 351: "get_topic_config",
	352: "get_subscriptiongroup_config", 361: "lite_pull_message",
}

func requestName(code int32) string {
	if name, ok := requestNames[code]; ok {
		return name
	}
	return strconv.Itoa(int(code))
}

var responseNames = map[int32]string{
	0: "success", 1: "system_error", 2: "system_busy", 3: "request_code_not_supported", 10: "flush_disk_timeout", 11: "slave_not_available", 12: "flush_slave_timeout",
	13: "message_illegal", 14: "service_not_available", 15: "version_not_supported", 16: "no_permission", 17: "topic_not_exist", 19: "pull_not_found",
	20: "pull_retry_immediately", 21: "pull_offset_moved", 22: "query_not_found", 23: "subscription_parse_failed", 24: "subscription_not_exist", 25: "subscription_not_latest",
	26: "subscription_group_not_exist", 206: "consumer_not_online", 215: "flow_control",
}

func responseName(code int32) string {
	if name, ok := responseNames[code]; ok {
		return name
	}
	return strconv.Itoa(int(code))
}
