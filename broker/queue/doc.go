// Package queue is the index of the log: which position each queue offset has, and where a key occurs. Everything in it is
// derived from the log and can be rebuilt by reading the log.
//
// Words: a row says where one message is (position, size, tag hash, store time). A run is a piece of a queue whose messages lie
// in one segment. The open run's rows are in memory; a sealed run's rows are in its segment's sidecar (NNN.idx), which also
// holds the segment's parked messages (timers.go; package timer has the words) and its key index: pairs of key hash and
// position, sorted. Hits are candidates: callers verify them against the message.
//
// Invariants: offsets of a queue are dense: a run begins where the one before ended. Rows appear in log order, so positions and
// store times never fall within a queue. A queue keeps its end when all its rows are gone.
//
// Goroutines: Add, Seal, Drop belong to one goroutine (the shard's); reading is safe for all.
package queue
