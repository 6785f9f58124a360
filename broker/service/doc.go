// Package service is what the broker can do, in RocketMQ's terms and without frames: the fronts (remoting, gRPC,
// console) translate to and from it and decide nothing.
//
// Words: a Client is one connection as a front knows it. A Parcel is the messages that one connection read in one go:
// they are sealed into the log together and answered together, with one wake-up. A refusal is an Error with RocketMQ's
// response code, a text for the client that names the value and the limit, and a cause for the broker's own log.
//
// Invariants: a send is answered exactly once, after its entry is committed (and, by default, on stable storage);
// pulls never see past the commit index. Send and Pull never block their caller: they call back.
//
// A broker group of several members: every operation is the leader's, and is refused with an Error that is NotLed elsewhere;
// only a pull that says so (Follower) is answered by a member that does not lead. leadership.go does what a change of leader
// asks for.
//
// Goroutines: none of its own but the sweeper of long polls and the one that follows the leader; calls come from the fronts'
// goroutines, call-backs from the shard's goroutine or a reader's and must not block.
package service
