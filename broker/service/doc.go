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
// Pop: what a group takes of a queue is leased before it is answered. pop.go has a request's way, popread.go what it takes, popwaits.go
// who waits and who has which queue, pophandle.go what clients hold in their hands, acks.go what they say of it, revive.go what comes back,
// popmode.go who is to ask which queues. Each change of a group's place in a queue is a deed with that place as its key.
//
// A broker group of several members: every operation is the leader's, and is refused with an Error that is NotLed elsewhere;
// only a pull that says so (Follower) is answered by a member that does not lead. leadership.go does what a change of leader
// asks for.
//
// Goroutines: none of its own but the workers and sweepers of long polls and of pops, those that ask about half messages and revive
// what was popped, and the one that follows the leader; calls come from the fronts'
// goroutines, call-backs from the shard's goroutine or a reader's and must not block.
package service
