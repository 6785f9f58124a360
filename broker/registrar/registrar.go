package registrar

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/namesrv"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// NameServer is told of a broker.
type NameServer interface {
	Register(m namesrv.Member, topics []catalog.Topic) error
	Changed(m namesrv.Member, topics []catalog.Topic) error
	Unregister(m namesrv.Member) error
	// Knows says whether the broker is in its routes: a name server that was restarted knows nobody.
	Knows(m namesrv.Member) bool
	String() string
}

const (
	every   = 30 * time.Second // registers all topics
	look    = time.Second      // asks whether it is known
	timeout = 3 * time.Second
)

// Registrar tells all name servers of one broker.
type Registrar struct {
	member  namesrv.Member
	servers []NameServer
	topics  func() []catalog.Topic
	log     *slog.Logger
	stop    chan struct{}
	ended   sync.WaitGroup
}

// Start registers with all name servers and keeps doing so.
func Start(m namesrv.Member, servers []NameServer, topics func() []catalog.Topic, log *slog.Logger) *Registrar {
	r := &Registrar{member: m, servers: servers, topics: topics, log: log, stop: make(chan struct{})}
	for _, s := range servers {
		known := r.register(s, true)
		r.ended.Add(1)
		go r.keep(s, known)
	}
	return r
}

func (r *Registrar) keep(s NameServer, known bool) {
	defer r.ended.Done()
	tick := time.NewTicker(look)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case now := <-tick.C:
			if known && now.Sub(last) < every && s.Knows(r.member) {
				continue
			}
			known, last = r.register(s, known), now
		case <-r.stop:
			return
		}
	}
}

// register says whether it worked; that it does not is logged once until it does.
func (r *Registrar) register(s NameServer, knownBefore bool) bool {
	if err := s.Register(r.member, r.topics()); err != nil {
		if knownBefore {
			r.log.Warn("not registered; it is tried again", "nameServer", s.String(), "err", err)
		}
		return false
	}
	if !knownBefore {
		r.log.Info("registered", "nameServer", s.String())
	}
	return true
}

// Changed tells all name servers of changed topics (one without queues is gone), and returns when they know.
func (r *Registrar) Changed(topics []catalog.Topic) {
	for _, s := range r.servers {
		if err := s.Changed(r.member, topics); err != nil {
			r.log.Warn("change of topics not told; it comes with the next registration", "nameServer", s.String(), "err", err)
		}
	}
}

// Close takes the broker out of the routes.
func (r *Registrar) Close() {
	close(r.stop)
	r.ended.Wait()
	for _, s := range r.servers {
		_ = s.Unregister(r.member) // it would expire by itself
	}
}

// Local is the name server of this process.
type Local struct{ Server *namesrv.Server }

// Register and the like implement NameServer.
func (l Local) Register(m namesrv.Member, topics []catalog.Topic) error {
	return l.Server.Register(m, topics)
}
func (l Local) Changed(m namesrv.Member, topics []catalog.Topic) error {
	l.Server.Topics(m.Broker, topics)
	return nil
}
func (l Local) Unregister(m namesrv.Member) error { l.Server.Unregister(m.Broker, m.ID); return nil }
func (l Local) Knows(namesrv.Member) bool         { return true }
func (l Local) String() string                    { return "in process" }

// Remote is a name server at an address.
type Remote struct {
	mu     sync.Mutex
	client rpc.Client
}

// NewRemote does not dial yet.
func NewRemote(addr string) *Remote {
	return &Remote{client: rpc.Client{Addr: addr, Timeout: timeout}}
}

func (r *Remote) String() string { return r.client.Addr }

func (r *Remote) do(code int32, fields []rpc.Field, body any) error {
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := r.client.Do(code, fields, b)
	if err != nil {
		return err
	}
	if f.Code != 0 {
		return fmt.Errorf("name server %s answered code %d: %s", r.client.Addr, f.Code, f.Remark)
	}
	return nil
}

func memberFields(m namesrv.Member) []rpc.Field {
	return []rpc.Field{
		{Name: "clusterName", Value: m.Cluster}, {Name: "brokerName", Value: m.Broker}, {Name: "brokerAddr", Value: m.Addr},
		{Name: "brokerId", Value: strconv.FormatInt(m.ID, 10)},
	}
}

// Register sends code 103.
func (r *Remote) Register(m namesrv.Member, topics []catalog.Topic) error {
	var body namesrv.Registration
	body.Topics.Table = make(map[string]catalog.Topic, len(topics))
	for _, t := range topics {
		body.Topics.Table[t.Name] = t
	}
	return r.do(wire.RegisterBroker, memberFields(m), body)
}

// Knows asks for the route of the topic that has the broker's name.
func (r *Remote) Knows(m namesrv.Member) bool {
	return r.do(wire.RouteInfo, []rpc.Field{{Name: "topic", Value: m.Broker}}, nil) == nil
}

// Changed sends code 217 for each topic.
func (r *Remote) Changed(m namesrv.Member, topics []catalog.Topic) error {
	for _, t := range topics {
		route := namesrv.Route{Queues: []namesrv.QueueData{{
			Broker: m.Broker, Perm: t.Perm, ReadQueues: t.ReadQueues, WriteQueues: t.WriteQueues, SysFlag: t.SysFlag,
		}}}
		if err := r.do(wire.RegisterTopic, []rpc.Field{{Name: "topic", Value: t.Name}}, route); err != nil {
			return err
		}
	}
	return nil
}

// Unregister sends code 104.
func (r *Remote) Unregister(m namesrv.Member) error {
	return r.do(wire.UnregisterBroker, memberFields(m), nil)
}
