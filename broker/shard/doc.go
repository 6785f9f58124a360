// Package shard owns one broker group's state on one member: its log, raft, queue index, catalog, offsets,
// timers, transactions and deliveries. One goroutine,
// the loop, changes all of it; entries are formed, proposed, written and applied there.
//
// Words: a Batch is the messages that one connection read in one go. While a sync runs, batches gather; when it ends they
// become the next entry (group commit), at most about EntryBytes of them. A checkpoint is the state as of a segment's end; it
// is written when the segment's sidecar is. Recovery loads it and replays the segments behind it through raft. A member is this
// shard, or the same broker group's on another node; asides are what members tell each other besides raft's messages. A mark is
// the hashes of a checkpoint's parts, which members compare. A promise is how far a member's log reached before it was found to be damaged.
//
// Invariants: a Batch is answered exactly once: as stored after its entry was applied, so after it was committed; as not stored
// only when that is certain; else with ErrUncertain. Message offsets and positions are given when the entry is formed, by the
// leader, only after it applied an entry of its own term. What apply does depends on nothing but the log's bytes. When the log
// fails, every batch is refused and nothing is applied any more. A member with a promise neither votes nor asks for votes. Segments
// end with the same entries on every member, but for one that was ended early.
//
// Goroutines: loop (owner), syncer (runs fdatasync), sealer (writes sidecars and checkpoints), server (reads pieces of a snapshot for
// other members), checker (checks what a snapshot brought), scrubber (checks sealed segments), firer and roller (store parked messages again).
// Submit, Do, Receive, Aside and all readers may be called from anywhere. Batch.Done and the Options' functions are called by the loop, Aside also by the server, and must not block.
//
// Files: shard.go (start, loop), inbox.go (what comes in), form.go (entry of what came in), apply.go (entry to state),
// voted_out.go, checkpoint.go, retention.go, unread.go, trail.go (the log as the trail reads it), member.go (messages, status, changes of
// members), read.go (read barriers), room.go (full disks), founding.go, locks.go, snapshot.go, incoming.go, rebuild.go, repair.go
// (damaged logs), marks.go and parts.go (hashes of the state), park.go, fire.go, roll.go and cancel.go (timers), txn.go, deliveries.go, leases.go, stored.go (messages
// that are stored again), deeds.go
// (batches that depend on state), stepper.go and planted.go (the simulator's).
package shard
