// Package brokertest runs the built program as its users do: processes on free ports, official clients of other languages,
// kill -9 and restart, and checks of what was promised.
//
// Words: a Process is `contrail serve` with a data folder of its own; a suite is an official client's program that checks what
// it sees and ends with exit code 0. A Cluster is three nodes, each in a network namespace of its own where that is possible. A Row is
// one of the fault matrix (docs/faults.md), a Round one run of it: load, fault, heal, check.
//
// Invariants: every process and client ends with its test. Goroutines: none but the tests'.
//
// Files: process.go; cluster.go, lan.go (namespaces, cuts, loss, slow links), faultyproxy.go (delays, resets); producers.go,
// register.go (load with a history), caller.go (requests by hand until a member answers; what every member keeps); checkers.go; row.go (a round), rows_*.go (faults); java (the Java clients' suite), goclient (the Go client's, a module of its own).
package brokertest
