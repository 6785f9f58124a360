package sql92

// What the grammar allows and Java's expression classes refuse when they are made (org.apache.rocketmq.filter.expression).

// boolean makes the operand one that AND, OR and NOT take: a bare name is cast, another value refused.
func (p *parser) boolean(o *operand) *Error {
	switch o.class {
	case classBoolean, classTruth:
		return nil
	case classProperty:
		p.emit(opCast, 0)
		*o = operand{class: classBoolean, at: o.at}
		return nil
	}
	return p.fail(o.at, "this is no condition: it is neither true nor false")
}

// mayOrder: < and > take numbers, names and negated values.
func (p *parser) mayOrder(o *operand) *Error {
	if o.class == classConstant && o.value.typ != typText || o.class == classProperty || o.class == classOther {
		return nil
	}
	return p.fail(o.at, "only numbers and names can be compared by <, <=, >, >= and BETWEEN")
}

// mayEqual: NULL is equal to nothing, and a boolean literal to no text and no number.
func (p *parser) mayEqual(left, right *operand) *Error {
	for _, o := range []*operand{left, right} {
		if o.class == classTruth && o.value.typ == typNull {
			return p.fail(o.at, "NULL cannot be compared: write IS NULL")
		}
	}
	if left.class == classTruth && right.class == classConstant {
		return p.fail(right.at, "a boolean is equal to no text and no number")
	}
	return nil
}

// mayBeBounds: BETWEEN's literals stand in their order; those of NOT BETWEEN may stand in any.
func (p *parser) mayBeBounds(left, low, high *operand, not bool) *Error {
	for _, o := range []*operand{left, low, high} {
		if err := p.mayOrder(o); err != nil {
			return err
		}
	}
	if not || low.class != classConstant || high.class != classConstant {
		return nil
	}
	if n, ok := order(opLess, &low.value, &high.value); ok && n > 0 {
		return p.fail(low.at, "the lower bound is above the upper one")
	}
	return nil
}
