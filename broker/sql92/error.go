package sql92

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Error is an expression that cannot be used, and where.
type Error struct {
	Offset       int // bytes from the expression's start
	Line, Column int // characters, from 1
	Reason       string
}

// Error gives the place and the reason, as the client shows it.
func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

func newError(src string, at int, reason string) *Error {
	before := src[:at]
	line := strings.LastIndexByte(before, '\n') + 1
	return &Error{
		Offset: at, Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(before[line:]), Reason: reason,
	}
}

func (l *lexer) fail(at int, reason string) *Error { return newError(l.src, at, reason) }

// shownMax is how much of a token an error repeats.
const shownMax = 40

func (t token) String() string {
	if t.kind == tokEnd {
		return "the end"
	}
	if len(t.text) > shownMax {
		return strconv.Quote(t.text[:shownMax]) + "…"
	}
	return strconv.Quote(t.text)
}

func quoteRune(r rune) string { return strconv.QuoteRune(r) }
