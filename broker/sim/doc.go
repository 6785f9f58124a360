// Package sim runs three members of a broker group, with the real log, raft and shard code, over a disk, a network and clocks
// that it makes up, in one goroutine and from one seed: the same seed gives the same run, byte for byte.
//
// Words: the world is everything in a run. An event is something that happens at a moment of the world's time: a tick, a message's
// arrival, the end of a sync, a client's try, a fault. A violation is what a checker found; it ends the run. The truth is the log
// as the first member to apply an entry showed it; whatever another member shows must be the same. A machine is one of the state machines
// besides queues and offsets, with its clients and its checker, which tells it again from the log and holds members and answers against that.
//
// Invariants (what is checked, and where): acknowledged messages survive, nothing is invented, offsets are dense and never used
// twice, order, replicas are identical (truth.go); duplicates only after a client's own retry, commits of offsets linearizable,
// one leader in a term, service again after faults end (world.go, clients.go, final.go), scheduled messages (timed_log.go, timed_cancel.go,
// timed_end.go), transactions (txns_log.go), messages that are sent back (backs_log.go), pop leases (leases_log.go), ordered pops (ordered_log.go).
//
// Goroutines: none. raft draws its election time-outs from crypto/rand.Reader, which a run replaces: only one run at a time in a
// process.
//
// Files: world.go (time and events), member.go (one process), network.go, faults.go, clients.go, locks.go, timed.go, machines.go, txns.go,
// backs.go, leases.go, ordered.go, truth.go, final.go.
package sim
