package engine

import "strings"

// statement is what the front must know of a SQL text. It is found by a scanner over tokens, not by a parser: the engine
// parses; the front only decides which call of the engine a text needs.
type statement struct {
	text    string // without trailing semicolons and comments
	words   []string
	inserts bool // INSERT
	streams bool // an answer the engine can hand out piece by piece
	session bool // changes its session: SET, USE, temporary tables
	many    bool // more than one statement

	// Of an INSERT: where its parts are in text.
	values       bool   // VALUES with the data in the text, or SELECT: nothing follows in the body
	formatAt     int    // start of the FORMAT clause, or len(text)
	settingsAt   int    // start of a top-level SETTINGS clause, or formatAt
	format       string // name in the FORMAT clause
	inlineAt     int    // where data after FORMAT begins in the given text
	input        bool   // FROM input(…): reads the body itself
	syncAt, sync int    // a trailing SYNC or NO DELAY of DROP and the like: its place and length; 0: none
}

// token is one lexical element: a word, a quoted thing or one other byte.
type token struct {
	at, end int
	depth   int // of parentheses around it
	word    bool
}

type scanner struct {
	text  string
	at    int
	depth int
}

// next gives the next token; ok is false at the end.
func (s *scanner) next() (t token, ok bool) {
	s.skipBlank()
	if s.at >= len(s.text) {
		return token{}, false
	}
	t = token{at: s.at, depth: s.depth}
	switch c := s.text[s.at]; {
	case wordByte(c):
		for s.at < len(s.text) && wordByte(s.text[s.at]) {
			s.at++
		}
		t.word = true
	case c == '\'' || c == '"' || c == '`':
		s.quoted(c)
	case c == '$':
		s.heredoc()
	case c == '(':
		s.depth++
		s.at++
	case c == ')':
		s.depth--
		t.depth = s.depth
		s.at++
	default:
		s.at++
	}
	t.end = s.at
	return t, true
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func (s *scanner) skipBlank() {
	for s.at < len(s.text) {
		rest := s.text[s.at:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			s.at++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "# "), strings.HasPrefix(rest, "#!"):
			s.until("\n")
		case strings.HasPrefix(rest, "/*"):
			s.at += 2
			s.until("*/")
		default:
			return
		}
	}
}

// until moves behind the next end, or to the end of the text.
func (s *scanner) until(end string) {
	i := strings.Index(s.text[s.at:], end)
	if i < 0 {
		s.at = len(s.text)
		return
	}
	s.at += i + len(end)
}

// quoted moves behind a quoted string; a doubled or escaped quote does not end it.
func (s *scanner) quoted(quote byte) {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case quote:
			if s.at+1 < len(s.text) && s.text[s.at+1] == quote {
				s.at++
				continue
			}
			s.at++
			return
		}
	}
	s.at = min(s.at, len(s.text))
}

// heredoc moves behind $tag$…$tag$, or over a lone dollar.
func (s *scanner) heredoc() {
	end := s.at + 1
	for end < len(s.text) && wordByte(s.text[end]) {
		end++
	}
	if end >= len(s.text) || s.text[end] != '$' {
		s.at++
		return
	}
	tag := s.text[s.at : end+1]
	s.at = end + 1
	s.until(tag)
}

// inspect reads a SQL text. Data after an INSERT's FORMAT clause is not looked at.
func inspect(text string) statement {
	st := statement{text: text, formatAt: -1, settingsAt: -1, inlineAt: len(text)}
	s := scanner{text: text}
	end, closed := 0, false
	var before, last token
	for {
		t, ok := s.next()
		if !ok {
			break
		}
		word := text[t.at:t.end]
		if t.depth == 0 && word == ";" {
			closed = true
			continue
		}
		if closed {
			st.many = true
		}
		if t.word && t.depth == 0 {
			st.words = appendFew(st.words, strings.ToUpper(word))
			st.clause(t, &s)
		}
		before, last, end = last, t, s.at
		if st.formatAt >= 0 && st.inserts {
			break
		}
	}
	st.finish(text, end, before, last)
	return st
}

// clause notes what a top-level word says.
func (st *statement) clause(t token, s *scanner) {
	word := st.text[t.at:t.end]
	if len(st.words) == 1 {
		st.inserts = st.words[0] == "INSERT"
	}
	if !st.inserts {
		return
	}
	switch {
	case strings.EqualFold(word, "VALUES"), strings.EqualFold(word, "SELECT"), strings.EqualFold(word, "WITH"), strings.EqualFold(word, "WATCH"):
		st.values = true
	case strings.EqualFold(word, "INPUT"):
		st.input = true
	case strings.EqualFold(word, "SETTINGS"):
		st.settingsAt = t.at
	case strings.EqualFold(word, "FORMAT"):
		if name, ok := s.next(); ok && name.word {
			st.formatAt, st.format, st.inlineAt = t.at, st.text[name.at:name.end], name.end
		}
	}
}

// finish settles what depends on the whole text.
func (st *statement) finish(text string, end int, before, last token) {
	if !st.inserts || st.formatAt < 0 {
		st.text = text[:end]
	} else {
		st.text = text[:st.inlineAt]
	}
	if st.formatAt < 0 {
		st.formatAt = len(st.text)
	}
	if st.settingsAt < 0 || st.settingsAt > st.formatAt {
		st.settingsAt = st.formatAt
	}
	switch st.word(0) {
	case "SELECT", "WITH":
		st.streams = true
	case "SET", "USE":
		st.session = true
	case "CREATE", "DROP", "DETACH", "TRUNCATE", "UNDROP":
		st.session = st.word(1) == "TEMPORARY" || st.word(3) == "TEMPORARY"
		st.findSync(text, before, last)
	}
}

func (st *statement) findSync(text string, before, last token) {
	if !last.word || last.depth != 0 || st.word(0) == "CREATE" {
		return
	}
	switch {
	case strings.EqualFold(text[last.at:last.end], "SYNC"):
		st.syncAt, st.sync = last.at, last.end-last.at
	case strings.EqualFold(text[last.at:last.end], "DELAY") && before.word && strings.EqualFold(text[before.at:before.end], "NO"):
		st.syncAt, st.sync = before.at, last.end-before.at
	}
}

func (st *statement) word(i int) string {
	if i < len(st.words) {
		return st.words[i]
	}
	return ""
}

// appendFew keeps the first words only: nobody looks further.
func appendFew(words []string, word string) []string {
	if len(words) < 6 {
		return append(words, word)
	}
	return words
}

// quote gives a SQL string literal.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// identifier gives a quoted SQL identifier.
func identifier(s string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`"
}
