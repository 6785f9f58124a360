package sql92

import (
	"strings"
	"unicode/utf8"
)

// kind of a token.
type kind uint8

const (
	tokEnd kind = iota
	tokName
	tokString  // text is the literal with its quotes
	tokDecimal // text without suffix
	tokFloat
	tokSymbol  // text is one of = <> < <= > >= ( ) , + -
	tokKeyword // word is its upper-case name
)

type token struct {
	kind kind
	text string
	word string
	at   int // byte offset in the expression
}

var keywords = map[string]bool{
	"NOT": true, "AND": true, "OR": true, "BETWEEN": true, "IN": true, "TRUE": true, "FALSE": true, "NULL": true, "IS": true,
	"CONTAINS": true, "STARTSWITH": true, "ENDSWITH": true,
}

// longestKeyword: a longer word is a name, and is not made upper-case to find out.
const longestKeyword = len("STARTSWITH")

type lexer struct {
	src string
	at  int
}

// next reads one token.
func (l *lexer) next() (token, *Error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	if l.at == len(l.src) {
		return token{kind: tokEnd, at: l.at}, nil
	}
	switch c := l.src[l.at]; {
	case isLetter(c):
		return l.name(), nil
	case c == '\'':
		return l.quoted()
	case isDigit(c) || c == '.' && l.at+1 < len(l.src) && isDigit(l.src[l.at+1]):
		return l.number()
	default:
		return l.symbol()
	}
}

// skip passes blanks and comments.
func (l *lexer) skip() *Error {
	for l.at < len(l.src) {
		rest := l.src[l.at:]
		switch {
		case strings.IndexByte(" \t\n\r\f", rest[0]) >= 0:
			l.at++
		case strings.HasPrefix(rest, "--"):
			if end := strings.IndexAny(rest, "\r\n"); end >= 0 {
				l.at += end
			} else {
				l.at = len(l.src)
			}
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return l.fail(l.at, "the comment has no end")
			}
			l.at += 2 + end + 2
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) name() token {
	from := l.at
	for l.at < len(l.src) && (isLetter(l.src[l.at]) || isDigit(l.src[l.at])) {
		l.at++
	}
	t := token{kind: tokName, text: l.src[from:l.at], at: from}
	if len(t.text) <= longestKeyword {
		if word := strings.ToUpper(t.text); keywords[word] {
			t.kind, t.word = tokKeyword, word
		}
	}
	return t
}

// quoted reads '…', in which two quotes stand for one.
func (l *lexer) quoted() (token, *Error) {
	from := l.at
	for l.at++; l.at < len(l.src); l.at++ {
		if l.src[l.at] != '\'' {
			continue
		}
		if l.at++; l.at == len(l.src) || l.src[l.at] != '\'' {
			return token{kind: tokString, text: l.src[from:l.at], at: from}, nil
		}
	}
	return token{}, l.fail(from, "the string has no end")
}

func unquote(literal string) string {
	return strings.ReplaceAll(literal[1:len(literal)-1], "''", "'")
}

// number reads 5, 5L, 5.5, 5., .5, 5E10 and their like.
func (l *lexer) number() (token, *Error) {
	from, t := l.at, token{kind: tokDecimal, at: l.at}
	l.digits()
	if l.at < len(l.src) && l.src[l.at] == '.' {
		t.kind = tokFloat
		l.at++
		l.digits()
	}
	if l.exponent() {
		t.kind = tokFloat
	}
	t.text = l.src[from:l.at]
	if t.kind == tokFloat {
		return t, nil
	}
	if t.text[0] == '0' && len(t.text) > 1 {
		return t, l.fail(from, "a whole number does not begin with 0")
	}
	if l.at < len(l.src) && (l.src[l.at] == 'l' || l.src[l.at] == 'L') {
		l.at++
	}
	return t, nil
}

func (l *lexer) digits() {
	for l.at < len(l.src) && isDigit(l.src[l.at]) {
		l.at++
	}
}

// exponent reads E5, E+5 or E-5; without a digit the E is no part of the number.
func (l *lexer) exponent() bool {
	at := l.at
	if at == len(l.src) || l.src[at]|0x20 != 'e' {
		return false
	}
	if at++; at < len(l.src) && (l.src[at] == '+' || l.src[at] == '-') {
		at++
	}
	if at == len(l.src) || !isDigit(l.src[at]) {
		return false
	}
	l.at = at
	l.digits()
	return true
}

func (l *lexer) symbol() (token, *Error) {
	rest := l.src[l.at:]
	for _, s := range [...]string{"<>", "<=", ">=", "=", "<", ">", "(", ")", ",", "+", "-"} {
		if strings.HasPrefix(rest, s) {
			t := token{kind: tokSymbol, text: s, at: l.at}
			l.at += len(s)
			return t, nil
		}
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return token{}, l.fail(l.at, "the character "+quoteRune(r)+" has no meaning here")
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '$' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
