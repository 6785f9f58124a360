// Package message knows the stored form of a message: the bytes that PULL, QUERY and VIEW return and that the log
// keeps. FORMAT is RocketMQ's (org.apache.rocketmq.common.message.MessageDecoder), big endian:
//
//	total 4 | magic 4 | body CRC 4 | queue id 4 | flag 4 | queue offset 8 | physical offset 8 | sysFlag 4 |
//	born time 8 | born host 8|20 | store time 8 | store host 8|20 | reconsume times 4 | prepared offset 8 |
//	body length 4, body | topic length 1|2, topic | properties length 2, properties
//
// Words: View is a stored message in place, nothing copied. Properties are `name \x01 value \x02` runs.
// Tag hash is Java's String.hashCode of TAGS. The offset message id is hex(store host, port, physical offset).
//
// Invariants: a View that Parse returned has all its lengths inside its bytes. Nothing here allocates on the way of
// a message except functions that say so. No goroutines, no clock.
package message
