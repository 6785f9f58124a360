package sql92

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/message"
)

var writeCases = flag.String("write-cases", "", "write generated cases to this file, for testdata/Answers.java to answer")

func run(pairs ...string) []byte {
	var b []byte
	for i := 0; i+1 < len(pairs); i += 2 {
		b = message.AppendProperty(b, pairs[i], pairs[i+1])
	}
	return b
}

var letters = map[Outcome]string{Yes: "T", No: "F", Unknown: "N", Failed: "E"}

func answer(expression string, properties []byte) string {
	f, err := Compile(expression)
	if err != nil {
		return "X"
	}
	var s Scratch
	return letters[f.Eval(properties, &s)]
}

// TestAnswersAreJavas: what the Java filter said to generated expressions, we say too.
func TestAnswersAreJavas(t *testing.T) {
	if *writeCases != "" {
		generate(t, *writeCases)
	}
	file, err := os.Open("testdata/java.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	n, wrong := 0, 0
	for lines := bufio.NewScanner(file); lines.Scan(); n++ {
		fields := strings.Split(lines.Text(), "\t")
		if got := answer(fields[1], run(fields[2:]...)); got != fields[0] {
			if wrong++; wrong < 40 {
				t.Errorf("%s with %q: %s, Java says %s", fields[1], fields[2:], got, fields[0])
			}
		}
	}
	if n < 2000 || wrong > 0 {
		t.Fatalf("%d cases, %d differ", n, wrong)
	}
}

func generate(t *testing.T, name string) {
	g := generator{rand.New(rand.NewPCG(92, 1))}
	var b strings.Builder
	for range 3000 {
		fmt.Fprintf(&b, "%s\t%s\n", g.condition(g.IntN(4)), strings.Join(g.properties(), "\t"))
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
