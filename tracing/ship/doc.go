// Package ship moves the trail: it tails the replicated log and the node's notes from its own checkpoint, derives rows, and
// writes them to the store in blocks. It is a consumer like any other and never stands on the way of a message.
//
// Words: a block is the rows of a run of entries and a run of notes; its token names both runs. The boundary is where the
// next block begins. A hole is a run that could not be read any more: retention was faster, notes were lost. The intent is
// the block that is about to be written, in the checkpoint.
//
// In a broker group of several members a Shipper is two parts: one ships the node's notes, as ever; the other ships the group's
// log while this member leads: that time is a reign. A cut is a block of the log as all members agree on it by way of the store.
//
// Invariants: a block is written as rows, then its row of ship_log, then the checkpoint. Before it is written, the
// checkpoint holds its exact runs, so that after a crash the same block is made again and the store knows its token:
// nothing is missing and nothing is there twice, wherever the process dies. While the store is away the checkpoint waits,
// nothing is read, and nothing blocks the broker's retention; what retention takes meanwhile is a hole and is counted.
// recorded = stored + not recorded + in flight.
//
// A cut is decided once per number, whoever offers it; a block of the log is written only under its cut's token; a member offers
// the next cut only when the block of its own last one is complete, and takes over by completing the block of the newest one. So
// it does not matter who believes to lead, who sleeps and when they wake up. A follower does not read the log.
//
// Memory is bounded: one block, the entry times that wait for their entries, and the deriver's state.
//
// Goroutines: Run is one, and in a group of several members three while it leads; Status and Await may be called from any. Await's callers wait on a channel.
//
// Files: shipper.go (Run, Status), gather.go (reading), times.go (entry times), write.go (writing, back-off),
// checkpoint.go (both files), reign.go (shipping the log of a group of several members). DESIGN.md says why.
package ship
