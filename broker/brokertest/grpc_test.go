package brokertest

import (
	"crypto/tls"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestGRPCClients runs the unmodified clients of RocketMQ 5, with TLS and without: their topics and groups are made as a person would make them.
func TestGRPCClients(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Maven and several minutes")
	}
	t.Parallel() // beside TestOfficialClients
	for version, tls := range map[string]bool{"5.1.0": true, "5.0.7": false} {
		classpath := buildMaven(t, "grpcjava", version)
		t.Run("java-"+version, func(t *testing.T) {
			t.Parallel() // they mostly wait for what is due
			p := startGRPC(t)
			Client(t, 4*time.Minute, "java", "-Xmx256m", "-Duser.home="+t.TempDir(), "-cp", classpath, "contrail.GrpcSuite", p.GRPC, p.NameServer, "t-", strconv.FormatBool(tls))
		})
	}
	t.Run("node-1.0.8", func(t *testing.T) {
		t.Parallel()
		dir := copied(t, "grpcnode", "package.json", "package-lock.json", "suite.mjs")
		prepare(t, dir, "npm", "ci", "--silent", "--no-audit", "--no-fund")
		Client(t, 4*time.Minute, "node", filepath.Join(dir, "suite.mjs"), startGRPC(t).GRPC, "t-")
	})
	t.Run("python-5.1.2", func(t *testing.T) {
		t.Parallel()
		dir := copied(t, "grpcpython", "requirements.txt", "suite.py")
		prepare(t, dir, "python3", "-m", "venv", "v")
		prepare(t, dir, "v/bin/pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt")
		Client(t, 4*time.Minute, filepath.Join(dir, "v", "bin", "python"), filepath.Join(dir, "suite.py"), startGRPC(t).GRPC, "t-")
	})
	t.Run("rust-5.0.0", func(t *testing.T) {
		t.Parallel()
		program := buildCargo(t, "grpcrust")
		p := startGRPC(t)
		Client(t, 4*time.Minute, program, p.GRPC, "all", "t-")
		Client(t, time.Minute, "env", "TLS=1", "SSL_CERT_FILE="+certificateOf(t, p.GRPC), program, p.GRPC, "transactions", "t-")
	})
	t.Run("go-5.1.4", func(t *testing.T) {
		t.Parallel()
		program := filepath.Join(t.TempDir(), "grpcclient")
		prepare(t, "grpcclient", "go", "build", "-o", program, ".")
		Client(t, 4*time.Minute, program, startGRPC(t).GRPC, "all", "t-")
	})
}

// TestGRPCFailover runs the official Go client, producer and push consumer, against three nodes, one of which is killed, comes back, and another one is stopped in
// order: the client goes on by itself, and nothing that was acknowledged is missing.
func TestGRPCFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a minute")
	}
	program := filepath.Join(t.TempDir(), "grpcclient")
	prepare(t, "grpcclient", "go", "build", "-o", program, ".")
	c := StartCluster(t, ClusterOptions{Extra: "transactions: {timeout: 2s, checkInterval: 2s}\n"})
	r := &Round{Cluster: c, T: t}
	r.spread(30 * time.Second)
	forGRPC(t, c.Nodes[0].Brokers[Groups[0]])
	var endpoints []string
	for _, n := range c.Nodes {
		endpoints = append(endpoints, n.GRPC)
	}
	// Its producer is asked by the nodes that lead, whichever one it has its stream to.
	Client(t, 2*time.Minute, program, strings.Join(endpoints, ";"), "transactions", "t-")
	client := startOfficial(t, program, strings.Join(endpoints, ";"), "failover", "t-")
	time.Sleep(8 * time.Second)
	killed := c.Leader(Groups[0])
	killed.Kill()
	time.Sleep(8 * time.Second)
	killed.Start()
	c.Settle(60 * time.Second)
	time.Sleep(3 * time.Second)
	stopped := c.Leader(Groups[1])
	if code := stopped.Stop(); code != 0 {
		t.Errorf("node %d ended with %d", stopped.ID, code)
	}
	time.Sleep(5 * time.Second)
	stopped.Start()
	time.Sleep(5 * time.Second)
	client.end(t)
	out, _ := os.ReadFile(client.out)
	t.Logf("%s", out)
	if !strings.Contains(string(out), "OK failover") {
		t.Errorf("%s\n%s", out, client.err.String())
	}
}

// buildCargo compiles a program in Rust, from the second time on only what changed, and gives its path. The first time takes two minutes of one core, which clients
// whose scenarios run meanwhile need more.
func buildCargo(t *testing.T, dir string) string {
	t.Helper()
	if _, err := exec.LookPath("cargo"); err != nil {
		t.Skip("needs Rust, and cargo is not in the PATH")
	}
	out, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	out = filepath.Join(out, "contrail", dir+"-target")
	prepare(t, dir, "nice", "cargo", "build", "--quiet", "--locked", "--target-dir", out)
	return filepath.Join(out, "debug", dir)
}

// certificateOf is a file with the certificate that a broker shows, for clients that believe only those that they know.
func certificateOf(t *testing.T, address string) string {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	name := filepath.Join(t.TempDir(), "broker.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.ConnectionState().PeerCertificates[0].Raw})
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// copied is a folder with files of another one, in which a client's packages may be installed.
func copied(t *testing.T, from string, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// prepare runs what a client's program needs before it runs.
func prepare(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// startGRPC is a node with the topics and groups of the clients' scenarios.
func startGRPC(t *testing.T) *Process {
	t.Helper()
	p := Start(t, Options{Extra: "transactions: {timeout: 2s, checkInterval: 2s}\n"})
	forGRPC(t, p.Broker)
	return p
}

// forGRPC makes topics and groups.
func forGRPC(t *testing.T, broker string) {
	t.Helper()
	for _, args := range [][]string{
		{"topic", "create", "t-normal"}, {"topic", "create", "t-fifo", "--type", "fifo"}, {"topic", "create", "t-delay", "--type", "delay"}, {"topic", "create", "t-txn", "--type", "transaction"},
		{"group", "create", "t-g-fifo", "--ordered"}, {"group", "create", "t-g-push", "--max-retries", "2", "--backoff", "1s,2s"},
	} {
		if out, err := exec.Command(Binary(t), append(args, "--broker", broker)...).CombinedOutput(); err != nil {
			t.Fatalf("contrail %v: %v\n%s", args, err, out)
		}
	}
}
