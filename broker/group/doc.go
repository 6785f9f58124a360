// Package group is who is connected: producers and consumers by group, their subscriptions. That is in memory only:
// clients say it again every 30 s, and at once when they reconnect. And it is the queue locks of ordered consumers, which come from the log
// (locks.go): a failover neither loses nor doubles one.
//
// Words: a Conn is one connection; a member is a consumer on it; a group's subscription of a topic is the newest version that
// any member told (org.apache.rocketmq.broker.client.ConsumerManager). A queue lock belongs to one client id for LockFor.
//
// Invariants: every change of a group's members or subscriptions notifies all its members (code 40). A connection that closed
// or was silent for ExpireAfter is in no group. Methods take now; nothing here reads a clock.
//
// Goroutines: none; safe for concurrent use. Conn.Notify and Options call-backs are called without a lock held.
package group
