package sql92

import (
	"fmt"
	"math"
	"strconv"
)

// Limits of an expression; a Java broker has none and dies of a deep one.
const (
	MaxLength = 64 << 10 // bytes
	MaxDepth  = 256      // parentheses and signs inside each other
	MaxNames  = 256      // different properties
)

type op uint8

// Operations. Those that jump leave the value that they looked at.
const (
	opConstant op = iota // push constants[arg]
	opProperty           // push properties[arg]
	opDup
	opNip // drop the second
	opJumpTrue
	opJumpFalse
	opAnd
	opOr
	opEqual
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opBetweenHigh
	opOutsideHigh
	opNot
	opNegate
	opIsNull
	opCast // what is no boolean is false
	opIn
	opNotIn
	opContains
	opNotContains
	opStarts
	opNotStarts
	opEnds
	opNotEnds
)

type instruction struct {
	op  op
	arg int32
}

// Filter is a compiled expression. It is immutable and safe for concurrent use.
type Filter struct {
	source    string
	code      []instruction
	constants []value
	lists     []list
	names     []string
	slots     map[string]int // nil while there are few
}

// Compile reads an expression. The error is always an *Error.
func Compile(expression string) (*Filter, error) {
	if len(expression) > MaxLength {
		return nil, newError(expression, 0, fmt.Sprintf("the expression has %d bytes, the limit is %d", len(expression), MaxLength))
	}
	p := parser{lexer: lexer{src: expression}, f: &Filter{source: expression}, slots: map[string]int{}}
	if err := p.all(); err != nil {
		return nil, err
	}
	if len(p.f.names) > fewMax {
		p.f.slots = p.slots
	}
	return p.f, nil
}

type parser struct {
	lexer
	f     *Filter
	slots map[string]int
	tok   token // the next one
	ahead token // and the one behind it, when peeked
	has   bool  // ahead is valid
	depth int
}

// operand is what the code emitted last leaves on the stack.
type operand struct {
	class class
	value value // of a constant
	at    int   // where it stands
}

type class uint8

const (
	classOther    class = iota // -x
	classConstant              // text or number
	classTruth                 // TRUE, FALSE, NULL: constant and boolean
	classProperty
	classBoolean
)

func (p *parser) all() error {
	err := p.advance()
	if err != nil {
		return err
	}
	o, err := p.or()
	if err != nil {
		return err
	}
	if p.tok.kind != tokEnd {
		return p.unexpected("the end, AND, OR or a comparison")
	}
	if err := p.boolean(&o); err != nil {
		return err
	}
	return nil
}

func (p *parser) advance() *Error {
	var err *Error
	if p.has {
		p.tok, p.has = p.ahead, false
		return nil
	}
	p.tok, err = p.next()
	return err
}

// peek is the token behind the next one.
func (p *parser) peek() (token, *Error) {
	var err *Error
	if !p.has {
		p.ahead, err = p.next()
		p.has = err == nil
	}
	return p.ahead, err
}

func (p *parser) unexpected(want string) *Error {
	return p.fail(p.tok.at, fmt.Sprintf("found %v, expected %s", p.tok, want))
}

func (p *parser) isKeyword(word string) bool { return p.tok.kind == tokKeyword && p.tok.word == word }
func (p *parser) isSymbol(text string) bool  { return p.tok.kind == tokSymbol && p.tok.text == text }

// take passes a symbol or keyword that must be there.
func (p *parser) take(what string) *Error {
	if !p.isKeyword(what) && !p.isSymbol(what) {
		return p.unexpected(what)
	}
	return p.advance()
}

func (p *parser) emit(op op, arg int) { p.f.code = append(p.f.code, instruction{op, int32(arg)}) }

func (p *parser) constant(v value) int {
	p.f.constants = append(p.f.constants, v)
	return len(p.f.constants) - 1
}

func (p *parser) or() (operand, *Error)  { return p.chain("OR", opJumpTrue, opOr, p.and) }
func (p *parser) and() (operand, *Error) { return p.chain("AND", opJumpFalse, opAnd, p.equality) }

// chain is `part { word part }`: code that jumps over the right side when the left one decides.
func (p *parser) chain(word string, jump, join op, part func() (operand, *Error)) (operand, *Error) {
	left, err := part()
	for err == nil && p.isKeyword(word) {
		if err = p.boolean(&left); err != nil {
			break
		}
		from := len(p.f.code)
		p.emit(jump, 0)
		if err = p.advance(); err != nil {
			break
		}
		var right operand
		if right, err = part(); err != nil {
			break
		}
		if err = p.boolean(&right); err != nil {
			break
		}
		p.emit(join, 0)
		p.f.code[from].arg = int32(len(p.f.code))
		left = operand{class: classBoolean, at: left.at}
	}
	return left, err
}

func (p *parser) equality() (operand, *Error) {
	left, err := p.comparison()
	for err == nil {
		switch {
		case p.isSymbol("="), p.isSymbol("<>"):
			err = p.equal(&left, p.tok.text == "<>")
		case p.isKeyword("IS"):
			err = p.isNull(&left)
		default:
			return left, nil
		}
	}
	return left, err
}

func (p *parser) equal(left *operand, not bool) *Error {
	if err := p.advance(); err != nil {
		return err
	}
	right, err := p.comparison()
	if err != nil {
		return err
	}
	if err := p.mayEqual(left, &right); err != nil {
		return err
	}
	p.emit(opEqual, 0)
	if not {
		p.emit(opNot, 0)
	}
	*left = operand{class: classBoolean, at: left.at}
	return nil
}

func (p *parser) isNull(left *operand) *Error {
	if err := p.advance(); err != nil {
		return err
	}
	not := p.isKeyword("NOT")
	if not {
		if err := p.advance(); err != nil {
			return err
		}
	}
	if !p.isKeyword("NULL") {
		return p.unexpected("NULL or NOT NULL")
	}
	p.emit(opIsNull, 0)
	if not {
		p.emit(opNot, 0)
	}
	*left = operand{class: classBoolean, at: left.at}
	return p.advance()
}

var inequalities = map[string]op{">": opGreater, ">=": opGreaterEqual, "<": opLess, "<=": opLessEqual}

// searches: the operation, and the one of NOT.
var searches = map[string][2]op{
	"CONTAINS": {opContains, opNotContains}, "STARTSWITH": {opStarts, opNotStarts}, "ENDSWITH": {opEnds, opNotEnds},
}

func (p *parser) comparison() (operand, *Error) {
	left, err := p.unary()
	for err == nil {
		if how, ok := inequalities[p.tok.text]; ok && p.tok.kind == tokSymbol {
			err = p.inequality(&left, how)
			continue
		}
		word, not, ok := p.test()
		if !ok {
			return left, nil
		}
		if err = p.pass(not); err != nil {
			break
		}
		err = p.tested(&left, word, not)
	}
	return left, err
}

// test looks whether [NOT] BETWEEN, IN, CONTAINS … comes next.
func (p *parser) test() (word string, not, ok bool) {
	if p.tok.kind != tokKeyword {
		return "", false, false
	}
	word = p.tok.word
	if word == "NOT" {
		t, err := p.peek()
		if err != nil || t.kind != tokKeyword {
			return "", false, false
		}
		word, not = t.word, true
	}
	_, search := searches[word]
	return word, not, search || word == "IN" || word == "BETWEEN"
}

func (p *parser) pass(not bool) *Error {
	if not {
		if err := p.advance(); err != nil {
			return err
		}
	}
	return p.advance()
}

func (p *parser) tested(left *operand, word string, not bool) *Error {
	var err *Error
	switch word {
	case "BETWEEN":
		err = p.between(left, not)
	case "IN":
		err = p.in(left, not)
	default:
		err = p.search(searches[word], not)
	}
	*left = operand{class: classBoolean, at: left.at}
	return err
}

func (p *parser) inequality(left *operand, how op) *Error {
	if err := p.mayOrder(left); err != nil {
		return err
	}
	if err := p.advance(); err != nil {
		return err
	}
	right, err := p.unary()
	if err != nil {
		return err
	}
	if err := p.mayOrder(&right); err != nil {
		return err
	}
	p.emit(how, 0)
	*left = operand{class: classBoolean, at: left.at}
	return nil
}

// between is `left >= low AND left <= high`, or its opposite; the value is computed once.
func (p *parser) between(left *operand, not bool) *Error {
	how, jump, join := opGreaterEqual, opJumpFalse, opBetweenHigh
	if not {
		how, jump, join = opLess, opJumpTrue, opOutsideHigh
	}
	p.emit(opDup, 0)
	low, err := p.unary()
	if err != nil {
		return err
	}
	p.emit(how, 0)
	from := len(p.f.code)
	p.emit(jump, 0)
	if err := p.take("AND"); err != nil {
		return err
	}
	high, err := p.unary()
	if err != nil {
		return err
	}
	p.emit(join, 0)
	p.f.code[from].arg = int32(len(p.f.code))
	p.emit(opNip, 0)
	return p.mayBeBounds(left, &low, &high, not)
}

func (p *parser) in(left *operand, not bool) *Error {
	if left.class != classProperty {
		return p.fail(left.at, "IN needs the name of a property on its left")
	}
	if err := p.take("("); err != nil {
		return err
	}
	var items []string
	for {
		text, err := p.text()
		if err != nil {
			return err
		}
		items = append(items, text)
		if !p.isSymbol(",") {
			break
		}
		if err := p.advance(); err != nil {
			return err
		}
	}
	p.f.lists = append(p.f.lists, newList(items))
	how := opIn
	if not {
		how = opNotIn
	}
	p.emit(how, len(p.f.lists)-1)
	return p.take(")")
}

func (p *parser) search(how [2]op, not bool) *Error {
	text, err := p.text()
	if err != nil {
		return err
	}
	which := how[0]
	if not {
		which = how[1]
	}
	p.emit(which, p.constant(value{typ: typText, text: []byte(text)}))
	return nil
}

// text passes a string literal.
func (p *parser) text() (string, *Error) {
	if p.tok.kind != tokString {
		return "", p.unexpected("a string in single quotes")
	}
	s := unquote(p.tok.text)
	return s, p.advance()
}

func (p *parser) unary() (operand, *Error) {
	if p.depth++; p.depth > MaxDepth {
		return operand{}, p.fail(p.tok.at, fmt.Sprintf("nested more than %d deep", MaxDepth))
	}
	defer func() { p.depth-- }()
	switch {
	case p.isSymbol("+"):
		if err := p.advance(); err != nil {
			return operand{}, err
		}
		return p.unary()
	case p.isSymbol("-"), p.isKeyword("NOT"):
		return p.prefixed(p.tok.at, p.tok.text == "-")
	}
	return p.primary()
}

func (p *parser) prefixed(at int, minus bool) (operand, *Error) {
	if err := p.advance(); err != nil {
		return operand{}, err
	}
	o, err := p.unary()
	if err != nil {
		return o, err
	}
	if minus {
		p.emit(opNegate, 0)
		return operand{class: classOther, at: at}, nil
	}
	err = p.boolean(&o)
	p.emit(opNot, 0)
	return operand{class: classBoolean, at: at}, err
}

func (p *parser) primary() (operand, *Error) {
	t := p.tok
	switch {
	case t.kind == tokName:
		return p.property(t)
	case p.isSymbol("("):
		return p.group()
	case t.kind == tokString:
		return p.literal(classConstant, value{typ: typText, text: []byte(unquote(t.text))})
	case t.kind == tokDecimal:
		return p.whole(t)
	case t.kind == tokFloat:
		return p.float(t)
	case p.isKeyword("TRUE"), p.isKeyword("FALSE"):
		return p.literal(classTruth, boolean(t.word == "TRUE"))
	case p.isKeyword("NULL"):
		return p.literal(classTruth, value{})
	}
	return operand{}, p.unexpected("a name, a value or (")
}

func (p *parser) group() (operand, *Error) {
	if err := p.advance(); err != nil {
		return operand{}, err
	}
	o, err := p.or()
	if err != nil {
		return o, err
	}
	return o, p.take(")")
}

func (p *parser) literal(class class, v value) (operand, *Error) {
	o := operand{class: class, value: v, at: p.tok.at}
	p.emit(opConstant, p.constant(v))
	return o, p.advance()
}

func (p *parser) property(t token) (operand, *Error) {
	slot, ok := p.slots[t.text]
	if !ok {
		if slot = len(p.f.names); slot == MaxNames {
			return operand{}, p.fail(t.at, fmt.Sprintf("more than %d properties are named", MaxNames))
		}
		p.slots[t.text] = slot
		p.f.names = append(p.f.names, t.text)
	}
	p.emit(opProperty, slot)
	return operand{class: classProperty, at: t.at}, p.advance()
}

func (p *parser) whole(t token) (operand, *Error) {
	n, err := strconv.ParseInt(t.text, 10, 64)
	if err != nil {
		return operand{}, p.fail(t.at, fmt.Sprintf("%v is beyond 64 bits", t))
	}
	v := value{typ: typInt, whole: n}
	if n > math.MaxInt32 {
		v.typ = typLong
	}
	return p.literal(classConstant, v)
}

// float refuses what Java refuses: zero written as a double, too.
func (p *parser) float(t token) (operand, *Error) {
	f, _ := strconv.ParseFloat(t.text, 64)
	if math.IsInf(f, 1) || f == 0 {
		return operand{}, p.fail(t.at, fmt.Sprintf("%v is no double from 4.9E-324 to 1.7976931348623157E308", t))
	}
	return p.literal(classConstant, value{typ: typDouble, real: f})
}
