package sql92

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

// TestScenarios: `eval name=value …` with an expression per line; the answer is the outcome or the error's place and reason.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var pairs []string
			for _, a := range d.CmdArgs {
				pairs = append(pairs, a.Key, strings.Join(a.Vals, ","))
			}
			var b strings.Builder
			for _, line := range strings.Split(d.Input, "\n") {
				fmt.Fprintf(&b, "%s\n", tell(line, run(pairs...)))
			}
			return b.String()
		})
	})
}

func tell(expression string, properties []byte) string {
	f, err := Compile(strings.ReplaceAll(expression, `\n`, "\n"))
	if err != nil {
		return err.Error()
	}
	var s Scratch
	return map[Outcome]string{Yes: "yes", No: "no", Unknown: "unknown", Failed: "failed"}[f.Eval(properties, &s)]
}

// TestLimits: what is too long, too deep or names too much is refused with the limit.
func TestLimits(t *testing.T) {
	names := make([]string, MaxNames+1)
	for i := range names {
		names[i] = fmt.Sprintf("p%d = 1", i)
	}
	for what, expression := range map[string]string{
		"65536":         "a = '" + strings.Repeat("x", MaxLength) + "'",
		"256 deep":      strings.Repeat("(", 10_000) + "a = 1" + strings.Repeat(")", 10_000),
		"than 256 deep": strings.Repeat("NOT ", 10_000) + "a = 1",
		"256 deep ":     strings.Repeat("- ", 10_000) + "a = 1",
		"256 prop":      strings.Join(names, " OR "),
	} {
		_, err := Compile(expression)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), strings.TrimSpace(what)) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Compile(strings.Join(names[1:], " OR ")); err != nil {
		t.Errorf("%d names: %v", MaxNames, err)
	}
}

// TestManyNames: the slots are looked up, and give what comparing gives.
func TestManyNames(t *testing.T) {
	var parts, pairs []string
	for i := range 40 {
		parts = append(parts, fmt.Sprintf("p%d = %d", i, i))
		pairs = append(pairs, fmt.Sprintf("p%d", i), fmt.Sprint(i))
	}
	f, err := Compile(strings.Join(parts, " AND "))
	var s Scratch
	if err != nil || f.Eval(run(pairs...), &s) != Yes || f.Eval(run(pairs[:78]...), &s) != Unknown {
		t.Fatal(err)
	}
}

// TestBudget: long texts and many operations end the evaluation, not the broker.
func TestBudget(t *testing.T) {
	f, err := Compile(strings.TrimSuffix(strings.Repeat("a CONTAINS 'zzz' OR ", 3000), "OR "))
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	if got := f.Eval(run("a", strings.Repeat("z z", 10_000)), &s); got != Failed {
		t.Fatalf("30 kB searched 3000 times: %v", got)
	}
	if got := f.Eval(run("a", "short"), &s); got != No {
		t.Fatalf("a short text: %v", got)
	}
}

// TestThreeValues: NOT, AND and OR keep to their laws over outcomes that did not fail.
func TestThreeValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		atom := rapid.SampledFrom([]string{"TRUE", "FALSE", "NULL", "a = 1", "b = 1", "c = 1", "a IS NULL", "c IS NULL"})
		x, y := atom.Draw(t, "x"), atom.Draw(t, "y")
		properties := run("a", "1", "b", "2")
		same := func(l, r string) {
			if got, want := answer(l, properties), answer(r, properties); got != want || got == "X" {
				t.Fatalf("%s is %s, %s is %s", l, got, r, want)
			}
		}
		same(fmt.Sprintf("NOT (%s AND %s)", x, y), fmt.Sprintf("NOT (%s) OR NOT (%s)", x, y))
		same(fmt.Sprintf("%s AND %s", x, y), fmt.Sprintf("%s AND %s", y, x))
		same(fmt.Sprintf("%s OR %s", x, y), fmt.Sprintf("%s OR %s", y, x))
		same(fmt.Sprintf("NOT (NOT (%s))", x), x)
		same(fmt.Sprintf("%s OR %s AND %s", x, y, x), fmt.Sprintf("%s OR (%s AND %s)", x, y, x))
	})
}

// FuzzCompile: any text compiles or is refused inside its bounds, and what compiles evaluates over any bytes.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"a > 5 AND b IN ('x','y') OR NOT c IS NULL", "a BETWEEN 1 AND 2.5E3", "/* x */ a CONTAINS 'it''s' -- end", "((((", "a = '", "-+-a < .5",
		"TRUE = (a = b)", "a NOT BETWEEN -1 AND - -(1)", "a = \xff", "9223372036854775808 = a", "a IS NOT NULL <> NULL IS NULL", "NOT NOT NOT a", "a /* x",
	} {
		f.Add(s, run("a", "5", "b", "x"))
	}
	f.Fuzz(func(t *testing.T, expression string, properties []byte) {
		c, err := Compile(expression)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(expression) || e.Line < 1 || e.Column < 1 {
				t.Fatalf("%q: %v", expression, err)
			}
			return
		}
		var s Scratch
		first := c.Eval(properties, &s)
		if again := c.Eval(properties, &s); again != first {
			t.Fatalf("%v, then %v", first, again)
		}
	})
}

const ordinary = "TAGS = 'paid' AND price BETWEEN 10 AND 100.5 AND (region IN ('eu','us','cn') OR vip = TRUE)"

var ordinaryRun = run("KEYS", "o-1 o-2", "UNIQ_KEY", "7F0000010001", "CLUSTER", "c", "TAGS", "paid", "price", "42", "region", "cn", "vip", "false", "WAIT", "true")

// TestNoAllocation: an evaluation allocates nothing once its scratch has grown.
func TestNoAllocation(t *testing.T) {
	f, err := Compile(ordinary)
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	if n := testing.AllocsPerRun(100, func() {
		if !f.Match(ordinaryRun, &s) {
			t.Fatal("no match")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkEval(b *testing.B) {
	for name, expression := range map[string]string{"one": "price > 5", "ordinary": ordinary, "in100": "region IN (" + strings.Repeat("'none',", 99) + "'cn')"} {
		b.Run(name, func(b *testing.B) {
			f, err := Compile(expression)
			if err != nil {
				b.Fatal(err)
			}
			var s Scratch
			b.ReportAllocs()
			for b.Loop() {
				f.Match(ordinaryRun, &s)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := Compile(ordinary); err != nil {
			b.Fatal(err)
		}
	}
}
