// Package catalog is the replicated metadata of a broker group: its topics and consumer groups, their settings and the
// rules by which names are accepted. Words: TopicConfig and SubscriptionGroupConfig are RocketMQ's, with its field names
// and defaults, because they travel as JSON in the same form that clients and mqadmin read.
//
// Invariants: a Catalog is changed only by applying commands from the log, by one goroutine; readers see a consistent
// entry (they get copies). Names never become paths. No clock.
package catalog
