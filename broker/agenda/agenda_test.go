package agenda

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestItemsComeInOrder: whatever is pushed and popped, Top is the least of what is there.
func TestItemsComeInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.Custom(func(t *rapid.T) Item {
			return Item{rapid.Int64Range(0, 9).Draw(t, "at"), rapid.Int32Range(0, 9).Draw(t, "id")}
		})
		model := rapid.SliceOfN(draw, 0, 20).Draw(t, "begin")
		h := Make(slices.Clone(model))
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "push") {
				v := draw.Draw(t, "item")
				h.Push(v)
				model = append(model, v)
			}
			top, ok := h.Top()
			if ok != (len(model) > 0) || h.Len() != len(model) {
				t.Fatalf("%d items, expected %d", h.Len(), len(model))
			}
			if !ok {
				continue
			}
			least := slices.MinFunc(model, order)
			if top != least {
				t.Fatalf("top is %v, expected %v", top, least)
			}
			i := slices.Index(model, least)
			model = slices.Delete(model, i, i+1)
			h.Pop()
		}
	})
}

func order(a, b Item) int {
	if a.At != b.At {
		return int(a.At - b.At)
	}
	return int(a.ID - b.ID)
}
