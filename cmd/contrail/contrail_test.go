package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/vfs"
)

func TestConfigurationNamesWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"clutser: x":                     "clutser",
		"roles: [brocker]":               `roles: "brocker"; possible are namesrv, broker, console`,
		"roles: [console]":               "console needs broker",
		"roles: []":                      "roles: none",
		"log: {ack: maybe}":              `log.ack: "maybe"; possible are fdatasync, page-cache`,
		"trail: {memoryBytes: 1}":        "trail.memoryBytes: 1; from 536870912",
		"log: {maxMessageBytes: 5}":      "log.maxMessageBytes: 5; from 1024",
		"log: {segmentBytes: 1}":         "log.segmentBytes: 1; from 33554432",
		"log: {keepFor: 3 days}":         `"3 days" is no duration`,
		"log: {keepFor: -72h}":           "log.keepFor: -72h0m0s; from 1m0s on",
		"log: {keepFor: 0s}":             "log.keepFor: 0s; from 1m0s on",
		"log: {keepBytes: -1}":           "log.keepBytes: -1; 0 (no limit) or from 268435456 on",
		"log: {keepBytes: 1000}":         "log.keepBytes: 1000; 0 (no limit) or from 268435456 on",
		"trail: {keepFor: -1h}":          "trail.keepFor: -1h0m0s; from 1m0s on",
		"broker: a/b":                    `broker: "a/b"`,
		"trail: {engine: 'mysql://x'}":   "possible are embedded, off, clickhouse://",
		"remoting: {advertise: nowhere}": `remoting.advertise: "nowhere" is not ip:port`,

		"telemetry: {endpoint: 'here:4317'}":                     `telemetry.endpoint: "here:4317"; possible are http://host:port and https://host:port`,
		"telemetry: {protocol: udp}":                             `telemetry.protocol: "udp"; possible are grpc, http`,
		"telemetry: {sample: 1}":                                 "sample",
		"telemetry: {endpoint: 'http://h/p', protocol: grpc}":    `telemetry.endpoint: "http://h/p"; with grpc there is no path`,
		"telemetry: {headers: {'a b': x}}":                       `telemetry.headers: "a b"; letters, digits, - and _ are possible`,
		`telemetry: {headers: {k: "a\nb"}}`:                      "telemetry.headers.k: the value has a line break",
		"trail: {otlp: {sample: 1.5}}":                           "trail.otlp.sample: 1.5; from 0 to 1 are possible",
		"trail: {otlp: {sample: .nan}}":                          "trail.otlp.sample: NaN; from 0 to 1 are possible",
		"trail: {otlp: {endpoint: ftp://h}}":                     `trail.otlp.endpoint: "ftp://h"; possible are http://host:port`,
		"trail: {otlp: {endpoint: 'http://h:1'}, engine: 'off'}": "trail.otlp.endpoint: the spans are made of the trail, and trail.engine is off",
		"trail: {otlp: {endpoint: 'http://me:pw@h:1'}}":          "trail.otlp.endpoint",
	} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := loadConfig(file)
		if err == nil {
			err = c.check()
		}
		if err == nil {
			_, err = c.advertised()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", text, err, want)
		}
	}
	c, err := loadConfig("")
	if err == nil {
		err = c.check()
	}
	if err != nil {
		t.Fatalf("the defaults: %v", err)
	}
}

// written is a log with n messages.
func written(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	s, err := service.Open(context.Background(), service.Options{
		Cluster: "c", Broker: "b", StoreHost: netip.MustParseAddrPort("10.0.0.1:1"), FS: vfs.OS{}, Dir: dir, SegmentBytes: 1 << 20, Durable: true,
		AutoCreateTopic: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	client, done := service.NewClient(netip.MustParseAddrPort("10.0.0.2:2"), "remoting"), make(chan int)
	for range n {
		p := s.Parcel(client)
		p.Add(&service.SendHeader{
			ProducerGroup: []byte("pg"), Topic: []byte("orders"), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 1, QueueID: 0,
			Properties: message.AppendProperty(nil, message.PropUniqKey, "ID-of-the-message"),
		}, []byte("a body that can be found"), service.Token{})
		p.Submit(func(p *service.Parcel) { done <- p.Results[0].Code; p.Release() })
		if code := <-done; code != 0 {
			t.Fatal(code)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func command(args ...string) (string, error) {
	c, out := root(), &bytes.Buffer{}
	c.SetOut(out)
	c.SetArgs(args)
	err := c.Execute()
	return out.String(), err
}

func TestLogDumpAndVerify(t *testing.T) {
	dir := written(t, 20)
	out, err := command("log", "dump", dir)
	if err != nil || strings.Count(out, "ID-of-the-message") != 20 {
		t.Fatalf("dump: %v, %d messages", err, strings.Count(out, "ID-of-the-message"))
	}
	out, err = command("log", "verify", dir)
	if err != nil || !strings.Contains(out, "20 messages") {
		t.Fatalf("verify: %v %s", err, out)
	}
	segments, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
	b, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("a body that can be found"))
	b[at] ^= 1
	if err := os.WriteFile(segments[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err = command("log", "verify", dir); err == nil {
		t.Fatalf("a flipped bit was not found: %s", out)
	} else {
		t.Log(err)
	}
}

func TestClickHouseAddress(t *testing.T) {
	c := defaultConfig()
	c.Trail.Engine = "clickhouse://me:secret@ch:8443/trail?cluster=main&secure=true"
	o, err := clickhouseAddress(c.Trail.Engine)
	if err != nil || o.Addr != "ch:8443" || o.User != "me" || o.Password != "secret" || o.Database != "trail" || o.Cluster != "main" || !o.Secure {
		t.Fatalf("%+v %v", o, err)
	}
	if _, err := clickhouseAddress("mysql://me:secret@ch"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Fatalf("a wrong address gives %v", err)
	}
}

// TestMessageCommands asks a server that answers as the console does; what users wrote cannot move the cursor.
func TestMessageCommands(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/messages":
			fmt.Fprintf(w, `{"answer":"found","messages":[{"id":"A1","topic":%q,"tag":"evil\u001b[2J","keys":["k"]}],"next":"c7"}`, r.URL.Query().Get("topic"))
		case "/api/v1/messages/none":
			fmt.Fprint(w, `{"life":{"answer":"nothing","reason":"nowhere"}}`)
		case "/api/v1/messages/A1":
			fmt.Fprint(w, `{"life":{"answer":"found","messages":[{"id":"A1","topic":"orders","producerGroup":"pg"}]},"verdicts":[{"group":"billing","state":"waiting","ahead":7}],"stepsExpected":4,"stepsRecorded":3}`)
		default:
			w.WriteHeader(400)
			fmt.Fprint(w, `{"title":"id is not valid","detail":"id \"x\"","next":"correct id"}`)
		}
	}))
	defer s.Close()
	out, err := command("message", "search", "--topic", "orders", "--server", s.URL)
	if err != nil || !strings.Contains(out, "orders") || !strings.Contains(out, `"evil\x1b[2J"`) || strings.Contains(out, "\x1b") || !strings.Contains(out, "--before c7") {
		t.Fatalf("search: %v\n%s", err, out)
	}
	out, err = command("message", "show", "A1", "--server", s.URL)
	if err != nil || !strings.Contains(out, "billing") || !strings.Contains(out, "7 ahead") || !strings.Contains(out, "3 of 4 steps") {
		t.Fatalf("show: %v\n%s", err, out)
	}
	if out, err = command("message", "show", "A1", "--server", s.URL, "--output", "json"); err != nil || !json.Valid([]byte(out)) {
		t.Fatalf("json: %v\n%s", err, out)
	}
	for _, args := range [][]string{{"message", "show", "x"}, {"message", "show", "none"}, {"message", "show", "none"}, {"message", "search", "--from", "yesterday"}, {"message", "show", "A1", "--output", "xml"}} {
		if _, err = command(append(args, "--server", s.URL)...); err == nil {
			t.Errorf("%v was taken", args)
		} else {
			t.Log(err)
		}
	}
}

func TestTimersAndTransactionsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*config){
		"timers.maxDelay: 8761h0m0s":         func(c *config) { c.Timers.MaxDelay = duration(8761 * time.Hour) },
		`timers.delayLevels: "x"`:            func(c *config) { c.Timers.Levels = "1s x" },
		`timers.delayLevels: "-1s"`:          func(c *config) { c.Timers.Levels = "-1s" },
		`timers.aliases: "x" is "KEYS"`:      func(c *config) { c.Timers.Aliases = map[string]string{"x": "KEYS"} },
		"timers.delayLevels: 65 levels":      func(c *config) { c.Timers.Levels = strings.Repeat("1s ", 65) },
		"transactions.timeout: 1ms":          func(c *config) { c.Transactions.Timeout = duration(time.Millisecond) },
		"transactions.checkInterval: 25h0m0": func(c *config) { c.Transactions.Interval = duration(25 * time.Hour) },
		"transactions.checksMax: 0":          func(c *config) { c.Transactions.ChecksMax = 0 },
	} {
		c := defaultConfig()
		change(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := timersConfig{Levels: "1s 5m  2h 1d"}
	if levels, err := c.levels(); err != nil || !slices.Equal(levels, []time.Duration{time.Second, 5 * time.Minute, 2 * time.Hour, 24 * time.Hour}) {
		t.Errorf("%v %v", levels, err)
	}
}
