// Package notes is the node-local log of what no replicated record says: which ranges were handed to which client, when an
// entry was appended, synced and acknowledged here, and what happened to clients and to the broker. The trail reads it.
//
// FORMAT, little endian. Files <base, 20 digits>.notes, each: magic 8 | records. A record:
//
//	length of kind and body 4 | CRC-32C of kind and body 4 | kind 1 | body
//
// Bodies are varints; strings are numbers that a String record of the same file defined before. Every record, String
// records too, takes one sequence number; base is the first one of the file.
//
// Words: a note is one record. Pending notes are in memory, flushed ones in the file. A gap is a run of sequence numbers
// that cannot be read any more: dropped by the size cap, failed to be written, or damaged.
//
// Invariants: what Flush returned for survives kill -9 (one pwrite, no fsync: a crash of the machine may cost the last
// notes, never a message). A process starts a new file, so a torn tail is only ever the end of a file. Memory is bounded: pending
// notes beyond MaxPending are flushed by who adds to them. Notes never fail a caller: what cannot be written is a gap.
//
// Goroutines: none. Log is safe for concurrent use; a Reader belongs to one goroutine.
package notes
