// Package rpc serves RocketMQ frames on a port: connections, limits, one reader and one writer goroutine each. What a frame
// means is the Handler's.
//
// Words: the reader hands over all complete frames of one read, then calls Flush; the writer sends everything that was
// answered meanwhile with one write.
//
// Invariants: a malformed frame, a frame that is not whole after FrameTimeout, a silent connection and a connection over the
// byte budget are closed, counted, and logged at a bounded rate; nothing is allocated because a peer announced a length. A
// connection whose answers are not read stops being read.
//
// Goroutines: one accepting, two per connection.
package rpc
