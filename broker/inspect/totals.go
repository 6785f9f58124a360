package inspect

// Out is what a group was handed of a topic since the start.
type Out struct {
	Topic, Group    string
	System          bool // the topic or the group is the broker's own
	Messages, Bytes int64
}

// Sizes counts a topic's messages by their stored size: a count per bound (not cumulative), the last for what is larger
// than all of them.
type Sizes struct {
	Topic  string
	Bounds []int64 // bytes; shared, not to be changed
	Counts []uint64
	Bytes  int64 // of all
}
