// Package namesrv is RocketMQ's name server: which brokers there are, which topics they serve, and the route answers that
// clients read (org.apache.rocketmq.namesrv.routeinfo.RouteInfoManager).
//
// Words: a registration is a broker member with all its topics; a route is a topic's queues and the members that serve them;
// KV configuration is text by namespace and key.
//
// Invariants: an address has one id in its broker group, and one address leads: the one of the newest term that registered as id 0.
// A member that was not heard of for ExpireAfter, or whose connection closed, is in no route. While nobody is registered as the
// leader, routes have the followers: consumers read from any of them (MQClientInstance.findBrokerAddressInSubscribe), producers
// pass the group by (topicRouteData2TopicPublishInfo). A topic that was registered is in the route answer of the next request.
// Everything is in memory and bounded; brokers say it again every 30 s.
//
// Goroutines: one that expires silent members; Table is safe for concurrent use and takes now. Requests are handled by the
// connections' reading goroutines.
//
// Files: table.go (state), server.go (port and dispatch), one file per request numbered by its code.
package namesrv
