package engine

import "strings"

// statement is what the front must know of a SQL text. It is found by a scanner over tokens, not by a parser: the engine
// parses; the front only decides which call of the engine a text needs.
type statement struct {
	text    string   // without trailing semicolons and comments
	words   []string // the first ones outside of parentheses, in capitals
	first   string   // the first one anywhere, in capitals
	inserts bool     // INSERT
	streams bool     // an answer the engine can hand out piece by piece
	session bool     // changes its session: SET, USE, temporary tables
	many    bool     // more than one statement

	outfile bool     // INTO OUTFILE: the engine would write files like a client
	odd     bool     // something in it that the engine may read in another way than this scanner
	calls   []string // names before a parenthesis: functions
	format  string   // name in the FORMAT clause

	// Of an INSERT: where its parts are in text.
	values       bool // VALUES with the data in the text: nothing follows in the body
	selects      bool // its rows come from a query: nothing follows either
	formatAt     int  // start of the FORMAT clause, or len(text)
	settingsAt   int  // start of a top-level SETTINGS clause, or formatAt
	inlineAt     int  // where data after FORMAT begins in the given text
	input        bool // FROM input(…): reads the body itself
	syncAt, sync int  // a trailing SYNC or NO DELAY of DROP and the like: its place and length; 0: none
}

// token is one lexical element: a word, a quoted thing or one other byte.
type token struct {
	at, end int
	depth   int // of parentheses around it
	word    bool
}

// scanner cuts a text into tokens exactly as ClickHouse's lexer does, but for what sets odd.
type scanner struct {
	text  string
	at    int
	depth int
	odd   bool
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
		s.name()
		t.word = true
	case c == '\'' || c == '"' || c == '`':
		s.quoted(c)
	case c == '$':
		t.word = s.dollar()
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

// name moves behind a bare word.
func (s *scanner) name() {
	for s.at < len(s.text) && (wordByte(s.text[s.at]) || s.text[s.at] == '$') {
		s.odd = s.odd || s.text[s.at] >= 0x80 // may be a quote, a dash or a blank
		s.at++
	}
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
			from := s.at
			s.until("*/")
			s.odd = s.odd || strings.Contains(s.text[from:s.at], "/*")
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

// dollar moves behind $tag$…$tag$, or over a word that begins with a dollar, or over a lone one.
func (s *scanner) dollar() (word bool) {
	rest := s.text[s.at:]
	if n := strings.IndexByte(rest[1:], '$'); n >= 0 {
		tag := rest[:n+2]
		if end := strings.Index(rest[len(tag):], tag); end >= 0 {
			s.at += len(tag) + end + len(tag)
			return false
		}
	}
	s.at++
	if s.at < len(s.text) && wordByte(s.text[s.at]) {
		s.name()
		return true
	}
	return false
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
		if t.word && strings.EqualFold(word, "OUTFILE") && last.word && strings.EqualFold(text[last.at:last.end], "INTO") {
			st.outfile = true
		}
		if word == "(" && last.end > 0 {
			st.call(text[last.at:last.end], last.word)
		}
		if t.word && st.first == "" {
			st.first = strings.ToUpper(word)
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
	st.odd = st.odd || s.odd
	st.finish(text, end, before, last)
	return st
}

// call notes what stands before a parenthesis.
func (st *statement) call(name string, word bool) {
	switch {
	case word:
		st.calls = append(st.calls, name)
	case name[0] == '`' || name[0] == '"':
		st.odd = true
	}
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
	case st.values || st.selects: // its data may look like anything
		st.input = st.input || strings.EqualFold(word, "INPUT")
	case strings.EqualFold(word, "VALUES"):
		st.values = true
	case strings.EqualFold(word, "SELECT"), strings.EqualFold(word, "WITH"):
		st.selects = true
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
	if !st.inserts && last.word && last.depth == 0 && before.word && strings.EqualFold(text[before.at:before.end], "FORMAT") {
		st.format = text[last.at:last.end]
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
