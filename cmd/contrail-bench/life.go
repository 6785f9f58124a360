package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// lifeCommand is scenario 9 for one member: start with nothing, idle, kill -9 with a log, recovery.
func lifeCommand() *cobra.Command {
	var binary, trail string
	var gib float64
	var idle time.Duration
	c := &cobra.Command{Use: "life", Short: "Scenario 9: start, idle, kill -9 with a large log, recovery", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return life(cmd.OutOrStdout(), binary, trail, gib, idle) }}
	c.Flags().StringVar(&binary, "contrail", "bin/contrail", "the program to measure")
	c.Flags().StringVar(&trail, "trail", "off", "its trail store")
	c.Flags().Float64Var(&gib, "gib", 5, "size of the log when it is killed")
	c.Flags().DurationVar(&idle, "idle", 60*time.Second, "how long to watch it idle")
	return c
}

func life(out io.Writer, binary, trail string, gib float64, idle time.Duration) error {
	dir, err := os.MkdirTemp(".", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	t, err := startContrail(binary, dir, "contrail", synced, trail)
	if err != nil {
		return err
	}
	defer func() { t.stop() }()
	if err := firstAck(t.addr, "first"); err != nil {
		return err
	}
	fmt.Fprintf(out, "start with nothing to the first acknowledged message: %d ms\n", time.Since(began).Milliseconds())
	a, err := read(t.pid)
	if err != nil {
		return err
	}
	time.Sleep(idle)
	b, err := read(t.pid)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "idle for %s: %.4f cores, %d MiB resident\n", idle, (b.cpu-a.cpu).Seconds()/idle.Seconds(), b.rss>>20)
	if err := fill(t.addr, uint64(gib*(1<<30)/1300)); err != nil {
		return err
	}
	if b, err = read(t.pid); err != nil {
		return err
	}
	fmt.Fprintf(out, "loaded: %d MiB resident\n", b.rss>>20)
	t.stop()
	began = time.Now()
	again, err := restart(binary, dir, t.addr)
	if err != nil {
		return err
	}
	t = again
	if err := firstAck(t.addr, topic); err != nil {
		return err
	}
	fmt.Fprintf(out, "kill -9 with a log of %.1f GiB, restart to the first acknowledged message: %d ms\n", gib, time.Since(began).Milliseconds())
	return nil
}

// restart runs the same configuration again.
func restart(binary, dir, addr string) (*target, error) {
	return spawn("contrail-again", dir, addr, binary, "serve", "--config", dir+"/contrail.yaml")
}

func firstAck(addr, topic string) error {
	t := newTemplate(topic, 0, 100, true, false)
	c := rpc.Client{Addr: addr, Timeout: 30 * time.Second}
	defer c.Close()
	var f wire.Frame
	frame, _, _, err := wire.Split(t.bytes)
	if err == nil {
		err = f.Decode(frame)
	}
	if err != nil {
		return err
	}
	var fields []rpc.Field
	for _, x := range f.Fields {
		fields = append(fields, rpc.Field{Name: strings.Clone(string(x.Name)), Value: string(x.Value)})
	}
	answer, err := c.Do(wire.SendMessageV2, fields, f.Body)
	if err == nil && answer.Code != 0 {
		err = fmt.Errorf("first message: code %d %s", answer.Code, answer.Remark)
	}
	return err
}

func fill(addr string, n uint64) error {
	if err := createTopic(addr, topic, queues); err != nil {
		return err
	}
	var on atomic.Bool
	on.Store(true)
	for sent := uint64(0); sent < n; {
		stop := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(stop) })
		r, err := produce(addr, produceLoad(4, 64, 1024), &on, stop)
		if err != nil {
			return err
		}
		sent += r.messages
	}
	return nil
}
