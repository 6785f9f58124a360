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
	// Knows says whether the broker is in its routes under its id: a name server that was restarted knows nobody.
	Knows(m namesrv.Member) bool
	String() string
}

const (
	every   = 30 * time.Second // registers all topics
	look    = time.Second      // asks whether it is known
	timeout = 3 * time.Second
	// patience is how long a broker that starts, changes a topic or stops waits for name servers: one that cannot be reached
	// must not hold up what the others know already.
	patience = time.Second
)

// Registrar tells all name servers of one broker.
type Registrar struct {
	mu      sync.Mutex
	member  namesrv.Member
	kicks   []chan struct{} // of each server
	servers []NameServer
	topics  func() []catalog.Topic
	log     *slog.Logger
	stop    chan struct{}
	ended   sync.WaitGroup
}

// Start registers with all name servers and keeps doing so.
func Start(m namesrv.Member, servers []NameServer, topics func() []catalog.Topic, log *slog.Logger) *Registrar {
	r := &Registrar{member: m, servers: servers, topics: topics, log: log, stop: make(chan struct{})}
	for range servers {
		r.kicks = append(r.kicks, make(chan struct{}, 1))
	}
	r.ended.Add(len(servers))
	r.all(func(i int, s NameServer, told func()) {
		known := r.register(s, true)
		told()
		r.keep(s, r.kicks[i], known)
	})
	return r
}

// all does something with each name server at once, and waits until all were told, but not longer than patience.
func (r *Registrar) all(do func(i int, s NameServer, told func())) {
	left := make(chan struct{}, len(r.servers))
	for i, s := range r.servers {
		go do(i, s, func() { left <- struct{}{} })
	}
	enough := time.After(patience)
	for range r.servers {
		select {
		case <-left:
		case <-enough:
			return
		}
	}
}

// SetID says under which id the broker is to be known from now on (0: it leads its group), and in which term. All name servers are
// told at once, without the caller waiting for it.
func (r *Registrar) SetID(id int64, term uint64) {
	r.mu.Lock()
	changed := r.member.ID != id || r.member.Term != term
	r.member.ID, r.member.Term = id, term
	r.mu.Unlock()
	if !changed {
		return
	}
	for _, kick := range r.kicks {
		select {
		case kick <- struct{}{}:
		default:
		}
	}
}

func (r *Registrar) now() namesrv.Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.member
}

func (r *Registrar) keep(s NameServer, kick chan struct{}, known bool) {
	defer r.ended.Done()
	tick := time.NewTicker(look)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case now := <-tick.C:
			if known && now.Sub(last) < every && s.Knows(r.now()) {
				continue
			}
			known, last = r.register(s, known), now
		case <-kick:
			known, last = r.register(s, known), time.Now()
		case <-r.stop:
			return
		}
	}
}

// register says whether it worked; that it does not is logged once until it does.
func (r *Registrar) register(s NameServer, knownBefore bool) bool {
	if err := s.Register(r.now(), r.topics()); err != nil {
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

// Changed tells all name servers of changed topics (one without queues is gone), and returns when they know; one that cannot be
// reached is told with the next registration.
func (r *Registrar) Changed(topics []catalog.Topic) {
	r.all(func(_ int, s NameServer, told func()) {
		defer told()
		if err := s.Changed(r.now(), topics); err != nil {
			r.log.Warn("change of topics not told; it comes with the next registration", "nameServer", s.String(), "err", err)
		}
	})
}

// Close takes the broker out of the routes. What is being said to a name server that does not answer ends by itself.
func (r *Registrar) Close() {
	close(r.stop)
	ended := make(chan struct{})
	go func() { r.ended.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
	}
	r.all(func(_ int, s NameServer, told func()) {
		defer told()
		_ = s.Unregister(r.now()) // it would expire by itself
	})
}

// Local is the name server of this process.
type Local struct{ Server *namesrv.Server }

// Register and the like implement NameServer.
func (l Local) Register(m namesrv.Member, topics []catalog.Topic) error {
	return l.Server.Register(m, topics)
}
func (l Local) Changed(m namesrv.Member, topics []catalog.Topic) error {
	return l.Server.Topics(m, topics)
}
func (l Local) Unregister(m namesrv.Member) error { l.Server.Unregister(m); return nil }
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

func (r *Remote) do(code int32, fields []rpc.Field, body any, answer *[]byte) error {
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
	if answer != nil {
		*answer = append((*answer)[:0], f.Body...)
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
	return r.do(wire.RegisterBroker, withTerm(memberFields(m), m), body, nil)
}

func withTerm(fields []rpc.Field, m namesrv.Member) []rpc.Field {
	if m.Term == 0 {
		return fields
	}
	return append(fields, rpc.Field{Name: namesrv.TermField, Value: strconv.FormatUint(m.Term, 10)})
}

// Knows asks for the route of the topic that has the broker's name.
func (r *Remote) Knows(m namesrv.Member) bool {
	var body []byte
	fields := []rpc.Field{{Name: "topic", Value: m.Broker}, {Name: "acceptStandardJsonOnly", Value: "true"}}
	if r.do(wire.RouteInfo, fields, nil, &body) != nil {
		return false
	}
	var route struct {
		Brokers []struct {
			Addrs  map[string]string `json:"brokerAddrs"`
			Broker string            `json:"brokerName"`
		} `json:"brokerDatas"`
	}
	if json.Unmarshal(body, &route) != nil {
		return true // an old name server of Apache's: its maps with numbers as keys are no JSON
	}
	for _, b := range route.Brokers {
		if b.Broker == m.Broker && b.Addrs[strconv.FormatInt(m.ID, 10)] == m.Addr {
			return true
		}
	}
	return false
}

// Changed sends code 217 for each topic.
func (r *Remote) Changed(m namesrv.Member, topics []catalog.Topic) error {
	for _, t := range topics {
		route := namesrv.Route{Queues: []namesrv.QueueData{{
			Broker: m.Broker, Perm: t.Perm, ReadQueues: t.ReadQueues, WriteQueues: t.WriteQueues, SysFlag: t.SysFlag,
		}}}
		fields := []rpc.Field{{Name: "topic", Value: t.Name}, {Name: "brokerAddr", Value: m.Addr}}
		if err := r.do(wire.RegisterTopic, withTerm(fields, m), route, nil); err != nil {
			return err
		}
	}
	return nil
}

// Unregister sends code 104.
func (r *Remote) Unregister(m namesrv.Member) error {
	return r.do(wire.UnregisterBroker, memberFields(m), nil, nil)
}
