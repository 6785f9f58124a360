package brokertest

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestOfficialClients runs the unmodified clients: all scenarios, then a restart of the broker between two halves, orderly for
// one client and kill -9 for the others; and what operators do with the Java tools.
func TestOfficialClients(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Maven and several minutes")
	}
	t.Parallel()
	java := map[string]string{"5.5.0": buildJava(t, "5.5.0"), "4.9.8": buildJava(t, "4.9.8")}
	t.Run("java-5.5.0", func(t *testing.T) { javaClient(t, java["5.5.0"], (*Process).Stop) })
	t.Run("java-4.9.8", func(t *testing.T) { javaClient(t, java["4.9.8"], (*Process).Kill) })
	t.Run("java-tools-5.5.0", func(t *testing.T) { javaTools(t, java["5.5.0"]) })
	t.Run("java-tools-4.9.8", func(t *testing.T) { javaTools(t, java["4.9.8"]) })
	t.Run("go-2.1.2", func(t *testing.T) {
		program := filepath.Join(t.TempDir(), "goclient")
		cmd := exec.Command("go", "build", "-o", program, ".")
		cmd.Dir = "goclient"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		halves(t, (*Process).Kill, func(address, scenario string) { Client(t, 3*time.Minute, program, address, scenario, "t-") })
	})
}

func javaClient(t *testing.T, classpath string, end func(*Process)) {
	halves(t, end, func(address, scenario string) { suite(t, classpath, address, scenario) }, "pop")
}

// javaTools is what operators do: the admin client and mqadmin beside running consumers, which look every 2 s whose the queues are.
func javaTools(t *testing.T, classpath string) {
	t.Parallel()
	suite(t, classpath, Start(t, Options{}).NameServer, "admin", "-Drocketmq.client.rebalance.waitInterval=2000")
}

// suite runs a scenario of the Java program.
func suite(t *testing.T, classpath, address, scenario string, settings ...string) {
	t.Helper()
	Client(t, 5*time.Minute, "java", slices.Concat(settings, []string{"-Xmx256m", "-Duser.home=" + t.TempDir(), "-cp", classpath, "contrail.Suite", address, scenario, "t-"})...)
}

// halves runs all scenarios, and more that only some clients have.
func halves(t *testing.T, end func(*Process), run func(address, scenario string), more ...string) {
	t.Parallel() // they mostly wait for what is due
	p := Start(t, Options{Extra: "transactions: {timeout: 2s, checkInterval: 2s}\n"})
	run(p.NameServer, "all")
	run(p.NameServer, "consumers")
	run(p.NameServer, "delays")
	run(p.NameServer, "transactions")
	for _, scenario := range more {
		run(p.NameServer, scenario)
	}
	run(p.NameServer, "first-half")
	end(p)
	p.Run()
	run(p.NameServer, "second-half")
}
