// Command contrail is the whole product in one binary: `contrail serve` runs name server, broker and console in one process
// or apart; the other commands look into a log or talk to a running node.
//
// Files: main.go (commands), config.go (settings and their limits), serve.go (wiring), log.go (offline tools).
package main
