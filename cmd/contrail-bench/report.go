package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// row is a scenario's outcome: the windows of each target in turn.
type row struct {
	Scenario string              `json:"scenario"`
	Text     string              `json:"text"`
	Windows  map[string][]window `json:"windows"`
	order    []string
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}

func pick(ws []window, f func(window) float64) (out []float64) {
	for _, w := range ws {
		out = append(out, f(w))
	}
	return out
}

// ratios pairs the windows of two targets.
func ratios(a, b []window, f func(window) float64) (out []float64) {
	for i := range min(len(a), len(b)) {
		if d := f(b[i]); d > 0 {
			out = append(out, f(a[i])/d)
		}
	}
	return out
}

func cpu(w window) float64   { return w.CPUMicros }
func speed(w window) float64 { return w.PerSecond }
func p99(w window) float64   { return w.P99 }
func p999(w window) float64  { return w.P999 }

// print writes the medians of each target and contrail's ratios to the others, pair by pair: median [lowest..highest].
func (r *row) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s  %s\n", r.Scenario, r.Text)
	fmt.Fprintf(out, "  %-10s %12s %10s %10s %8s %8s %8s %8s %7s %8s\n", "target", "msg/s", "CPU us", "gen us", "p50 ms", "p99", "p999", "max", "steal%", "RSS MiB")
	for _, name := range r.order {
		ws := r.Windows[name]
		m := func(f func(window) float64) float64 { return median(pick(ws, f)) }
		fmt.Fprintf(out, "  %-10s %12.0f %10.2f %10.2f %8.2f %8.2f %8.2f %8.1f %7.1f %8.0f", name, m(speed), m(cpu),
			m(func(w window) float64 { return w.OwnMicros }), m(func(w window) float64 { return w.P50 }), m(p99), m(p999),
			slices.Max(pick(ws, func(w window) float64 { return w.Max })), m(func(w window) float64 { return w.Steal }),
			m(func(w window) float64 { return float64(w.MemoryBytes) / (1 << 20) }))
		if i := slices.IndexFunc(ws, func(w window) bool { return w.Refused > 0 }); i >= 0 {
			fmt.Fprintf(out, "  %d refused: %s", ws[i].Refused, ws[i].Refusal)
		}
		fmt.Fprintln(out)
	}
	first := r.order[0]
	for _, other := range r.order[1:] {
		var parts []string
		for _, c := range []struct {
			name string
			of   func(window) float64
		}{{"CPU", cpu}, {"msg/s", speed}, {"p99", p99}, {"p999", p999}} {
			if v := ratios(r.Windows[first], r.Windows[other], c.of); len(v) > 0 {
				parts = append(parts, fmt.Sprintf("%s %.2f [%.2f..%.2f]", c.name, median(v), slices.Min(v), slices.Max(v)))
			}
		}
		fmt.Fprintf(out, "  %s / %s: %s\n", first, other, strings.Join(parts, "   "))
	}
}
