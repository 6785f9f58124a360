// Package vfs is the seam through which the broker touches disk, so that a test can crash it, tear it and fill it.
//
// Words: Sync of a File is fdatasync: the file's bytes and its length are on stable storage when it returns nil. SyncDir
// makes names durable: files made, renamed or removed in the directory. Allocate reserves space and sets the length, so
// that later writes inside it need no journal.
//
// Implementations: OS (the real thing), Mem (bytes in memory that remembers what was synced; Crash gives the disk as a
// power loss would leave it) and Fault (wraps one and fails by a hook). All are safe for concurrent use.
//
// Invariants: only this package and cmd use os for files (a test enforces it). After a failed Sync the caller must stop
// using the file: the kernel may have dropped the dirty pages and marked them clean.
package vfs
