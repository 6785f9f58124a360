package sim

import (
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// judge keeps what the clients of registers called and were answered, and lets porcupine look whether any order explains it.
type judge struct {
	histories map[offsetKey][]porcupine.Operation
}

type registerInput struct {
	write bool
	value int64
}

var register = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		in := input.(registerInput)
		if in.write {
			return true, in.value
		}
		return output.(int64) == state.(int64), state
	},
}

const (
	judgeMax      = 2000 // operations on one register
	judgePatience = 10 * time.Second
)

func (j *judge) add(key offsetKey, o porcupine.Operation) {
	if j.histories == nil {
		j.histories = map[offsetKey][]porcupine.Operation{}
	}
	j.histories[key] = append(j.histories[key], o)
}

func (j *judge) wrote(client int, wr *writing, now int64) {
	j.add(wr.key, porcupine.Operation{ClientId: client, Input: registerInput{true, wr.value}, Call: wr.call, Return: now})
}

// maybe is a write of which nobody knows whether it was done, and when.
func (j *judge) maybe(client int, wr *writing) {
	j.add(wr.key, porcupine.Operation{ClientId: client, Input: registerInput{true, wr.value}, Call: wr.call, Return: math.MaxInt64})
}

func (j *judge) read(client int, r *reading, got, now int64) {
	j.add(r.key, porcupine.Operation{ClientId: client, Input: registerInput{}, Call: r.call, Output: got, Return: now})
}

// checkRegisters drops writes that the log does not have: nobody ever saw them, and each doubles the orders to try.
func (w *world) checkRegisters() {
	for _, c := range w.clients {
		if c.writing != nil {
			w.judge.maybe(c.number, c.writing)
		}
	}
	for key, h := range w.judge.histories {
		if len(h) > judgeMax {
			continue // a part of a history says nothing
		}
		known := h[:0]
		for _, o := range h {
			in := o.Input.(registerInput)
			if _, stored := w.truth.commits[in.value]; !in.write || stored || o.Return != math.MaxInt64 {
				known = append(known, o)
			}
		}
		w.covered(Judged)
		if porcupine.CheckOperationsTimeout(register, known, judgePatience) == porcupine.Illegal {
			w.violate("no order of the reads and writes of %s explains what was read", key.group)
		}
	}
}
