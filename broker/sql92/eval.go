package sql92

import (
	"bytes"
	"strings"

	"github.com/contrailmq/contrail/broker/message"
)

// Outcome of an evaluation.
type Outcome uint8

// Outcomes. Only Yes lets a message through.
const (
	No      Outcome = iota
	Yes             // the expression is true
	Unknown         // it is NULL: a property that it needs is absent
	Failed          // a value could not be read as the type it is compared with, or the budget was used up
)

// Budget is how many steps one evaluation may take: one for each operation, one for every stepBytes of text that it looks at.
const (
	Budget    = 1 << 16
	stepBytes = 64
)

// types of a value.
type typ uint8

const (
	typNull typ = iota
	typBool
	typInt // 32 bits; kept in whole
	typLong
	typDouble
	typText
)

type value struct {
	typ   typ
	whole int64 // numbers; 1 for true
	real  float64
	text  []byte
}

func boolean(b bool) value {
	if b {
		return value{typ: typBool, whole: 1}
	}
	return value{typ: typBool}
}

func (v *value) isTrue() bool  { return v.typ == typBool && v.whole == 1 }
func (v *value) isFalse() bool { return v.typ == typBool && v.whole == 0 }

// Scratch is the memory of evaluations; the zero value is ready. It belongs to one goroutine.
type Scratch struct {
	properties [][]byte
	stack      []value
	steps      int
}

// Match says whether the message with these encoded properties passes.
func (f *Filter) Match(run []byte, s *Scratch) bool { return f.Eval(run, s) == Yes }

// Eval evaluates f over a message's encoded property run (package message). The run is only read.
func (f *Filter) Eval(run []byte, s *Scratch) Outcome {
	s.steps = Budget
	f.load(run, s)
	s.stack = s.stack[:0]
	for pc := 0; pc < len(f.code); pc++ {
		in := &f.code[pc]
		if s.steps--; s.steps < 0 {
			return Failed
		}
		jump, ok := f.step(in, s)
		if !ok {
			return Failed
		}
		if jump {
			pc = int(in.arg) - 1
		}
	}
	return outcome(&s.stack[0])
}

func outcome(v *value) Outcome {
	switch {
	case v.isTrue():
		return Yes
	case v.typ == typNull:
		return Unknown
	}
	return No
}

// load finds the properties that f names: one walk, the last of equal names wins.
func (f *Filter) load(run []byte, s *Scratch) {
	if cap(s.properties) < len(f.names) {
		s.properties = make([][]byte, len(f.names))
	}
	s.properties = s.properties[:len(f.names)]
	clear(s.properties)
	for len(f.names) > 0 {
		name, text, rest, ok := message.NextProperty(run)
		if !ok {
			return
		}
		if at, ok := f.find(name); ok {
			if text == nil {
				text = []byte{}
			}
			s.properties[at] = text
		}
		run = rest
	}
}

// find is the slot of a name; few names are compared, many looked up.
func (f *Filter) find(name []byte) (int, bool) {
	if f.slots != nil {
		at, ok := f.slots[string(name)]
		return at, ok
	}
	for i, n := range f.names {
		if n == string(name) {
			return i, true
		}
	}
	return 0, false
}

// step runs one operation. jump says that the next one is in.arg; !ok that the evaluation fails.
func (f *Filter) step(in *instruction, s *Scratch) (jump, ok bool) {
	top := len(s.stack) - 1
	switch in.op {
	case opConstant:
		s.stack = append(s.stack, f.constants[in.arg])
	case opProperty:
		v := value{text: s.properties[in.arg]}
		if v.text != nil {
			v.typ = typText
		}
		s.stack = append(s.stack, v)
	case opDup:
		s.stack = append(s.stack, s.stack[top])
	case opNip:
		s.stack[top-1] = s.stack[top]
		s.stack = s.stack[:top]
	case opJumpTrue:
		return s.stack[top].isTrue(), true
	case opJumpFalse:
		return s.stack[top].isFalse(), true
	case opAnd, opOr:
		s.stack[top-1] = combine(in.op == opOr, &s.stack[top-1], &s.stack[top])
		s.stack = s.stack[:top]
	case opEqual, opLess, opLessEqual, opGreater, opGreaterEqual:
		v, ok := compare(in.op, &s.stack[top-1], &s.stack[top])
		s.stack[top-1] = v
		s.stack = s.stack[:top]
		return false, ok
	case opBetweenHigh, opOutsideHigh:
		return false, s.high(in.op)
	default:
		s.stack[top] = f.unary(in, s, &s.stack[top])
	}
	return false, true
}

// high is the second half of BETWEEN: value, first half's result, bound -> value, result.
func (s *Scratch) high(op op) bool {
	top := len(s.stack) - 1
	how := opLessEqual
	if op == opOutsideHigh {
		how = opGreater
	}
	v, ok := compare(how, &s.stack[top-2], &s.stack[top])
	s.stack[top-1] = combine(op == opOutsideHigh, &s.stack[top-1], &v)
	s.stack = s.stack[:top]
	return ok
}

// unary is an operation on the topmost value.
func (f *Filter) unary(in *instruction, s *Scratch, v *value) value {
	switch in.op {
	case opNot:
		if v.typ == typNull {
			return value{}
		}
		return boolean(v.whole == 0)
	case opNegate:
		return negate(v)
	case opIsNull:
		return boolean(v.typ == typNull)
	case opCast:
		if v.typ == typNull {
			return value{}
		}
		return boolean(v.isTrue())
	case opIn, opNotIn:
		s.steps -= len(v.text) / stepBytes
		if v.typ != typText {
			return value{}
		}
		return boolean(f.lists[in.arg].has(v.text) != (in.op == opNotIn))
	}
	s.steps -= len(v.text) / stepBytes
	return f.search(in, v)
}

// search: an empty pattern and what is no text are in nothing, and not in nothing either.
func (f *Filter) search(in *instruction, v *value) value {
	pattern := f.constants[in.arg].text
	if v.typ != typText || len(pattern) == 0 {
		return boolean(false)
	}
	switch in.op {
	case opContains, opNotContains:
		return boolean(bytes.Contains(v.text, pattern) != (in.op == opNotContains))
	case opStarts, opNotStarts:
		return boolean(bytes.HasPrefix(v.text, pattern) != (in.op == opNotStarts))
	}
	return boolean(bytes.HasSuffix(v.text, pattern) != (in.op == opNotEnds))
}

func negate(v *value) value {
	switch v.typ {
	case typInt:
		return value{typ: typInt, whole: int64(int32(-v.whole))}
	case typLong:
		return value{typ: typLong, whole: -v.whole}
	case typDouble:
		return value{typ: typDouble, real: -v.real}
	}
	return value{}
}

// combine is three-valued AND, or OR.
func combine(or bool, a, b *value) value {
	switch {
	case a.typ == typBool && (a.whole == 1) == or:
		return boolean(or)
	case b.typ == typBool && (b.whole == 1) == or:
		return boolean(or)
	case a.typ == typNull || b.typ == typNull:
		return value{}
	}
	return boolean(!or)
}

// compare is one of = < <= > >=; !ok when a text cannot be read as the other side's type.
func compare(op op, a, b *value) (value, bool) {
	if a.typ == typNull {
		if op == opEqual && b.typ == typNull {
			return boolean(true), true
		}
		return value{}, true
	}
	if b.typ == typNull {
		if op == opEqual {
			return boolean(false), true
		}
		return value{}, true
	}
	n, ok := order(op, a, b)
	switch op {
	case opLess:
		return boolean(n < 0), ok
	case opLessEqual:
		return boolean(n <= 0), ok
	case opGreater:
		return boolean(n > 0), ok
	case opGreaterEqual:
		return boolean(n >= 0), ok
	}
	return boolean(n == 0), ok
}

// order compares two values that are there; types that nothing connects give -1, as in Java.
func order(op op, a, b *value) (int, bool) {
	if a.typ == typText && b.typ == typText {
		if op == opEqual {
			return bytes.Compare(a.text, b.text), true
		}
		x, okx := parseDouble(a.text)
		y, oky := parseDouble(b.text)
		return compareDoubles(x, y), okx && oky
	}
	if a.typ == typBool && b.typ == typText {
		return 0, false // Java fails there, and only in this order
	}
	x, okx := as(a, b.typ)
	y, oky := as(b, a.typ)
	switch {
	case !okx || !oky:
		return 0, false
	case x.typ == typBool && y.typ == typBool, x.typ <= typLong && y.typ <= typLong && x.typ != typBool && y.typ != typBool:
		return compareWhole(x.whole, y.whole), true
	case x.typ == typBool || y.typ == typBool:
		return -1, true
	}
	return compareDoubles(x.double(), y.double()), true
}

func (v *value) double() float64 {
	if v.typ == typDouble {
		return v.real
	}
	return float64(v.whole)
}

// as reads a text as another type; what is no text stays as it is.
func as(v *value, to typ) (value, bool) {
	if v.typ != typText {
		return *v, true
	}
	var ok bool
	out := value{typ: to}
	switch to {
	case typBool:
		return boolean(isTrue(v.text)), true
	case typInt:
		out.whole, ok = parseWhole(v.text, 32)
	case typLong:
		out.whole, ok = parseWhole(v.text, 64)
	default:
		out.real, ok = parseDouble(v.text)
	}
	return out, ok
}

// list is what IN names.
type list struct {
	few  []string
	many map[string]struct{}
}

// fewMax is up to where comparing one by one is faster than hashing.
const fewMax = 8

func newList(items []string) list {
	if len(items) <= fewMax {
		return list{few: items}
	}
	l := list{many: make(map[string]struct{}, len(items))}
	for _, s := range items {
		l.many[s] = struct{}{}
	}
	return l
}

func (l *list) has(text []byte) bool {
	for _, s := range l.few {
		if s == string(text) {
			return true
		}
	}
	_, ok := l.many[string(text)]
	return ok
}

// String is the expression.
func (f *Filter) String() string { return strings.Clone(f.source) }
