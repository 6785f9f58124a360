// Package shard owns one broker group's state on one member: its log, raft, queue index, catalog and offsets. One goroutine,
// the loop, changes all of it; entries are formed, proposed, written and applied there.
//
// Words: a Batch is the messages that one connection read in one go. While a sync runs, batches gather; when it ends they
// become the next entry (group commit), at most about EntryBytes of them. A checkpoint is the state as of a segment's end; it
// is written when the segment's sidecar is. Recovery loads it and replays the segments behind it through raft.
//
// Invariants: a Batch is answered exactly once, after its entry was applied, so after it was committed. Message offsets and
// positions are given when the entry is formed, by the leader, only after it applied an entry of its own term. What apply
// does depends on nothing but the log's bytes. When the log fails, every batch is refused and nothing is applied any more.
//
// Goroutines: loop (owner), syncer (runs fdatasync), sealer (writes sidecars and checkpoints). Submit, Do and all readers
// may be called from anywhere. Batch.Done and Options.Stored are called by the loop and must not block.
//
// Files: shard.go (start, loop), inbox.go (what comes in), form.go (entry of what came in), apply.go (entry to state),
// checkpoint.go, retention.go, trail.go (the log as the trail reads it).
package shard
