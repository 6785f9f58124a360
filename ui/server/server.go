package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

// Broker is what the console asks of the broker in this process.
type Broker interface {
	InspectNode() inspect.Node
	InspectTopics() []inspect.Topic
	InspectTopic(name string) (inspect.Topic, bool)
	InspectGroups() []inspect.Group
	InspectGroup(name string) (inspect.Group, bool)
	InspectClients() []inspect.Client
	// InspectClient gives one client with its settings; addr "": of several with the id, the one that was heard last.
	InspectClient(id, addr string) (inspect.ClientDetail, bool)
	// MessagesAt gives the stored bytes of the messages at a log position, one of each broker group that has one there.
	MessagesAt(ctx context.Context, position int64) [][]byte
	// Find gives stored messages by key; unique: by UNIQ_KEY only.
	Find(ctx context.Context, topic, key string, unique bool) ([][]byte, error)
}

// Options configure a Server.
type Options struct {
	Broker   Broker
	Cluster  Cluster      // nil: the cluster cannot be changed
	Operator Operator     // nil: nothing can be done with messages and groups
	Trail    trail.Reader // nil: no trail is kept
	Static   fs.FS        // the built page; nil: the API alone
	Metrics  http.Handler // nil: no /metrics
	Hosts    []string     // names by which browsers may call this, besides addresses, localhost and the machine's own; "*": any
	// NoChanges says why nothing may be changed through this console; "": it may.
	NoChanges string
	Log       *slog.Logger
	Version   string

	// Served is told of each answer of the API, after it; route is the template, not what was asked for. nil: nobody is told.
	Served func(began time.Time, method, route string, status int)
}

// Server is the console. It is an http.Handler; HTTPServer makes the server with the right time-outs around it.
type Server struct {
	o       Options
	hosts   map[string]bool
	handler http.Handler
	static  *static
	posts   []string // paths of what can be changed, as templates
	live    *live
	asking  chan struct{} // requests to the trail under way
	serving chan struct{} // requests under way
	ended   context.Context
	end     context.CancelFunc
	wait    sync.WaitGroup
}

// Requests at a time: askingMax to the trail (a store of two cores is busy with fewer), servingMax of all kinds.
const (
	askingMax  = 16
	servingMax = 256
)

// New makes the console and starts its sampler.
func New(o Options) (*Server, error) {
	if o.Broker == nil {
		return nil, errors.New("console: no broker")
	}
	if o.Trail == nil {
		o.Trail = noTrail{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, hosts: hostNames(o.Hosts), asking: make(chan struct{}, askingMax), serving: make(chan struct{}, servingMax)}
	s.ended, s.end = context.WithCancel(context.Background())
	s.live = newLive(o.Broker, o.Trail)
	if o.Static != nil {
		var err error
		if s.static, err = newStatic(o.Static); err != nil {
			return nil, err
		}
	}
	s.handler = s.guard(http.NewCrossOriginProtection().Handler(s.routes()))
	s.wait.Go(func() { s.live.run(s.ended) })
	return s, nil
}

// Close ends the sampler and all streams. Call it before the http.Server's Shutdown, which waits for streams.
func (s *Server) Close() error {
	s.end()
	s.wait.Wait()
	return nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// HTTPServer is a server for h with time-outs that a slow or silent client meets. Answers have their own deadlines, because
// streams last longer.
func HTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

func (s *Server) routes() http.Handler {
	e := echo.New()
	e.HTTPErrorHandler = s.failed
	v1 := e.Group("/api/v1")
	for path, h := range map[string]echo.HandlerFunc{
		"/overview": s.overview, "/node": s.node, "/trail": s.trailStatus, "/topics": s.topics, "/topics/:topic": s.topic,
		"/groups": s.groups, "/groups/:group": s.group, "/clients": s.clients, "/clients/:client": s.client, "/cluster": s.cluster, "/messages": s.messages, "/messages/stream": s.messagesStream,
		"/messages/:id": s.message, "/messages/:id/body": s.messageBody, "/messages/:id/raw": s.messageRaw,
		"/scheduled": s.scheduled, "/scheduled/next": s.scheduledNext, "/transactions": s.transactions, "/dead-letters/:group": s.deadLetters,
		"/dead-letters/:group/export": s.exportLetters, "/actions": s.actions, "/happenings": s.happenings, "/rates": s.rates, "/live": s.liveStream, "/openapi.json": s.document,
	} {
		h = s.told(h)
		v1.GET(path, h)
		v1.HEAD(path, h)
	}
	s.changes(v1)
	e.GET("/healthz", s.healthz)
	e.GET("/readyz", s.readyz)
	e.GET("/metrics", func(c echo.Context) error {
		if s.o.Metrics == nil {
			return notFound("no metrics are served", c.Request().URL.Path) // not the page: a scraper would try to read it
		}
		s.o.Metrics.ServeHTTP(c.Response(), c.Request())
		return nil
	})
	s.debug(e)
	e.Any("/api/*", func(c echo.Context) error { return notFound("no such endpoint", c.Request().URL.Path) })
	e.Any("/*", s.page)
	return e
}

// told tells how a request was answered. An error is answered here already, because only then its status is known.
func (s *Server) told(h echo.HandlerFunc) echo.HandlerFunc {
	if s.o.Served == nil {
		return h
	}
	return func(c echo.Context) error {
		began, status := time.Now(), http.StatusInternalServerError // what a panic is answered with
		defer func() { s.o.Served(began, c.Request().Method, c.Path(), status) }()
		if err := h(c); err != nil {
			c.Error(err)
		}
		status = c.Response().Status
		return nil
	}
}

// debug serves profiles to this machine only: they show what is in memory.
func (s *Server) debug(e *echo.Echo) {
	here := func(h http.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !fromHere(c.Request()) {
				return notFound("no such page", c.Request().URL.Path)
			}
			h(c.Response(), c.Request())
			return nil
		}
	}
	e.GET("/debug/pprof/*", here(pprof.Index))
	e.GET("/debug/pprof/profile", here(pprof.Profile))
	e.GET("/debug/pprof/trace", here(pprof.Trace))
	e.GET("/debug/pprof/symbol", here(pprof.Symbol))
}

func (s *Server) document(c echo.Context) error {
	return s.blob(c, "application/json", api.Document)
}

// healthz says that the process answers; readyz that the broker serves. The trail is not part of it: the broker works
// without.
func (s *Server) healthz(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

func (s *Server) readyz(c echo.Context) error {
	n := s.o.Broker.InspectNode()
	switch {
	case n.Stopped != "":
		return c.String(http.StatusServiceUnavailable, "the broker stopped: "+n.Stopped+"\n")
	case !n.Leader:
		return c.String(http.StatusServiceUnavailable, "this node does not lead its broker group\n")
	}
	return c.String(http.StatusOK, "ready\n")
}

// hostNames are the names by which this console may be called.
func hostNames(more []string) map[string]bool {
	names := map[string]bool{"localhost": true}
	if own, err := os.Hostname(); err == nil {
		names[strings.ToLower(own)] = true
	}
	for _, n := range more {
		names[strings.ToLower(n)] = true
	}
	return names
}

// noTrail answers where no trail is kept.
type noTrail struct{}

const noTrailText = "no trail is kept (trail.engine: off)"

func (noTrail) Search(context.Context, trail.Query) (trail.Matches, error) {
	return trail.Matches{Answer: trail.NotRecorded, Reason: noTrailText}, nil
}

func (noTrail) Life(context.Context, string) (trail.Life, error) {
	return trail.Life{Answer: trail.NotRecorded, Reason: noTrailText}, nil
}

func (noTrail) Happenings(context.Context, int64, int64, int) ([]trail.Happening, error) {
	return nil, errNoTrail
}

func (noTrail) Rates(context.Context, int64, int64, int64, string, string) ([]trail.Rate, error) {
	return nil, errNoTrail
}

func (noTrail) Status() trail.Status { return trail.Status{StoreText: noTrailText} }

var errNoTrail = errors.New(noTrailText)
