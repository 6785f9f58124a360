// Package transport is how the nodes of a cluster talk: raft messages of all groups, and asides (everything else that one
// node tells another, like the pieces of a file), over one connection per direction; and streams, each a connection of its own
// over the same port, whose bytes are the business of who uses them. It knows raft's messages, not what they decide.
//
// Words: a peer is another node and the queue to it. A lane is one of a peer's two queues: raft messages, and asides, which
// are written only when no raft message waits. A frame is one message, aside, ping or pong. The dialler opened a connection and
// sends on it; the acceptor reads, and writes nothing but pongs.
//
// Invariants: Send and Aside never block; what does not fit a lane is dropped and counted, and the group is told with
// Unreachable, for raft sends again. Messages of one group arrive in order while a connection lasts, and a node's new
// connection is read only when its old one is not any more. A connection begins with both sides proving the cluster key to each
// other and each vetting the other's node and incarnation. A frame with a wrong checksum, length, kind or content ends the
// connection with a log line. The bytes of frames that are being read are bounded over all connections. A side that hears
// nothing for Silence ends the connection. When a connection ends, what waits for it is dropped: it is never sent on the next
// one, and every group that had sent something on it is told.
//
// A stream begins with the same handshake, whose purpose is covered by both proofs. Streams are bounded per node and direction,
// take no place of raft's connections, and end when nothing moves on them for StreamIdle, when their user closes them, or with
// the transport.
//
// The key guards who may connect, not the bytes after that: on a network that others may write to, use TLS, to which the
// proofs are then bound.
//
// Goroutines: one accepting, one per accepted connection (reads, calls Message and Aside, writes pongs), two per peer (the
// writer, which dials, too; and one that reads pongs while connected). All callbacks may come from any of them, Unreachable
// also from within Send; none may block but Stream, which is called from the connection's own goroutine. The same group's Message is not called twice at a time for one sending node.
//
// Files: transport.go (start, send, close), peer.go (connecting), lane.go (queues), write.go (a connection's writer),
// accept.go (accepting), read.go (a connection's reader), handshake.go, stream.go, encode.go and decode.go (raft messages), frame.go
// (FORMAT), status.go, complain.go.
package transport
