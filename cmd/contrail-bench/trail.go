package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/wire"
)

const withTrail = "with trail" // a target's name

// trailCommand is scenario 10: the same load, every message produced and consumed once, without and with the trail.
func trailCommand() *cobra.Command {
	var s settings
	var rate int
	var busy float64
	c := &cobra.Command{
		Use: "trail", Short: "Scenario 10: what the trail costs the broker, and whether it is complete", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.trail(cmd.OutOrStdout(), rate, busy) },
	}
	c.Flags().StringVar(&s.contrail, "contrail", "bin/contrail", "the program to measure")
	c.Flags().IntVar(&s.pairs, "pairs", 5, "windows without and with the trail, in turn")
	c.Flags().DurationVar(&s.warm, "warm", 3*time.Second, "unmeasured stretch before each window")
	c.Flags().DurationVar(&s.window, "window", 10*time.Second, "measured stretch")
	c.Flags().IntVar(&rate, "rate", 20_000, "messages per second; 0: as many as go")
	c.Flags().Float64Var(&busy, "busy", 0, "also measure without the trail beside a process that takes this share of a core, and does nothing")
	return c
}

func (s *settings) trail(out io.Writer, rate int, busy float64) error {
	dir, err := os.MkdirTemp(".", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l := openLoad(rate)
	if rate == 0 {
		l = produceLoad(4, 64, 1024)
	}
	r := &row{Scenario: "10", Text: fmt.Sprintf("produced and consumed once, %d/s, fdatasync, 1 KB: with trail / without", rate), Windows: map[string][]window{}}
	engines := map[string]string{withTrail: "embedded", "without": "off"}
	r.order = []string{withTrail, "without"}
	if busy > 0 {
		r.Text += fmt.Sprintf("; busy: without, beside a process that takes %g of a core", busy)
		engines["busy"], r.order = "off", append(r.order, "busy")
	}
	var targets []*target
	for _, name := range r.order {
		t, err := startContrail(s.contrail, dir, strings.ReplaceAll(name, " ", "-"), synced, engines[name])
		if err != nil {
			return err
		}
		defer t.stop()
		t.name = name
		if err := createTopic(t.addr, topic, queues); err != nil {
			return err
		}
		targets = append(targets, t)
	}
	sc := scenario{load: l, follow: true}
	for range s.pairs {
		for _, t := range targets {
			share := 0.0
			if t.name == "busy" {
				share = busy
			}
			w, err := beside(share, func() (window, error) { return sc.measure(t, s.warm, s.window) })
			if err != nil {
				return err
			}
			r.Windows[t.name] = append(r.Windows[t.name], w)
		}
	}
	r.print(out)
	if busy > 0 {
		beside := *r
		beside.Text, beside.order = "the same windows: busy / without", []string{"busy", "without"}
		beside.print(out)
	}
	return completeness(out, filepath.Join(dir, "with-trail"))
}

// completeness compares what the broker stored with what the trail holds, when it has caught up.
func completeness(out io.Writer, dir string) error {
	socket := filepath.Join(dir, "trail", "run", "engine-ro.sock")
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	ask := func(query string) (int64, error) {
		a, err := c.Post("http://engine/", "text/plain", strings.NewReader(query))
		if err != nil {
			return 0, err
		}
		defer a.Body.Close()
		b, err := io.ReadAll(io.LimitReader(a.Body, 1<<16))
		if err != nil {
			return 0, err
		}
		return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	}
	stored := int64(followed.Load())
	began := time.Now()
	for {
		found, err := ask("SELECT count() FROM contrail.messages WHERE topic = '" + topic + "'")
		if err == nil && found >= stored {
			delivered, _ := ask("SELECT sum(messages) FROM contrail.deliveries WHERE topic = '" + topic + "'")
			return json.NewEncoder(out).Encode(map[string]any{
				"consumedByTheBench": stored, "messagesInTrail": found, "deliveredInTrail": delivered, "caughtUpAfter": time.Since(began).Round(time.Millisecond).String(),
			})
		}
		if time.Since(began) > 3*time.Minute {
			return fmt.Errorf("the trail has %d of %d messages after %s: %w", found, stored, time.Since(began), err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// followed counts the messages consumed from the target whose trail is kept, over all windows.
var followed atomic.Uint64

// follow consumes a topic's queues from where they end, with long polls and offset commits, until stop is closed.
func follow(t *target, q int, stop chan struct{}) error {
	conn, err := net.Dial("tcp", t.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() { <-stop; conn.Close() }()
	in := answers{conn: conn}
	offset := t.consumed[q].Load()
	var out []byte
	for {
		out = pullFrom(out[:0], topic, q, 32, offset, 7, 5000)
		if _, err := conn.Write(out); err != nil {
			return ended(stop, err)
		}
		for answered := false; !answered; {
			if err := in.next(func(f *wire.Frame) error {
				answered = true
				if f.Code == 19 || f.Code == 20 {
					return nil
				}
				n, err := pulled(f, &offset)
				if t.name == withTrail {
					followed.Add(n)
				}
				t.consumed[q].Store(offset)
				return err
			}); err != nil {
				return ended(stop, err)
			}
		}
	}
}

// ended forgives the error of a connection that was closed because the window is over.
func ended(stop chan struct{}, err error) error {
	select {
	case <-stop:
		return nil
	default:
		return err
	}
}
