package brokertest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// buildJava compiles the suite against a version of the client and gives the class path.
func buildJava(t *testing.T, version string) string {
	t.Helper()
	return buildMaven(t, "java", version)
}

// buildMaven compiles a program against a version of its client, and gives its class path.
func buildMaven(t *testing.T, dir, version string) string {
	t.Helper()
	out, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	out = filepath.Join(out, "contrail", dir+"-clients-"+version)
	cmd := exec.Command("mvn", "-q", "-B", "-Dbuild.out="+out, "-Drocketmq.version="+version, "compile")
	cmd.Dir = dir
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mvn compile: %v\n%s", err, b)
	}
	return filepath.Join(out, "classes") + ":" + filepath.Join(out, "lib", "*")
}

// official is a client's program that runs until it is told to end.
type official struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out string
	err bytes.Buffer
}

func startOfficial(t *testing.T, name string, args ...string) *official {
	t.Helper()
	o := &official{cmd: exec.Command(name, args...), out: filepath.Join(t.TempDir(), "out")}
	f, err := os.Create(o.out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o.cmd.Stdout, o.cmd.Stderr = f, &o.err
	o.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if o.in, err = o.cmd.StdinPipe(); err == nil {
		err = o.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.cmd.Process.Kill() })
	return o
}

// end tells the program to end, and waits for it.
func (o *official) end(t *testing.T) {
	t.Helper()
	_, _ = o.in.Write([]byte("\n"))
	timer := time.AfterFunc(100*time.Second, func() { _ = o.cmd.Process.Kill() })
	defer timer.Stop()
	if err := o.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, o.err.String())
	}
}

// event is a line of the chaos programs.
type event struct {
	kind         string
	millis       int64
	lane, number int64
	at           Place
	why          string
}

func (o *official) events(t *testing.T) (out []event) {
	t.Helper()
	f, err := os.Open(o.out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var e event
		n, _ := fmt.Sscan(s.Text(), &e.kind, &e.millis, &e.lane, &e.number, &e.at.Group, &e.at.Queue, &e.at.Offset)
		if n >= 4 {
			e.why = s.Text()
			out = append(out, e)
		}
	}
	return out
}

// awaitEvents waits until the program has told of n events: a JVM may take long to start.
func (o *official) awaitEvents(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if len(o.events(t)) >= n {
			return
		}
	}
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
	t.Fatalf("the client told of fewer than %d events in two minutes\n%s", n, o.err.String())
}

// TestChaosOfficialClients kills the leader of a group under an official producer and an orderly consumer: no acknowledged message is
// lost, each queue's order is kept, and nothing is skipped.
func TestChaosOfficialClients(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Maven and a minute")
	}
	t.Run("java-5.5.0", func(t *testing.T) { killUnderJava(t, buildJava(t, "5.5.0")) })
}

func killUnderJava(t *testing.T, classpath string) {
	c := StartCluster(t, ClusterOptions{})
	r := &Round{Cluster: c, T: t}
	r.spread(30 * time.Second)
	java := []string{"-Xmx256m", "-Drate=2000", "-Duser.home=" + t.TempDir(), "-cp", classpath, "contrail.Suite", strings.Join(c.NameServers(), ";")}
	producer := startOfficial(t, "java", append(java, "chaos-produce", "t-")...)
	producer.awaitEvents(t, 2000)
	consumer := startOfficial(t, "java", append(java, "chaos-consume", "t-")...)
	consumer.awaitEvents(t, 10_000) // it has started, with each queue's lock: a start needs the name server that it chose
	l := c.Leader(Groups[0])
	at := time.Now()
	l.Kill()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && len(c.Followers(Groups[0])) > 2; {
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%s is led again %v after kill -9 of its leader", Groups[0], time.Since(at).Round(time.Millisecond))
	time.Sleep(15 * time.Second)
	l.Start()
	time.Sleep(15 * time.Second)
	producer.end(t)
	sent := producer.events(t)
	got := awaitConsumed(t, consumer, sent)
	consumer.end(t)
	judgeOfficial(t, at, sent, got)
}

// awaitConsumed waits until the consumer has all that was acked, for a while.
func awaitConsumed(t *testing.T, consumer *official, sent []event) (got []event) {
	acked := 0
	for _, e := range sent {
		if e.kind == "A" {
			acked++
		}
	}
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
		distinct := map[[2]int64]bool{}
		got = consumer.events(t)
		for _, e := range got {
			distinct[[2]int64{e.lane, e.number}] = true
		}
		if len(distinct) >= acked {
			break
		}
	}
	return got
}

func judgeOfficial(t *testing.T, at time.Time, sent, got []event) {
	last, gap := int64(0), int64(0)
	failed, acked, order := 0, map[[2]int64]bool{}, map[Place]int64{}
	for _, e := range sent {
		if e.kind == "F" {
			if failed++; failed < 4 {
				t.Logf("failed: %s", e.why)
			}
			continue
		}
		acked[[2]int64{e.lane, e.number}] = true
		k := Place{e.at.Group, e.at.Queue, e.lane} // a lane sends one after the other
		if before, ok := order[k]; ok && e.at.Offset <= before {
			t.Errorf("lane %d: number %d is at %v, the one before it at %d", e.lane, e.number, e.at, before)
		}
		order[k] = e.at.Offset
		if last != 0 && e.millis > at.UnixMilli()-1000 {
			gap = max(gap, e.millis-last)
		}
		last = max(last, e.millis)
	}
	copies := map[[2]int64]int{}
	next := map[Place]int64{}
	again := 0
	for _, e := range got {
		id := [2]int64{e.lane, e.number}
		copies[id]++
		q := Place{Group: e.at.Group, Queue: e.at.Queue}
		switch {
		case e.at.Offset > next[q]:
			t.Errorf("%v: offset %d was consumed when %d was next: something was skipped", q, e.at.Offset, next[q])
		case e.at.Offset < next[q]:
			again++
		}
		next[q] = max(next[q], e.at.Offset+1)
	}
	lost, twice := 0, 0
	for id := range acked {
		if copies[id] == 0 {
			lost++
		}
	}
	for _, n := range copies {
		if n > 1 {
			twice++
		}
	}
	t.Logf("%d acked, %d failed after the client's tries; the producer's longest gap around the kill: %d ms; consumed %d, lost %d, %d more than once (%d delivered again)",
		len(acked), failed, gap, len(copies), lost, twice, again)
	if lost > 0 {
		t.Errorf("%d acknowledged messages were not consumed", lost)
	}
}
