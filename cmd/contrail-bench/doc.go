// Command contrail-bench drives any broker that speaks RocketMQ's remoting protocol and prints what a message costs it:
// CPU µs of the server process, messages per second and latencies, beside a floor and beside other brokers in the same run.
//
// Words: a target is a server with its process id; the floor is a server of this program that does only what cannot be
// avoided (read frames, walk the header, append by group commit, answer); a window is one measured stretch; targets take
// turns, A B A B, and ratios are taken pair by pair, because machines drift. Steal is what the host took from this machine.
//
// Files: main.go (commands), floor.go (the floor), frame.go (requests), closed.go and open.go (loops), pull.go, pop.go, life.go (start,
// idle, recovery of one node), cluster.go (several nodes), idle.go (nodes that have nothing to do), failover.go, catchup.go and
// catchupreport.go (a member that begins with nothing), stretch.go (an open loop that is looked at afterwards), trail.go, proc.go (CPU,
// steal, memory), hist.go (latencies), scenarios.go, report.go.
package main
