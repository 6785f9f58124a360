package brokertest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// TestExpandOfficialClients changes a running cluster in every way under an official producer and an orderly consumer, neither of which
// is restarted: broker groups are added and a topic extended onto them, queues are added, leaders move, a node is drained and undrained, a
// member goes and comes back, by commands and by the API. No acknowledged message is lost, no offset skipped, each queue's order is kept.
func TestExpandOfficialClients(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Maven and two minutes")
	}
	classpath := buildJava(t, "5.5.0")
	c := StartCluster(t, ClusterOptions{})
	(&Round{Cluster: c, T: t}).spread(30 * time.Second)
	java := []string{"-Xmx256m", "-Drate=1000", "-Duser.home=" + t.TempDir(), "-cp", classpath, "contrail.Suite", strings.Join(c.NameServers(), ";")}
	producer := startOfficial(t, "java", append(java, "chaos-produce", "t-")...)
	producer.awaitEvents(t, 1000)
	consumer := startOfficial(t, "java", append(java, "chaos-consume", "t-")...)
	consumer.awaitEvents(t, 5000)
	at := time.Now()
	c.expand(t)
	time.Sleep(35 * time.Second) // clients look at the route every 30 s
	producer.end(t)
	sent := producer.events(t)
	got := awaitConsumed(t, consumer, sent)
	consumer.end(t)
	judgeOfficial(t, at, sent, got)
	judgeExpanded(t, at, sent, got)
	unchanged(t, c.Nodes[0])
}

// expand is what a person does; each step is given twice, as after a failure whose outcome was not seen.
func (c *Cluster) expand(t *testing.T) {
	t.Helper()
	twice := func(args ...string) {
		t.Helper()
		c.command(t, args...)
		c.command(t, args...)
	}
	twice("cluster", "add-group", "broker-d", "--nodes", "1,2,3")
	c.await(t, "broker-d to be led by all its members", func(s *inspect.Cluster) bool { return settled(s, "broker-d", 3) })
	twice("topic", "update", "t-chaos", "--write-queues", "8", "--read-queues", "8", "--groups", "broker-d")
	twice("topic", "add-queues", "t-chaos", "--to", "16", "--groups", "broker-a")
	for range 2 {
		c.post(t, "/topics/t-chaos/queues", `{"readQueues":12,"writeQueues":12,"brokerGroups":["broker-b"]}`)
		c.post(t, "/cluster/groups", `{"name":"broker-e"}`)
	}
	c.await(t, "broker-e to be led by all its members", func(s *inspect.Cluster) bool { return settled(s, "broker-e", 3) })
	c.post(t, "/topics/t-chaos/queues", `{"readQueues":4,"writeQueues":4,"brokerGroups":["broker-e"]}`)
	c.post(t, "/cluster/groups/broker-e/leader", `{"member":3}`)
	c.await(t, "broker-e to be led by node 3", func(s *inspect.Cluster) bool { return leads(s, 3, "broker-e") })
	twice("cluster", "move-leader", "2", "--group", "broker-d")
	c.await(t, "broker-d to be led by node 2", func(s *inspect.Cluster) bool { return leads(s, 2, "broker-d") })
	twice("cluster", "drain", "3")
	c.await(t, "node 3 to lead nothing", func(s *inspect.Cluster) bool { return len(s.Nodes[2].Leads) == 0 && s.Nodes[2].Drained })
	c.command(t, "cluster", "remove-member", "3", "--group", "broker-b")
	c.await(t, "broker-b to have two members", func(s *inspect.Cluster) bool { return settled(s, "broker-b", 2) })
	c.command(t, "cluster", "add-member", "3", "--group", "broker-b")
	c.await(t, "broker-b to have three members", func(s *inspect.Cluster) bool { return settled(s, "broker-b", 3) })
	c.post(t, "/cluster/nodes/3/undrain", `{}`)
	c.await(t, "node 3 to lead again", func(s *inspect.Cluster) bool { return len(s.Nodes[2].Leads) > 0 })
}

func settled(s *inspect.Cluster, group string, members int) bool {
	i := slices.IndexFunc(s.Groups, func(g inspect.BrokerGroup) bool { return g.Name == group })
	if i < 0 || s.Groups[i].Leader == 0 || len(s.Groups[i].Members) != members {
		return false
	}
	return !slices.ContainsFunc(s.Groups[i].Members, func(m inspect.BrokerMember) bool { return !m.Active || m.State == "learner" })
}

func leads(s *inspect.Cluster, node uint64, group string) bool {
	return slices.Contains(s.Nodes[node-1].Leads, group)
}

// command runs contrail, which must succeed.
func (c *Cluster) command(t *testing.T, args ...string) {
	t.Helper()
	began := time.Now()
	out, err := exec.Command(Binary(t), append(args, "--broker", c.Nodes[0].Brokers[Groups[0]])...).CombinedOutput()
	if err != nil {
		t.Fatalf("contrail %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	t.Logf("contrail %s: %s (%v)", strings.Join(args, " "), bytes.TrimSpace(out), time.Since(began).Round(time.Millisecond))
}

// post changes something through the API of a node, which must succeed.
func (c *Cluster) post(t *testing.T, path, body string) {
	t.Helper()
	answer, err := http.Post("http://"+c.Nodes[1].Console+"/api/v1"+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("POST %s %s: %d %s", path, body, answer.StatusCode, said)
	}
	t.Logf("POST %s %s: %s", path, body, bytes.TrimSpace(said))
}

func (c *Cluster) await(t *testing.T, what string, ok func(*inspect.Cluster) bool) {
	t.Helper()
	var s inspect.Cluster
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(100 * time.Millisecond) {
		if s = c.status(); len(s.Nodes) == 3 && ok(&s) {
			t.Logf("%s: %v", what, time.Since(began).Round(time.Millisecond))
			return
		}
	}
	t.Fatalf("waited 30 s for %s: %+v", what, s)
}

func (c *Cluster) status() (s inspect.Cluster) {
	k := rpc.Client{Addr: c.Nodes[0].Brokers[Groups[0]], Timeout: 5 * time.Second}
	defer k.Close()
	if f, err := k.Do(wire.BrokerClusterInfo, nil, nil); err == nil {
		_ = json.Unmarshal(f.Body, &s)
	}
	return s
}

// judgeExpanded: the clients took what was added, without a failed send.
func judgeExpanded(t *testing.T, at time.Time, sent, got []event) {
	t.Helper()
	fresh := func(e event) bool { return e.at.Group > "broker-c" || e.at.Group != "broker-c" && e.at.Queue >= 8 }
	into, outOf := 0, 0
	for _, e := range sent {
		if e.kind == "F" && e.millis >= at.UnixMilli() { // before, the clients start
			t.Errorf("failed: %s", e.why)
		} else if fresh(e) {
			into++
		}
	}
	for _, e := range got {
		if fresh(e) {
			outOf++
		}
	}
	t.Logf("%d messages were acked in queues that were added, %d read from them", into, outOf)
	if into == 0 || outOf < into {
		t.Errorf("%d acked in new queues, %d read", into, outOf)
	}
}

// unchanged: a restarted node has the group that was added, from its data folder.
func unchanged(t *testing.T, n *Node) {
	t.Helper()
	n.Kill()
	n.Start()
	n.c.await(t, "broker-d after a restart", func(s *inspect.Cluster) bool { return settled(s, "broker-d", 3) })
}
