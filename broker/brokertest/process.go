package brokertest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var build struct {
	sync.Once
	path string
	err  error
}

// Binary builds the program once for all tests of a process; CONTRAIL_BINARY names one that is there.
func Binary(t testing.TB) string {
	t.Helper()
	if name := os.Getenv("CONTRAIL_BINARY"); name != "" {
		return name
	}
	build.Do(func() {
		dir, err := os.MkdirTemp("", "contrail-brokertest-")
		if err != nil {
			build.err = err
			return
		}
		build.path = filepath.Join(dir, "contrail")
		out, err := exec.Command("go", "build", "-o", build.path, "github.com/contrailmq/contrail/cmd/contrail").CombinedOutput()
		if err != nil {
			build.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

// Process is one `contrail serve`.
type Process struct {
	Dir, NameServer, Broker, GRPC, Console string

	t    testing.TB
	conf string
	cmd  *exec.Cmd
	log  *os.File
}

// Options of a Process.
type Options struct {
	Trail string // trail.engine; empty: off, and then without console
	Ack   string // log.ack; empty: fdatasync
	Extra string // YAML lines added to the configuration
}

// Start runs a single node; it ends with the test.
func Start(t testing.TB, o Options) *Process {
	t.Helper()
	p := &Process{t: t, Dir: t.TempDir(), NameServer: freeAddr(t), Broker: freeAddr(t), GRPC: freeAddr(t), Console: freeAddr(t)}
	roles := "[namesrv, broker, console]"
	if o.Trail == "" {
		o.Trail, roles = "off", "[namesrv, broker]"
	}
	if o.Ack == "" {
		o.Ack = "fdatasync"
	}
	p.conf = filepath.Join(p.Dir, "contrail.yaml")
	text := fmt.Sprintf("dir: %s\nroles: %s\nnameServer: {listen: %q}\nremoting: {listen: %q, advertise: %q}\ngrpc: {listen: %q}\nconsole: {listen: %q}\nlog: {ack: %s, segmentBytes: 33554432}\ntrail: {engine: %q}\n%s",
		filepath.Join(p.Dir, "data"), roles, p.NameServer, p.Broker, p.Broker, p.GRPC, p.Console, o.Ack, o.Trail, o.Extra)
	if err := os.WriteFile(p.conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var err error
	if p.log, err = os.Create(filepath.Join(p.Dir, "contrail.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	p.Run()
	return p
}

func (p *Process) end() {
	p.Kill()
	p.log.Close()
	if p.t.Failed() {
		p.t.Logf("the broker wrote:\n%s", p.Log())
	}
}

// Run starts the process again and waits until the broker accepts.
func (p *Process) Run() {
	p.t.Helper()
	p.cmd = exec.Command(Binary(p.t), "serve", "--config", p.conf)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", p.Broker)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("the broker does not accept: %v\n%s", err, p.Log())
		}
	}
}

// Kill is kill -9.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}

// Stop is an orderly end; the exit code must be 0.
func (p *Process) Stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatalf("orderly stop: %v\n%s", err, p.Log())
	}
	p.cmd = nil
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Log is the end of what the process wrote.
func (p *Process) Log() string {
	b, _ := os.ReadFile(p.log.Name())
	return string(b[max(0, len(b)-8000):])
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Client runs an official client's program; it must end well.
func Client(t testing.TB, patience time.Duration, name string, args ...string) {
	t.Helper()
	began := time.Now()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	out, err := cmd.CombinedOutput()
	timer.Stop()
	if err != nil {
		t.Fatalf("%s after %s: %v\n%s", strings.Join(args, " "), time.Since(began).Round(time.Millisecond), err, out[max(0, len(out)-8000):])
	}
}
