package transport

import pb "go.etcd.io/raft/v3/raftpb"

// item is a message or an aside that waits.
type item struct {
	group string
	m     *pb.Message // nil: an aside
	kind  uint8
	body  []byte
	size  int // of its frame
}

// lane is a bounded queue. What was taken counts until it is settled.
type lane struct {
	items           []item
	first           int
	bytes, messages int
	maxBytes        int
	maxMessages     int
}

// push adds an item; false: it does not fit. An empty lane takes any frame.
func (l *lane) push(it item) bool {
	if l.messages > 0 && (l.bytes+it.size > l.maxBytes || l.messages >= l.maxMessages) {
		return false
	}
	if len(l.items) == cap(l.items) && l.first > len(l.items)/2 {
		n := copy(l.items, l.items[l.first:])
		clear(l.items[n:])
		l.items, l.first = l.items[:n], 0
	}
	l.items = append(l.items, it)
	l.bytes += it.size
	l.messages++
	return true
}

// take moves items to dst until they are about size bytes.
func (l *lane) take(dst []item, size int) []item {
	for n := 0; l.first < len(l.items) && n < size; l.first++ {
		it := l.items[l.first]
		n += it.size
		dst = append(dst, it)
		l.items[l.first] = item{}
	}
	if l.first == len(l.items) {
		l.items, l.first = l.items[:0], 0
	}
	return dst
}

// settle says that items that were taken do not wait any more.
func (l *lane) settle(items []item) {
	for i := range items {
		l.bytes -= items[i].size
	}
	l.messages -= len(items)
}

// drop forgets all items, also those taken and not settled, and says how many.
func (l *lane) drop() int {
	n := l.messages
	l.items, l.first, l.bytes, l.messages = nil, 0, 0, 0
	return n
}
