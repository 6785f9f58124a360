// Package wire is RocketMQ's remoting frame (org.apache.rocketmq.remoting.protocol.RemotingCommand, RocketMQSerializable):
//
//	total length 4, without itself | serialize type 1 | header length 3 | header | body          big endian
//
// Words: the header is JSON (type 0) or ROCKETMQ's binary form (type 1); its ext fields are the request's arguments. An answer
// uses its request's type.
//
// Invariants: a decoded Frame's slices alias the bytes it was decoded from, or the frame's own scratch; both are good until the
// next Decode. Decoding takes time linear in the input and allocates nothing once its scratch has grown. Encoding appends.
//
// Files: frame.go (split, decode), json.go (JSON header), binary.go (binary header), encode.go (answers and requests),
// version.go (version and language names), codes.go (request codes). No goroutines.
package wire
