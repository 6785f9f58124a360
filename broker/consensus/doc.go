// Package consensus drives one member of a raft group (go.etcd.io/raft/v3, AsyncStorageWrites) over the segment log: the
// segment log is the raft log, there is no other copy of the entries.
//
// Words: a Write is what raft wants stable before its responses may be told; a committed entry is one that may be applied.
// Recent entries are kept in memory between append and apply, so that applying reads no disk.
//
// Invariants: responses of a Write are stepped only after its bytes are as durable as the mode demands, in order. The
// hard state is written when term or vote changed, and when a change of members is known to be committed; any other commit index
// may be lost, raft finds it again. A vote waits for its sync whatever the mode. Entries are applied in order and once. What raft
// panics about ends this member with an error. Applied never passes the commit index.
//
// Goroutines: none; everything belongs to the caller's one goroutine, except the sync that Options.Sync runs elsewhere and
// whose end the caller reports with Synced.
package consensus
