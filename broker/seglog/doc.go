// Package seglog is the segment log: numbered, checksummed, chained records in preallocated segment files. It knows bytes,
// not messages; raft's entries are its records, and it is the only copy of them.
//
// Words: a record is a 48-byte header and its data, padded to 8 bytes. An entry is a record with an index that counts up
// by one. A local record (the member's hard state) belongs to this member alone. A position is the logical place of an
// entry's bytes: the sum of the sizes of all entries before it, so it is equal on every member; local records and segment
// headers take file bytes but no positions. A segment is one file; all but the last are sealed and never change.
// A torn tail is what a crash may leave of writes that were never synced; damage is a bad record below bytes that are
// known to have been synced.
//
// Invariants: records are chained (each header holds the checksum of the one before, across segments) and a header's
// checksum is seeded with its segment's number and a salt, so neither a zero tail nor stale bytes, nor what a message holds,
// are ever read as records. Before a segment is sealed it is synced. After a failed write or sync the log refuses
// everything. Entries below a sealed segment's end are found by its entry table, kept in a sidecar and rebuilt by scanning
// when it is missing.
//
// Goroutines: one preparer, which makes the next segment file ahead of need, filled with zeros while syncs are small (off with Options.Foreground). Append, Flush,
// Sync, SetHardState, TruncateFrom belong to one goroutine; reading is safe for all at any time.
//
// Files: format.go (bytes), segment.go (one file), open.go (recovery), append.go (writer), prepare.go (next file),
// read.go (readers), table.go (entry tables), retain.go, cut.go (a note of a cut that a crash may interrupt), install.go (segments of
// another member take the place of all), restart.go (a damaged log begins anew). FORMAT: see format.go.
package seglog
