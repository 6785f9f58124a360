package complain

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestFloodIsOneLine, each kind for itself; the next line says how many were left out.
func TestFloodIsOneLine(t *testing.T) {
	var said strings.Builder
	l := New(slog.New(slog.NewTextHandler(&said, nil)), "port: ")
	for range 1000 {
		l.Warn("a", time.Minute, "bad", "peer", "x")
		l.Warn("b", time.Minute, "worse")
	}
	if got := said.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, `msg="port: bad" peer=x`) {
		t.Fatal(got)
	}
	l.Warn("a", 0, "bad", "peer", "x")
	if got := said.String(); !strings.HasSuffix(got, "peer=x untold=999\n") {
		t.Fatal(got)
	}
}

// TestKindsAreBounded: peers may choose what is in a key.
func TestKindsAreBounded(t *testing.T) {
	l, now := New(slog.New(slog.DiscardHandler), ""), time.Unix(0, 0)
	told := 0
	for i := range 10 * kindsMax {
		if _, due := l.due(fmt.Sprint("kind ", i), time.Minute, now); due {
			told++
		}
	}
	if told != kindsMax+1 || len(l.kinds) != kindsMax+1 {
		t.Fatalf("%d lines of %d kinds", told, len(l.kinds))
	}
	if untold, due := l.due("another", time.Minute, now.Add(time.Minute)); !due || untold != 9*kindsMax-1 {
		t.Fatalf("a minute later: %d left out, %v", untold, due)
	}
}
