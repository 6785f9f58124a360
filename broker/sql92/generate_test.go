package sql92

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator makes expressions, most of which compile.
type generator struct{ *rand.Rand }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

var names = []string{"a", "b", "price", "TAGS", "region", "$x", "_y9"}

func (g generator) name() string { return names[g.IntN(len(names))] }

func (g generator) number() string {
	return pick(g, "0", "1", "5", "10", "-5", "+7", "5L", "2147483647", "2147483648", "-2147483648", "9223372036854775807",
		"1.5", "5.", ".5", "5E1", "1.0e-3", "-2.5", "100", "5.0", "0.0", "1E400", "9223372036854775808", "- -3", "2.")
}

func (g generator) text() string {
	return pick(g, "'x'", "''", "'it''s'", "'5'", "'TRUE'", "'中文'", "'a b'", "'eu'", "'e'")
}

func (g generator) operand(depth int) string {
	switch n := g.IntN(20); {
	case n < 9:
		return g.name()
	case n < 14:
		return g.number()
	case n < 17:
		return g.text()
	case n < 18:
		return pick(g, "TRUE", "false", "NULL")
	case n < 19:
		return "-" + g.name()
	}
	if depth > 0 {
		return "(" + g.condition(depth-1) + ")"
	}
	return "(" + g.name() + ")"
}

func (g generator) condition(depth int) string {
	if depth > 0 {
		switch g.IntN(6) {
		case 0:
			return g.condition(depth-1) + " OR " + g.condition(depth-1)
		case 1:
			return g.condition(depth-1) + " and " + g.condition(depth-1)
		case 2:
			return "NOT (" + g.condition(depth-1) + ")"
		case 3:
			return "(" + g.condition(depth-1) + ")"
		}
	}
	return g.simple(depth)
}

func (g generator) simple(depth int) string {
	not := pick(g, "", "", " NOT")
	switch g.IntN(12) {
	case 0, 1:
		return g.operand(depth) + pick(g, "=", " = ", "<>", " <> ") + g.operand(depth)
	case 2, 3:
		return g.operand(depth) + pick(g, ">", ">=", " < ", "<=") + g.operand(depth)
	case 4, 5:
		return g.name() + pick(g, " > ", " <= ", " = ", " <> ", "<", ">=") + g.number()
	case 6:
		return g.operand(0) + not + " BETWEEN " + g.operand(0) + " AND " + g.operand(0)
	case 7:
		return g.name() + not + fmt.Sprintf(" BETWEEN %s AND %s", g.number(), g.number())
	case 8:
		return pick(g, g.name(), g.name(), g.operand(0)) + not + " in (" + strings.Repeat(g.text()+",", g.IntN(10)) + g.text() + ")"
	case 9:
		return g.operand(depth) + pick(g, " IS NULL", " is not null")
	case 10:
		return pick(g, g.name(), g.operand(depth)) + not + pick(g, " CONTAINS ", " startswith ", " EndsWith ") + g.text()
	}
	return pick(g, g.name(), "TRUE", "NOT "+g.name(), g.operand(depth))
}

func (g generator) properties() []string {
	var run []string
	for _, n := range names {
		if g.IntN(4) > 0 {
			run = append(run, n, pick(g, "5", "x", "", "5.5", "-5", "+7", "3000000000", "true", "TRUE", "it's", "a b", "eu", " 5 ", "1d", "0x1p3",
				"NaN", "-0.0", "0", "Infinity", "99999999999999999999", "中文", "1e400", "2147483648", "abc", "5f", "1_0", "inf", "-Infinity", ".", "1.", "10"))
		}
	}
	return run
}
