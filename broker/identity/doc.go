// Package identity tells whether a node is still the one it was. A node draws an incarnation when its data folder is made; the
// other nodes remember it. A node that comes back under its id with another incarnation has lost its log: if it voted, it could
// elect a leader that lacks what the group has acknowledged, so nobody listens to it. It may join again under a new id.
//
// Invariants: a peer's incarnation is on stable storage before the peer is heard for the first time.
//
// Goroutines: none; Vet is safe for concurrent use.
package identity
