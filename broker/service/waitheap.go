package service

// held is a request that waits: until when, ms, and where it stands in its heap (-1: nowhere).
type held struct {
	deadline int64
	at       int
}

func (h *held) wait() *held { return h }

// waitHeap is requests that wait, ordered by deadline, for package heap.
type waitHeap[W interface{ wait() *held }] []W

func (h waitHeap[W]) Len() int           { return len(h) }
func (h waitHeap[W]) Less(i, j int) bool { return h[i].wait().deadline < h[j].wait().deadline }
func (h waitHeap[W]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].wait().at, h[j].wait().at = i, j
}

// Push and Pop implement heap.Interface.
func (h *waitHeap[W]) Push(x any) {
	w := x.(W)
	w.wait().at = len(*h)
	*h = append(*h, w)
}

func (h *waitHeap[W]) Pop() any {
	old := *h
	w := old[len(old)-1]
	var none W
	old[len(old)-1] = none
	*h = old[:len(old)-1]
	w.wait().at = -1
	return w
}
