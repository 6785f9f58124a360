// Package entry is the payload of one raft entry: a batch of commands and messages that were committed together.
//
// FORMAT, little endian; positions of messages are logical log positions and are equal on every member:
//
//	version 1 | flags 1 | command count 2 | commands length 4 | now, µs since epoch 8 | message count 4 | origins length 4
//	commands: { kind 2 | zero 2 | length 4 | body } ...      applied before the messages
//	origins:  { producer ref 4 | waited µs 4 } per message   who sent it and how long before `now` it was received
//	messages: stored messages (package message), one after the other, to the end
//
// Words: a command changes the shard's state without being a message (a topic, an offset commit, a producer's
// definition). A producer ref is a number that a Producer command gave a meaning to earlier in the same epoch of the
// log (EpochBytes of positions), so that whoever reads the log from any segment's start meets the definition first.
//
// Invariants: Decode checks every length once; iterating a decoded Batch cannot fail except on a malformed message.
// An empty payload is raft's own no-op. No goroutines, no clock.
package entry
