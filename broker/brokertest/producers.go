package brokertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/namesrv"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// Places of a cluster's queues.
type Place struct {
	Group         string
	Queue, Offset int64
}

// Sent is the history of one message.
type Sent struct {
	ID            string
	Worker        int
	Invoked, Done time.Time
	Tries         int
	Unknown       int // tries after which it may be stored or not
	Acked         bool
	At            Place // of an acked one
	Why           string
}

// Producers send as official ones do: a route that is asked for now and then, one queue after the other, and when a try fails
// the next goes to another broker group, with the same unique id. A worker has one request in flight.
type Producers struct {
	Topic    string
	Workers  int
	Tries    int           // of one message; official ones try three times
	Pause    time.Duration // between two messages of a worker
	OneQueue bool          // ordered: a worker always uses the same queue, and tries until it is acked
	Body     int
	Servers  []string
	RouteFor time.Duration // official clients ask again after 30 s; less, where a group's own gap is measured

	mu     sync.Mutex
	hist   []Sent
	acks   []ack
	number atomic.Int64
	route  atomic.Pointer[map[string]string]
	stop   chan struct{}
	done   sync.WaitGroup
}

type ack struct {
	at    time.Time
	group string
}

// idPrefix marks what this program sent.
const idPrefix = "7F00000100002A9F"

// Start begins to send, once a name server knows all groups.
func (p *Producers) Start() error {
	p.stop = make(chan struct{})
	p.refresh(0)
	for range 100 {
		if len(p.routes()) == len(Groups) {
			break
		}
		time.Sleep(100 * time.Millisecond)
		p.refresh(rand.IntN(len(p.Servers)))
	}
	if len(p.routes()) != len(Groups) {
		return fmt.Errorf("the name servers know %v", p.routes())
	}
	p.done.Add(1 + p.Workers)
	go p.refresher()
	for w := range p.Workers {
		go p.worker(w)
	}
	return nil
}

// Stop ends sending; requests under way are waited for.
func (p *Producers) Stop() {
	close(p.stop)
	p.done.Wait()
}

func (p *Producers) stopped() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

func (p *Producers) routes() map[string]string {
	if m := p.route.Load(); m != nil {
		return *m
	}
	return nil
}

func (p *Producers) refresher() {
	defer p.done.Done()
	server := 0
	for {
		select {
		case <-p.stop:
			return
		case <-time.After(p.RouteFor):
			for range p.Servers { // an official client keeps to one until it fails; these stand for clients of all of them
				known := p.refresh(server)
				if server = (server + 1) % len(p.Servers); known {
					break
				}
			}
		}
	}
}

// refresh asks a name server where the leaders are; what it does not know stays as it was.
func (p *Producers) refresh(server int) bool {
	leaders, err := askRoute(p.Servers[server])
	if err != nil {
		return false
	}
	next := map[string]string{}
	for g, a := range p.routes() {
		next[g] = a
	}
	for g, a := range leaders {
		next[g] = a
	}
	p.route.Store(&next)
	return true
}

// askRoute gives each group's leader as a name server knows it.
func askRoute(server string) (map[string]string, error) {
	c := rpc.Client{Addr: server, Timeout: 2 * time.Second}
	defer c.Close()
	f, err := c.Do(wire.RouteInfo, []rpc.Field{{Name: "topic", Value: "TBW102"}}, nil)
	if err != nil {
		return nil, err
	}
	if f.Code != 0 {
		return nil, fmt.Errorf("route: code %d %s", f.Code, f.Remark)
	}
	var r namesrv.Route
	if err := json.Unmarshal(f.Body, &r); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, b := range r.Brokers {
		if a := b.Addrs["0"]; a != "" {
			out[b.Broker] = a
		}
	}
	return out, nil
}

func (p *Producers) worker(w int) {
	defer p.done.Done()
	clients := map[string]*rpc.Client{}
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for turn := w; !p.stopped(); turn++ {
		s := Sent{ID: fmt.Sprintf("%s%016X", idPrefix, p.number.Add(1)), Worker: w, Invoked: time.Now()}
		p.deliver(&s, turn, clients)
		s.Done = time.Now()
		p.mu.Lock()
		p.hist = append(p.hist, s)
		if s.Acked {
			p.acks = append(p.acks, ack{s.Done, s.At.Group})
		}
		p.mu.Unlock()
		time.Sleep(p.Pause)
	}
}

// deliver tries until the message is acked, or often enough.
func (p *Producers) deliver(s *Sent, turn int, clients map[string]*rpc.Client) {
	last := ""
	for s.Tries < p.Tries || p.OneQueue && !p.stopped() {
		group, queue := p.choose(s.Worker, turn+s.Tries, last)
		addr := p.routes()[group]
		c := clients[addr]
		if c == nil {
			c = &rpc.Client{Addr: addr, Timeout: 3 * time.Second}
			clients[addr] = c
		}
		s.Tries++
		offset, err := p.try(c, s.ID, queue)
		if err == nil {
			s.Acked, s.At = true, Place{group, queue, offset}
			return
		}
		if !isDefinite(err) {
			s.Unknown++
		}
		s.Why, last = err.Error(), group
		time.Sleep(5 * time.Millisecond)
	}
}

// choose gives the next queue, of another group than last.
func (p *Producers) choose(w, turn int, last string) (string, int64) {
	if p.OneQueue {
		return Groups[w%len(Groups)], int64(w/len(Groups)) % Queues
	}
	g := Groups[turn%len(Groups)]
	if g == last {
		g = Groups[(turn+1)%len(Groups)]
	}
	return g, int64(turn/len(Groups)) % Queues
}

// definiteError says that nothing was stored.
type definiteError struct{ error }

func isDefinite(err error) bool {
	var d definiteError
	var op *net.OpError
	return errors.As(err, &d) || errors.As(err, &op) && op.Op == "dial"
}

func (p *Producers) try(c *rpc.Client, id string, queue int64) (int64, error) {
	f, err := c.Do(wire.SendMessageV2, []rpc.Field{
		{Name: "a", Value: "chaos"}, {Name: "b", Value: p.Topic}, {Name: "c", Value: "TBW102"}, {Name: "d", Value: strconv.Itoa(Queues)},
		{Name: "e", Value: strconv.FormatInt(queue, 10)}, {Name: "f", Value: "0"}, {Name: "g", Value: strconv.FormatInt(time.Now().UnixMilli(), 10)},
		{Name: "h", Value: "0"}, {Name: "i", Value: "UNIQ_KEY\x01" + id + "\x02KEYS\x01key-" + id + "\x02"},
	}, bodyOf(id, p.Body))
	if err != nil {
		return 0, err
	}
	if f.Code != 0 {
		err := fmt.Errorf("code %d %s", f.Code, f.Remark)
		if f.Code == 1 && strings.Contains(string(f.Remark), "NOT KNOWN") {
			return 0, err
		}
		return 0, definiteError{err}
	}
	if got, _ := f.Int("queueId", -1); got != queue {
		return 0, fmt.Errorf("queue %d was asked for, %d answered", queue, got)
	}
	return f.Int("queueOffset", -1)
}

// bodyOf is a body that tells its message's id again and again, so that mixed-up bytes are seen.
func bodyOf(id string, n int) []byte {
	b := make([]byte, 0, n+len(id))
	for len(b) < n {
		b = append(b, id...)
	}
	return b[:n]
}

// History is what was sent until now.
func (p *Producers) History() []Sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.hist)
}

// AckedSince counts acks of a group (empty: all) after a time.
func (p *Producers) AckedSince(group string, since time.Time) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.acks) - 1; i >= 0 && p.acks[i].at.After(since); i-- {
		if group == "" || p.acks[i].group == group {
			n++
		}
	}
	return n
}

// Gap is the longest time without an ack of a group (empty: of any) between from and to.
func (p *Producers) Gap(group string, from, to time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, longest := from, time.Duration(0)
	for _, a := range p.acks {
		if group != "" && a.group != group || a.at.Before(from) || a.at.After(to) {
			continue
		}
		longest, last = max(longest, a.at.Sub(last)), a.at
	}
	return max(longest, to.Sub(last))
}
