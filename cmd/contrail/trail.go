package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/vfs"
	"github.com/contrailmq/contrail/tracing/clickhouse"
	"github.com/contrailmq/contrail/tracing/engine"
	"github.com/contrailmq/contrail/tracing/ship"
	"github.com/contrailmq/contrail/tracing/telemetry"
	"github.com/contrailmq/contrail/tracing/trail"
)

const (
	trailOff      = "off"
	trailEmbedded = "embedded"
	fetchAgain    = time.Minute
	engineSoon    = 3 * time.Second // a start takes less: who asks meanwhile waits
)

// trailStore is where the trail goes: an engine of our own or a ClickHouse at an address.
type trailStore struct {
	store    *clickhouse.Store
	tee      trail.Sink // nil: there is none
	mu       sync.Mutex
	shippers []*ship.Shipper // one of each broker group
	engine   atomic.Pointer[engine.Engine]
	why      atomic.Pointer[string] // why there is no engine yet
}

func (t *trailStore) say(why string) { t.why.Store(&why) }

// dial reaches the embedded engine, or says why it is not there.
func (t *trailStore) dial(ctx context.Context) (net.Conn, error) {
	if e := t.engine.Load(); e != nil {
		soon, cancel := context.WithTimeout(ctx, engineSoon)
		defer cancel()
		if err := e.Ready(soon); err != nil && ctx.Err() != nil {
			return nil, err
		}
		return e.Dial(ctx)
	}
	return nil, errors.New(*t.why.Load())
}

// startTrail begins to ship. Nothing here holds up the broker: an engine that must be fetched first is fetched beside it.
func (n *node) startTrail(ctx context.Context) error {
	if n.conf.Trail.Engine == trailOff {
		n.log.Warn("no trail is kept (trail.engine: off)")
		return nil
	}
	t := &trailStore{}
	t.say("the embedded engine is starting")
	o, err := clickhouse.Options{Dial: t.dial, Alone: n.members == nil}, error(nil)
	elsewhere := n.conf.Trail.Engine == trailEmbedded && n.members != nil && n.conf.Trail.Node != n.conf.Replication.ID
	if elsewhere {
		o.Dial = func(ctx context.Context) (net.Conn, error) { return n.members.net.Dial(ctx, n.conf.Trail.Node) }
	}
	if n.conf.Trail.Engine != trailEmbedded {
		if o, err = clickhouseAddress(n.conf.Trail.Engine); err != nil {
			return err
		}
	}
	o.KeepFor, o.Log = time.Duration(n.conf.Trail.KeepFor), n.log
	if t.store, err = clickhouse.Open(ctx, o); err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	n.onStop(func(context.Context) error { return t.store.Close() })
	if n.conf.Trail.Engine == trailEmbedded && !elsewhere {
		n.startEngine(ctx, t)
	}
	n.trail = t
	if n.members != nil {
		n.members.trail.Store(t)
	}
	tee, err := n.startTee(ctx)
	if err != nil {
		return err
	}
	if tee != nil {
		tee = ship.Shared(tee) // a sink belongs to one goroutine, and each broker group has a shipper
	}
	t.tee = tee
	n.onStop(func(context.Context) error { n.endShippers(); return nil })
	for _, b := range n.brokers.all() {
		n.startShipper(ctx, t, b)
	}
	t.store.Follow(t.status)
	return nil
}

// status is that of all broker groups: as far as the one that is the furthest behind.
func (t *trailStore) status() trail.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	var sum trail.Status
	for i, s := range t.shippers {
		one := s.Status()
		if i == 0 {
			sum = one
			continue
		}
		sum.ShippedToMicros = min(sum.ShippedToMicros, one.ShippedToMicros)
		sum.LagMicros, sum.LagEntries = max(sum.LagMicros, one.LagMicros), sum.LagEntries+one.LagEntries
		sum.ShipsLog = sum.ShipsLog || one.ShipsLog
		sum.RowsShipped, sum.RowsNotRecorded = sum.RowsShipped+one.RowsShipped, sum.RowsNotRecorded+one.RowsNotRecorded
		if one.LastErrorMicros > sum.LastErrorMicros {
			sum.LastError, sum.LastErrorMicros = one.LastError, one.LastErrorMicros
		}
	}
	return sum
}

// startShipper ships a broker group's part of the trail, until the stop.
func (n *node) startShipper(ctx context.Context, t *trailStore, b *broker) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.ship(ctx, t, b); err != nil && ctx.Err() == nil {
			n.log.Error("the trail is not shipped any more", "broker", b.name, "err", err)
		}
	}()
	b.endShipper = func() { cancel(); <-ended }
}

func (n *node) endShippers() {
	for _, b := range n.brokers.all() {
		if b.endShipper != nil {
			b.endShipper()
		}
	}
}

func (n *node) ship(ctx context.Context, t *trailStore, b *broker) error {
	o := ship.Options{
		Log: b.svc.Shard(), Notes: b.notes, Store: t.store, FS: vfs.OS{}, Dir: n.shipDir(b),
		Broker: b.name, Node: n.conf.Node, Logger: n.log, Tee: t.tee, Shipped: telemetry.Shipped,
	}
	if n.members != nil {
		if err := b.born(ctx); err != nil {
			return err
		}
		o.Leads, o.Group = b.svc.Leads, fmt.Sprintf("%s/%s/%x", n.conf.Cluster, b.name, b.svc.Shard().Born())
		o.LedBy = func(term uint64) string {
			if id := b.reigns.of(term); id != 0 {
				return n.conf.Replication.name(id)
			}
			return ""
		}
	}
	shipper, err := ship.New(o)
	if err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	t.mu.Lock()
	t.shippers = append(t.shippers, shipper)
	t.mu.Unlock()
	return shipper.Run(ctx)
}

const bornEvery = 100 * time.Millisecond

// born waits until the group has its first entry.
func (b *broker) born(ctx context.Context) error {
	for b.svc.Shard().Born() == 0 {
		select {
		case <-time.After(bornEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// shipDir keeps its name of old where this node is alone.
func (n *node) shipDir(b *broker) string {
	if n.members == nil {
		return filepath.Join(n.conf.trailDir(), "ship")
	}
	return filepath.Join(n.conf.trailDir(), "ship", b.name)
}

// startEngine fetches the library when it must, and supervises the engine.
func (n *node) startEngine(ctx context.Context, t *trailStore) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for ctx.Err() == nil {
			err := n.engineUp(ctx, t)
			if err == nil || ctx.Err() != nil {
				return
			}
			t.say("no embedded engine: " + err.Error())
			n.log.Error("the broker runs without a trail store; messages wait in the log to be shipped", "err", err)
			if errors.Is(err, engine.ErrPlatform) {
				return
			}
			select {
			case <-time.After(fetchAgain):
			case <-ctx.Done():
			}
		}
	}()
	n.onStop(func(context.Context) error {
		cancel()
		wg.Wait()
		if e := t.engine.Load(); e != nil {
			return e.Close()
		}
		return nil
	})
}

func (n *node) engineUp(ctx context.Context, t *trailStore) error {
	last := -1
	library, err := engine.Fetch(ctx, "", func(done, total int64) {
		if p := int(100 * done / max(total, 1)); p/10 != last/10 {
			last = p
			t.say(fmt.Sprintf("the engine's library is being fetched: %d of %d MiB", done>>20, total>>20))
			n.log.Info("fetching the trail engine's library", "MiB", done>>20, "of", total>>20)
		}
	})
	if err != nil {
		return err
	}
	t.say("the embedded engine is starting")
	self, err := os.Executable()
	if err != nil {
		return err
	}
	sockets, err := n.socketDir()
	if err != nil {
		return err
	}
	n.log.Info("trail engine starts", "library", library)
	began := time.Now()
	e, err := engine.Start(context.WithoutCancel(ctx), engine.Options{
		Library: library, Dir: filepath.Join(n.conf.trailDir(), "engine"), Sockets: sockets, Command: []string{self},
		MemoryBytes: n.conf.Trail.MemoryBytes, Log: n.log,
	})
	if err != nil {
		telemetry.EngineStarted(began, library, err)
		return err
	}
	t.engine.Store(e)
	telemetry.EngineStarted(began, library, e.Ready(ctx)) // started is not up; nobody waits for this goroutine but a stop
	return nil
}

// socketDir is trail/run in the data folder, or a temporary folder where that would make a path too long for a socket.
func (n *node) socketDir() (string, error) {
	const longest = 80
	dir, err := filepath.Abs(filepath.Join(n.conf.trailDir(), "run"))
	if err != nil || len(dir) <= longest {
		return dir, err
	}
	if dir, err = os.MkdirTemp("", "contrail-"); err == nil {
		n.onStop(func(context.Context) error { return os.RemoveAll(dir) })
	}
	return dir, err
}

// clickhouseAddress reads clickhouse://user:password@host:port/database?cluster=…&secure=true; the port is that of the HTTP
// interface.
func clickhouseAddress(text string) (o clickhouse.Options, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "clickhouse" || u.Host == "" { // the text may hold a password: it is not repeated
		return o, errors.New("trail.engine: no address; possible are embedded, off, clickhouse://user:password@host:port/database")
	}
	o.Addr, o.User, o.Cluster = u.Host, u.User.Username(), u.Query().Get("cluster")
	o.Password, _ = u.User.Password()
	o.Secure = u.Query().Get("secure") == "true"
	if len(u.Path) > 1 {
		o.Database = u.Path[1:]
	}
	return o, nil
}
