// Package plan is what the nodes of a cluster agree on while they run, beyond their configuration: broker groups that were added,
// which node shall lead a group, and nodes that are drained.
//
// Words: the plan is kept in a topic of the home group, the first broker group of the configuration by name, so that it is stored by
// a majority and ordered like a message; its version counts changes. Each node also keeps the newest plan that it saw in its data
// folder, so that a start has it before any group is led. A node is drained when it shall lead nothing.
//
// A Plan is a value: a change gives another one, with the next version. There is no goroutine here.
package plan
