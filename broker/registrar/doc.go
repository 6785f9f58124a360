// Package registrar keeps a broker known to its name servers: all topics every 30 s, and within a second when a name server was
// restarted; changed ones at once, so that a topic is in the route answers when its creation is answered; and at once under
// another id, when the broker began or ceased to lead its group.
//
// Words: a NameServer is one of them, in this process (package namesrv) or at an address (Remote).
//
// Invariants: a name server that is away does not hold up the broker for longer than its request time-out, and is told
// everything when it is back. What is told last is what holds: one goroutine for each name server registers.
//
// Goroutines: one for each name server; Changed and SetID may be called from anywhere.
package registrar
