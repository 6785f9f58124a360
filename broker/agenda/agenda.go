// Package agenda is when things are due: a heap of times and numbers.
//
// Words: an item says when the thing with a number is due. An item that no longer holds is a left-over: whoever keeps the things knows
// the only time that holds of each, and passes over left-overs when they come up. So a change costs a push, never a search.
//
// Invariants: Top is the earliest item, among equal times the one with the least number: equal histories give equal answers.
//
// Goroutines: none; one owner.
package agenda

// Item is a time, ms, and the number of what is due then.
type Item struct {
	At int64
	ID int32
}

// Heap is items; the zero value is empty.
type Heap struct{ items []Item }

// Make is a heap of items, which it keeps.
func Make(items []Item) Heap {
	h := Heap{items}
	for i := len(items)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
	return h
}

// Len counts items, left-overs included.
func (h *Heap) Len() int { return len(h.items) }

// Top is the earliest item; ok is false when there is none.
func (h *Heap) Top() (top Item, ok bool) {
	if len(h.items) == 0 {
		return Item{}, false
	}
	return h.items[0], true
}

// Push adds an item.
func (h *Heap) Push(v Item) {
	h.items = append(h.items, v)
	for i := len(h.items) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(i, up) {
			return
		}
		h.items[i], h.items[up] = h.items[up], h.items[i]
		i = up
	}
}

// Pop takes the earliest item away; there must be one.
func (h *Heap) Pop() {
	n := len(h.items) - 1
	h.items[0] = h.items[n]
	h.items = h.items[:n]
	h.down(0)
}

func (h *Heap) down(i int) {
	for {
		least := 2*i + 1
		if least >= len(h.items) {
			return
		}
		if r := least + 1; r < len(h.items) && h.less(r, least) {
			least = r
		}
		if !h.less(least, i) {
			return
		}
		h.items[i], h.items[least] = h.items[least], h.items[i]
		i = least
	}
}

func (h *Heap) less(i, j int) bool {
	x, y := h.items[i], h.items[j]
	return x.At < y.At || x.At == y.At && x.ID < y.ID
}
