package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/tracing/telemetry"
)

// config is a node's settings. Every field has a default that makes a single node work.
type config struct {
	Cluster string   `yaml:"cluster"` // RocketMQ's cluster name
	Broker  string   `yaml:"broker"`  // broker group's name
	Node    string   `yaml:"node"`    // this process
	Roles   []string `yaml:"roles"`   // namesrv, broker, console
	Dir     string   `yaml:"dir"`     // data

	NameServer struct {
		Listen    string   `yaml:"listen"`
		Addresses []string `yaml:"addresses"` // where the broker registers; empty: the own one
		// AcceptBrokers lets brokers of other processes register; by default only where no broker runs beside it.
		AcceptBrokers *bool `yaml:"acceptBrokers"`
	} `yaml:"nameServer"`

	Remoting struct {
		Listen    string `yaml:"listen"`
		Advertise string `yaml:"advertise"` // ip:port that clients dial; empty: found by itself
	} `yaml:"remoting"`

	GRPC grpcConfig `yaml:"grpc"` // where 5.x clients connect

	Console struct {
		Listen string `yaml:"listen"`
		// Actions is false for a console that is read-only.
		Actions bool `yaml:"actions"`
		// AllowChanges lets the page's API change the cluster, topics, groups and messages; by default only where it listens on loopback.
		AllowChanges *bool    `yaml:"allowChanges"`
		Hosts        []string `yaml:"hosts"` // names under which browsers reach it besides addresses and localhost
	} `yaml:"console"`

	Debug struct {
		Listen string `yaml:"listen"` // pprof, loopback only; empty: off
	} `yaml:"debug"`

	Log struct {
		SegmentBytes int64    `yaml:"segmentBytes"`
		Ack          string   `yaml:"ack"` // fdatasync or page-cache
		KeepFor      duration `yaml:"keepFor"`
		KeepBytes    int64    `yaml:"keepBytes"` // 0: no limit
		MaxMessage   int      `yaml:"maxMessageBytes"`
		AutoTopic    bool     `yaml:"autoCreateTopic"`
		AutoGroup    bool     `yaml:"autoCreateGroup"`
		TraceTopic   bool     `yaml:"traceTopic"`
	} `yaml:"log"`

	Timers timersConfig `yaml:"timers"`

	Transactions transactionsConfig `yaml:"transactions"`

	Trail struct {
		Engine      string   `yaml:"engine"` // embedded, off, or the address of a ClickHouse (clickhouse://user:password@host:port/database)
		KeepFor     duration `yaml:"keepFor"`
		MemoryBytes int64    `yaml:"memoryBytes"` // cap of the embedded engine
		Node        uint64   `yaml:"node"`        // of a cluster: whose embedded engine keeps the trail; 0: the first founder's

		OTLP trailReceiver `yaml:"otlp"` // a second way out for a sample of the messages' spans
	} `yaml:"trail"`

	Telemetry receiver `yaml:"telemetry"` // of what this process itself does

	Replication replication `yaml:"replication"` // several nodes; absent: this one alone
}

// duration reads Go's form, 72h.
type duration time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is no duration like 72h", n.Line, n.Value)
	}
	*d = duration(v)
	return nil
}

// Roles of a process.
const (
	roleNamesrv = "namesrv"
	roleBroker  = "broker"
	roleConsole = "console"
)

func defaultConfig() config {
	var c config
	c.Cluster, c.Broker, c.Node, c.Dir = "DefaultCluster", "broker-a", "node-1", "data"
	c.Roles = []string{roleNamesrv, roleBroker, roleConsole}
	c.NameServer.Listen, c.Remoting.Listen, c.GRPC.Listen, c.Console.Listen = ":9876", ":10911", ":8081", "127.0.0.1:8080"
	c.GRPC.TLS = tlsPermissive
	c.Console.Actions = true
	c.Log.SegmentBytes, c.Log.Ack, c.Log.KeepFor = 128<<20, "fdatasync", duration(72*time.Hour)
	c.Log.MaxMessage, c.Log.AutoTopic, c.Log.AutoGroup, c.Log.TraceTopic = 4<<20, true, true, true
	c.Timers.MaxDelay = duration(service.MaxDelayDefault)
	c.Transactions = defaultTransactions()
	c.Trail.Engine, c.Trail.KeepFor, c.Trail.MemoryBytes = trailEmbedded, duration(7*24*time.Hour), 1<<30
	c.Trail.OTLP.Protocol, c.Trail.OTLP.Sample, c.Telemetry.Protocol = telemetry.ProtocolHTTP, sampleDefault, telemetry.ProtocolHTTP
	return c
}

// loadConfig reads a file over the defaults; an unknown field is an error, because it is a typing mistake.
func loadConfig(path string) (config, error) {
	c := defaultConfig()
	if path == "" {
		return c, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("configuration %s: %s", path, goTypes.ReplaceAllString(err.Error(), ""))
	}
	return c, nil
}

// goTypes are names of this program's insides in yaml's errors.
var goTypes = regexp.MustCompile(` in type main\.\w+`)

// check names the field, its value and what is possible.
func (c *config) check() error {
	for _, r := range c.Roles {
		if !slices.Contains([]string{roleNamesrv, roleBroker, roleConsole}, r) {
			return fmt.Errorf("roles: %q; possible are namesrv, broker, console", r)
		}
	}
	if len(c.Roles) == 0 {
		return errors.New("roles: none; possible are namesrv, broker, console")
	}
	if c.is(roleConsole) && !c.is(roleBroker) {
		return errors.New("roles: console needs broker in the same process in this version")
	}
	if c.Log.Ack != "fdatasync" && c.Log.Ack != "page-cache" {
		return fmt.Errorf("log.ack: %q; possible are fdatasync, page-cache", c.Log.Ack)
	}
	if e := c.Trail.Engine; e != trailEmbedded && e != trailOff {
		if _, err := clickhouseAddress(e); err != nil {
			return err
		}
	}
	if err := c.checkTelemetry(); err != nil {
		return err
	}
	if n := c.Trail.MemoryBytes; n < 512<<20 {
		return fmt.Errorf("trail.memoryBytes: %d; from %d are possible, merges of large parts fail with less", n, 512<<20)
	}
	if n := c.Log.MaxMessage; n < 1<<10 || n > 15<<20 {
		return fmt.Errorf("log.maxMessageBytes: %d; from %d to %d are possible", n, 1<<10, 15<<20)
	}
	if n := c.Log.SegmentBytes; n < 32<<20 || n > 1<<30 {
		return fmt.Errorf("log.segmentBytes: %d; from %d to %d are possible", n, 32<<20, 1<<30)
	}
	if err := c.checkKeep(); err != nil {
		return err
	}
	if err := errors.Join(c.Timers.check(), c.Transactions.check(), c.Replication.check(), c.GRPC.check()); err != nil {
		return err
	}
	if c.Trail.Node != 0 && c.Replication.node(c.Trail.Node) == nil {
		return fmt.Errorf("trail.node: %d; replication.nodes has %v", c.Trail.Node, c.Replication.ids())
	}
	for name, v := range map[string]string{"cluster": c.Cluster, "broker": c.Broker, "node": c.Node} {
		if v == "" || strings.ContainsAny(v, "/\\ \t\n\x00@") {
			return fmt.Errorf("%s: %q; letters, digits, - and _ are possible", name, v)
		}
	}
	return nil
}

// checkKeep refuses what would delete messages as soon as they may be.
func (c *config) checkKeep() error {
	for name, d := range map[string]duration{"log.keepFor": c.Log.KeepFor, "trail.keepFor": c.Trail.KeepFor} {
		if v := time.Duration(d); v < time.Minute {
			return fmt.Errorf("%s: %v; from %v on is possible", name, v, time.Minute)
		}
	}
	if n := c.Log.KeepBytes; n != 0 && n < 2*c.Log.SegmentBytes {
		return fmt.Errorf("log.keepBytes: %d; 0 (no limit) or from %d on (two segments) are possible", n, 2*c.Log.SegmentBytes)
	}
	return nil
}

func (c *config) is(role string) bool { return slices.Contains(c.Roles, role) }

func (c *config) trailDir() string { return filepath.Join(c.Dir, "trail") }

// advertised is the address that clients are told to dial.
func (c *config) advertised() (netip.AddrPort, error) {
	if a := c.Remoting.Advertise; a != "" {
		ap, err := netip.ParseAddrPort(a)
		if err != nil {
			return ap, fmt.Errorf("remoting.advertise: %q is not ip:port", a)
		}
		return ap, nil
	}
	host, port, err := net.SplitHostPort(c.Remoting.Listen)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("remoting.listen: %w", err)
	}
	if ip, err := netip.ParseAddr(host); err != nil || ip.IsUnspecified() {
		host = ownIP()
	}
	ap, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return ap, fmt.Errorf("remoting.listen: %q: %w", c.Remoting.Listen, err)
	}
	return ap, nil
}

// ownIP is the first address that is not loopback; loopback when there is none.
func ownIP() string {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil && !n.IP.IsLinkLocalUnicast() {
			return n.IP.String()
		}
	}
	return "127.0.0.1"
}
