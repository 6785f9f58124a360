package api

// GroupAdd adds a broker group.
type GroupAdd struct {
	Name      string            `json:"name"`
	Nodes     []uint64          `json:"nodes,omitempty"`     // that found it; absent: the cluster's founders
	Addresses map[uint64]string `json:"addresses,omitempty"` // node: ip:port; absent: the nodes choose
}

// LeaderMove lets a member lead its broker group from now on.
type LeaderMove struct {
	Member uint64 `json:"member"`
}

// MembersChange adds a member, removes one, or lets one take the other's place.
type MembersChange struct {
	Add    uint64 `json:"add,omitempty"`
	Remove uint64 `json:"remove,omitempty"`
}

// Drain lets a node lead nothing.
type Drain struct {
	ReplaceBy uint64 `json:"replaceBy,omitempty"` // node that takes its members' places, too
}

// None is an empty body.
type None struct{}

// QueuesChange is how many queues a topic shall have in each of some broker groups.
type QueuesChange struct {
	Read   int32    `json:"readQueues,omitempty"` // 0: as many as it has
	Write  int32    `json:"writeQueues,omitempty"`
	Groups []string `json:"brokerGroups,omitempty"` // absent: all
}

// Changed answers a change: it is stored, and goes on by itself where it takes time (GET /cluster shows how far it is).
type Changed struct {
	Groups []string `json:"brokerGroups"`
}

// changes are the POSTs of the API.
var changes = []change{
	{"/cluster/groups", "addGroup", "Add a broker group to the running cluster", GroupAdd{}, Changed{}},
	{"/cluster/groups/{group}/leader", "moveLeader", "Let another member lead", LeaderMove{}, Changed{}},
	{"/cluster/groups/{group}/members", "changeMembers", "Add, remove or replace a member", MembersChange{}, Changed{}},
	{"/cluster/nodes/{node}/drain", "drain", "Let a node lead nothing until it is undrained", Drain{}, Changed{}},
	{"/cluster/nodes/{node}/undrain", "undrain", "Let a drained node lead again", None{}, Changed{}},
	{"/topics/{topic}/queues", "changeQueues", "Change the number of a topic's queues, or extend it onto other broker groups", QueuesChange{}, Changed{}},
	{"/dead-letters/{group}/resend", "resendDeadLetters", "Give up to 100 dead letters to their group again; one that was resent before is left alone", ResendLetters{}, ResentLetters{}},
	{"/groups/{group}/offsets/plan", "planReset", "Say per queue what a reset would do; nothing is changed", ResetWish{}, ResetPlan{}},
	{"/groups/{group}/offsets/reset", "resetOffsets", "Move a group to other places, up to 1000 queues", ResetOffsets{}, ResetOutcomes{}},
	{"/groups/{group}/offsets/clone", "cloneOffsets", "Give a group the places that another one has", CloneOffsets{}, Changed{}},
	{"/transactions/decide", "decideTransaction", "Commit or roll back a half message whose producers are gone", DecideTransaction{}, Changed{}},
	{"/scheduled/cancel", "cancelScheduled", "Cancel a scheduled message; that it is too late is an answer, too", CancelScheduled{}, Cancelled{}},
	{"/messages/{id}/verify", "verifyMessage", "Hand one message to one client and say what it made of it; no place is changed", VerifyMessage{}, Verified{}},
	{"/clients/running", "clientRunning", "Ask a client what it is doing, with the stacks of its threads if wished", AskRunning{}, Running{}},
}
