package txn

// none is no slot.
const none = int32(-1)

// slot is an open half message. Slots refer to one another by their number: a million of them is no work for the garbage collector.
type slot struct {
	offset, position int64
	stored, checked  int64 // ms; checked is 0 before the first check
	immunity         int64 // ms
	wake             int64 // ms: when it is due; 0: not planned. A leader's alone, not saved
	size, checks     int32
	group            int32
	sum              uint32 // not saved: what is saved depends on the log only, and old checkpoints have none
	all, own         link   // in the lists of all, and of the group
}

type link struct{ prev, next int32 }

// list is slots by ascending offset: each new one is the newest.
type list struct {
	head, tail int32
	n          int
}

func newList() list { return list{none, none, 0} }

// pick says which of a slot's links a list uses.
type pick func(*slot) *link

func ofAll(s *slot) *link { return &s.all }
func ofOwn(s *slot) *link { return &s.own }

func (l *list) push(slots []slot, i int32, p pick) {
	*p(&slots[i]) = link{l.tail, none}
	if l.tail == none {
		l.head = i
	} else {
		p(&slots[l.tail]).next = i
	}
	l.tail = i
	l.n++
}

func (l *list) remove(slots []slot, i int32, p pick) {
	k := *p(&slots[i])
	if k.prev == none {
		l.head = k.next
	} else {
		p(&slots[k.prev]).next = k.next
	}
	if k.next == none {
		l.tail = k.prev
	} else {
		p(&slots[k.next]).prev = k.prev
	}
	l.n--
}
