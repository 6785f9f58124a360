package metrics

import (
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/contrailmq/contrail/broker/inspect"
)

// collector reads the sources at a scrape. It describes nothing beforehand, because the node's labels are the source's.
type collector struct {
	o       Options
	dropped atomic.Uint64
}

func newCollector(o Options) *collector { return &collector{o: o} }

// Describe describes nothing: registering checks such a collector at each scrape instead.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.scrape(out)
	s.topics()
	s.groups()
	s.handedOut()
	s.clients()
	s.latencies()
	s.log()
	s.front()
	s.trail()
	s.waiting()
	dropped := c.dropped.Add(s.dropped)
	s.own("metrics_series_dropped_total", "Series that were left out of scrapes because their family had too many.", prometheus.CounterValue, float64(dropped))
}

// scrape is one scrape under way.
type scrape struct {
	o       *Options
	out     chan<- prometheus.Metric
	node    inspect.Node
	known   map[string]inspect.Group // without their queues
	base    []string                 // values of cluster, node_type, node_id
	counts  map[string]int           // series per family
	descs   map[string]*prometheus.Desc
	dropped uint64
}

func (c *collector) scrape(out chan<- prometheus.Metric) *scrape {
	n := c.o.Source.InspectNode()
	return &scrape{o: &c.o, out: out, node: n, base: []string{n.Cluster, "broker", n.NodeID}, counts: map[string]int{}, descs: map[string]*prometheus.Desc{}}
}

var baseLabels = []string{"cluster", "node_type", "node_id"}

// desc gives a family's description; labels are the same at every call of a scrape.
func (s *scrape) desc(name, help string, labels []string) *prometheus.Desc {
	d := s.descs[name]
	if d == nil {
		d = prometheus.NewDesc(name, help, append(append([]string{}, baseLabels...), labels...), nil)
		s.descs[name] = d
	}
	return d
}

// admit counts a series of a family.
func (s *scrape) admit(name string) bool {
	if s.counts[name] >= SeriesMax {
		s.dropped++
		return false
	}
	s.counts[name]++
	return true
}

// emit sends one value. labels are name, value pairs.
func (s *scrape) emit(name, help string, kind prometheus.ValueType, value float64, labels ...string) {
	if !s.admit(name) {
		return
	}
	names, values := s.split(labels)
	if m, err := prometheus.NewConstMetric(s.desc(name, help, names), kind, value, values...); err == nil {
		s.out <- m
	}
}

// histogram sends one histogram; buckets are cumulative.
func (s *scrape) histogram(name, help string, count uint64, sum float64, buckets map[float64]uint64, labels ...string) {
	if !s.admit(name) {
		return
	}
	names, values := s.split(labels)
	if m, err := prometheus.NewConstHistogram(s.desc(name, help, names), count, sum, buckets, values...); err == nil {
		s.out <- m
	}
}

// split gives names and values of labels, the base's values first. A client may write what is no text.
func (s *scrape) split(labels []string) (names, values []string) {
	values = append(values, s.base...)
	for i := 0; i+1 < len(labels); i += 2 {
		names = append(names, labels[i])
		values = append(values, strings.ToValidUTF8(labels[i+1], "?"))
	}
	return names, values
}

// unit sends a value under the documented name, the one with its unit, or both.
func (s *scrape) unit(name, suffix, help string, kind prometheus.ValueType, value float64, labels ...string) {
	for _, n := range s.spelled(name, suffix) {
		s.emit(n, help, kind, value, labels...)
	}
}

func (s *scrape) spelled(name, suffix string) []string {
	switch s.o.Names {
	case NamesDocs:
		return []string{name}
	case NamesSuffixed:
		return []string{name + suffix}
	}
	return []string{name, name + suffix}
}

// own sends one of our own: they have the same labels as RocketMQ's.
func (s *scrape) own(name, help string, kind prometheus.ValueType, value float64, labels ...string) {
	s.emit("contrail_"+name, help, kind, value, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
