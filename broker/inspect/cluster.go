package inspect

// Cluster is what a node knows of its cluster's layout and of what changes there.
type Cluster struct {
	Node    uint64           `json:"node"` // this one; 0: it is alone
	Nodes   []ClusterNode    `json:"nodes"`
	Groups  []BrokerGroup    `json:"brokerGroups"`
	Changes []ChangeProgress `json:"changes"` // under way, failed, or wished for without end (a drained node)
	Version uint64           `json:"version"` // of the plan that the nodes agreed on
}

// ClusterNode is one node as the cluster's configuration and plan say.
type ClusterNode struct {
	ID         uint64   `json:"id"`
	Name       string   `json:"name"`
	Drained    bool     `json:"drained"`
	ReplacedBy uint64   `json:"replacedBy"` // node that takes its members' places; 0: they stay
	Leads      []string `json:"leads"`      // broker groups
	MemberOf   []string `json:"memberOf"`
}

// ChangeProgress is how far a change is.
type ChangeProgress struct {
	Kind    string `json:"kind"`    // add-group, members, drain
	Subject string `json:"subject"` // broker group or node
	State   string `json:"state"`   // running, done, failed
	Percent int    `json:"percent"`
	Text    string `json:"text"`
	Since   int64  `json:"since"` // ms; 0: not known
}

// States of a ChangeProgress.
const (
	Running = "running"
	Done    = "done"
	Failed  = "failed"
)

// ClusterChange asks for a change of the plan.
type ClusterChange struct {
	Kind  string            `json:"kind"` // add-group, drain, undrain, prefer; between nodes: address, plan, offer
	Group string            `json:"group,omitempty"`
	Node  uint64            `json:"node,omitempty"`  // drain, undrain, prefer
	By    uint64            `json:"by,omitempty"`    // drain: takes its members' places
	Nodes []uint64          `json:"nodes,omitempty"` // add-group: founders; absent: all
	Addrs map[uint64]string `json:"addrs,omitempty"` // add-group: where clients dial each node; absent: chosen by the nodes
	// Relayed is set by a node that hands the change to the one that leads the home group.
	Relayed bool `json:"relayed,omitempty"`
}

// Kinds of a ClusterChange.
const (
	AddGroup = "add-group"
	DrainOf  = "drain"
	Undrain  = "undrain"
	Prefer   = "prefer"
	Address  = "address" // of a node in a group that was added
	PlanOf   = "plan"    // asks for the plan that a node knows
	Offer    = "offer"   // asks a node where it could listen for a new group
)
