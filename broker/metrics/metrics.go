package metrics

import (
	"errors"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Names says which spellings of names with a unit are served.
type Names string

// Spellings.
const (
	NamesBoth     Names = "both"
	NamesDocs     Names = "docs"     // rocketmq_rpc_latency
	NamesSuffixed Names = "suffixed" // rocketmq_rpc_latency_milliseconds
)

// SeriesMax bounds the series of one family, as RocketMQ does.
const SeriesMax = 50_000

// Options configure Metrics. Only Source is needed.
type Options struct {
	Source            Source
	Front             func() Front   // nil: no port's numbers
	Trail             func() Trail   // nil: no trail is kept
	Waiting           func() Waiting // scheduled messages and transactions; nil: not told
	Latency           *RPCLatency    // nil: no rocketmq_rpc_latency
	Version, Revision string
	Names             Names // "": both
}

// Metrics is a registry with all of the process's metrics.
type Metrics struct {
	registry *prometheus.Registry
}

// New makes the metrics.
func New(o Options) (*Metrics, error) {
	if o.Source == nil {
		return nil, errors.New("metrics: no source")
	}
	if o.Names == "" {
		o.Names = NamesBoth
	}
	if !slices.Contains([]Names{NamesBoth, NamesDocs, NamesSuffixed}, o.Names) {
		return nil, errors.New("metrics: names are both, docs or suffixed, not " + string(o.Names))
	}
	m := &Metrics{registry: prometheus.NewRegistry()}
	for _, c := range []prometheus.Collector{
		newCollector(o), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(o),
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Registerer takes metrics of other packages.
func (m *Metrics) Registerer() prometheus.Registerer { return m.registry }

// Limits of scrapes.
const (
	scrapesMax    = 4 // at a time
	scrapeTimeout = 20 * time.Second
)

// Handler serves them. One family that fails does not take the others with it.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapesMax, Timeout: scrapeTimeout, ErrorHandling: promhttp.ContinueOnError, Registry: m.registry, EnableOpenMetrics: true,
	})
}

func buildInfo(o Options) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "contrail_build_info", Help: "1, with the build in its labels.",
		ConstLabels: prometheus.Labels{"version": o.Version, "revision": o.Revision, "goversion": runtime.Version()},
	})
	g.Set(1)
	return g
}
