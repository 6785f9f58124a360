package engine

import (
	"strings"
	"testing"
)

func TestInspect(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1":                                    "streams text=SELECT 1",
		" -- c\n/* d */ select 1 ; -- e":              "streams text=-- c\n/* d */ select 1",
		"with 1 as x select x":                        "streams text=with 1 as x select x",
		"(SELECT 1)":                                  "text=(SELECT 1)",
		"SELECT ';'; ":                                "streams text=SELECT ';'",
		"SELECT 1; SELECT 2":                          "streams many text=SELECT 1; SELECT 2",
		"SELECT 'it''s \\' ;', `a;b`, \"c;d\"":        "streams text=SELECT 'it''s \\' ;', `a;b`, \"c;d\"",
		"SELECT $x$ ; DROP $x$":                       "streams text=SELECT $x$ ; DROP $x$",
		"SELECT 1 FORMAT JSON":                        "streams format=JSON text=SELECT 1 FORMAT JSON",
		"SELECT format FROM t":                        "streams text=SELECT format FROM t",
		"SELECT (SELECT 1 FORMAT x)":                  "streams calls=SELECT text=SELECT (SELECT 1 FORMAT x)",
		"SELECT 1 INTO OUTFILE 'x'":                   "streams outfile text=SELECT 1 INTO OUTFILE 'x'",
		"SELECT 'INTO OUTFILE'":                       "streams text=SELECT 'INTO OUTFILE'",
		"SELECT (1 into /**/ outfile 'x')":            "streams outfile calls=SELECT text=SELECT (1 into /**/ outfile 'x')",
		"SET a = 1":                                   "session text=SET a = 1",
		"use db":                                      "session text=use db",
		"CREATE TEMPORARY TABLE t (x UInt8)":          "session calls=t text=CREATE TEMPORARY TABLE t (x UInt8)",
		"CREATE OR REPLACE TEMPORARY TABLE t":         "session text=CREATE OR REPLACE TEMPORARY TABLE t",
		"CREATE TABLE sync (x UInt8)":                 "calls=sync text=CREATE TABLE sync (x UInt8)",
		"DROP TABLE t SYNC":                           "sync=SYNC text=DROP TABLE t SYNC",
		"DROP TABLE t NO DELAY;":                      "sync=NO DELAY text=DROP TABLE t NO DELAY",
		"DROP TABLE `SYNC`":                           "text=DROP TABLE `SYNC`",
		"INSERT INTO t":                               "inserts text=INSERT INTO t",
		"INSERT INTO t (a, format) FORMAT Native":     "inserts format=Native text=INSERT INTO t (a, format) FORMAT Native",
		"INSERT INTO t SETTINGS a = 1 FORMAT CSV\n;x": "inserts format=CSV settings=SETTINGS a = 1  inline=\n;x text=INSERT INTO t SETTINGS a = 1 FORMAT CSV",
		"INSERT INTO t VALUES (1, ';'), (2, 'b')":     "inserts values text=INSERT INTO t VALUES (1, ';'), (2, 'b')",
		"INSERT INTO t SELECT 1 AS FORMAT":            "inserts selects text=INSERT INTO t SELECT 1 AS FORMAT",
		"INSERT INTO t SELECT * FROM input('x Int8')": "inserts selects input text=INSERT INTO t SELECT * FROM input('x Int8')",
		"SELECT $ ;$ 1":                               "streams many text=SELECT $ ;$ 1",
		"SELECT $ ;$ 1 $ ;$":                          "streams text=SELECT $ ;$ 1 $ ;$",
		"SELECT a$b$, f(x$b$)":                        "streams calls=f text=SELECT a$b$, f(x$b$)",
		"SELECT File /* a */ ('x')":                   "streams calls=File text=SELECT File /* a */ ('x')",
		"SELECT `file`('x')":                          "streams odd text=SELECT `file`('x')",
		"SELECT \u2018'\u2019, f(1)":                  "streams odd text=SELECT \u2018'\u2019, f(1)",
		"SELECT /* /* */ 1 */ 2":                      "streams odd text=SELECT /* /* */ 1 */ 2",
		"SELECT 'é' AS `ü`":                           "streams text=SELECT 'é' AS `ü`",
		"":                                            "text=",
		" ; ":                                         "text=",
		"SELECT 'open":                                "streams text=SELECT 'open",
		"SELECT 'op\\":                                "streams text=SELECT 'op\\",
		"SELECT /* ope":                               "streams text=SELECT",
		"SELECT $a":                                   "streams text=SELECT $a",
	} {
		if got := describe(text); got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

func describe(text string) string {
	st := inspect(text)
	var b strings.Builder
	for _, flag := range []struct {
		on   bool
		name string
	}{{st.inserts, "inserts"}, {st.streams, "streams"}, {st.session, "session"}, {st.many, "many"}, {st.outfile, "outfile"},
		{st.values, "values"}, {st.selects, "selects"}, {st.input, "input"}, {st.odd, "odd"}} {
		if flag.on {
			b.WriteString(flag.name + " ")
		}
	}
	if !st.inserts && len(st.calls) > 0 {
		b.WriteString("calls=" + strings.Join(st.calls, ",") + " ")
	}
	if st.format != "" {
		b.WriteString("format=" + st.format + " ")
	}
	if st.settingsAt < st.formatAt {
		b.WriteString("settings=" + st.text[st.settingsAt:st.formatAt] + " ")
	}
	if st.inserts && st.format != "" && st.inlineAt < len(text) {
		b.WriteString("inline=" + text[st.inlineAt:] + " ")
	}
	if st.sync > 0 {
		b.WriteString("sync=" + st.text[st.syncAt:st.syncAt+st.sync] + " ")
	}
	return b.String() + "text=" + strings.TrimLeft(st.text, " ")
}

// Whatever the text is, the scanner ends, and what it says lies inside the text.
func FuzzInspect(f *testing.F) {
	for _, seed := range []string{"INSERT INTO t SETTINGS a=1 FORMAT CSV\nx", "DROP TABLE t NO DELAY", "SELECT $a$ ' $a$ -- \n /* */ `\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		st := inspect(text)
		if !strings.HasPrefix(text, st.text) {
			t.Fatalf("%q is no beginning of %q", st.text, text)
		}
		if !(0 <= st.settingsAt && st.settingsAt <= st.formatAt && st.formatAt <= len(st.text) && st.inlineAt <= len(text)) {
			t.Fatalf("%q: %+v", text, st)
		}
		if st.sync > 0 && st.syncAt+st.sync > len(st.text) {
			t.Fatalf("%q: %+v", text, st)
		}
		insertFrom(&st, "Native", 3, 1)
	})
}

func TestQuoting(t *testing.T) {
	if got := quote(`a'b\`); got != `'a\'b\\'` {
		t.Error(got)
	}
	if got := identifier("a`b\\"); got != "`a\\`b\\\\`" {
		t.Error(got)
	}
}

func TestParseException(t *testing.T) {
	for text, want := range map[string]Exception{
		"Code: 60. DB::Exception: no table":        {60, "Code: 60. DB::Exception: no table"},
		"Error: Code: 62. DB::Exception: Syntax\n": {62, "Code: 62. DB::Exception: Syntax"},
		"something else":                           {codeUnknown, "Code: 1001. DB::Exception: something else"},
		"Code: x. y":                               {codeUnknown, "Code: 1001. DB::Exception: Code: x. y"},
	} {
		if got := parseException(text); *got != want {
			t.Errorf("%q: %+v", text, *got)
		}
	}
}
