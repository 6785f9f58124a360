package trail

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	traceHex = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanHex  = "00f067aa0ba902b7"
)

// context parses properties given as name, value pairs.
func contextOf(pairs ...string) (Context, bool) {
	var c Carried
	for i := 0; i+1 < len(pairs); i += 2 {
		c.Take([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	return c.Context()
}

func TestEachCarrierIsRead(t *testing.T) {
	w3c := "00-" + traceHex + "-" + spanHex + "-01"
	for _, c := range []struct {
		name    string
		props   []string
		carrier Carrier
		trace   string
		parent  string
		flags   uint8
	}{
		{"w3c", []string{"traceparent", w3c}, CarrierW3C, traceHex, spanHex, 1},
		{"w3c of a later version with more fields", []string{"traceparent", "01-" + traceHex + "-" + spanHex + "-00-more"}, CarrierW3C, traceHex, spanHex, 0},
		{"rocketmq's grpc property", []string{"TRACE_CONTEXT", w3c}, CarrierGRPC, traceHex, spanHex, 1},
		{"b3 single", []string{"b3", traceHex + "-" + spanHex + "-1-05e3ac9a4f6e3b90"}, CarrierB3, traceHex, spanHex, 1},
		{"b3 single, debug", []string{"b3", traceHex + "-" + spanHex + "-d"}, CarrierB3, traceHex, spanHex, 1},
		{"b3 single of 64 bits is padded on the left", []string{"b3", "a3ce929d0e0e4736-" + spanHex}, CarrierB3, "0000000000000000a3ce929d0e0e4736", spanHex, 0},
		{"b3 many", []string{"X-B3-TraceId", traceHex, "X-B3-SpanId", spanHex, "X-B3-Sampled", "1"}, CarrierB3Many, traceHex, spanHex, 1},
		{"jaeger", []string{"uber-trace-id", traceHex + ":f067aa0ba902b7:0:3"}, CarrierJaeger, traceHex, spanHex, 1},
		{"jaeger, escaped", []string{"uber-trace-id", traceHex + "%3Af067aa0ba902b7%3A0%3A1"}, CarrierJaeger, traceHex, spanHex, 1},
		{"the order decides", []string{"b3", strings.Repeat("1", 32) + "-" + spanHex, "traceparent", w3c}, CarrierW3C, traceHex, spanHex, 1},
		{"a broken one gives way to the next", []string{"traceparent", "00-zz", "TRACE_CONTEXT", w3c}, CarrierGRPC, traceHex, spanHex, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, ok := contextOf(c.props...)
			if !ok || x.Carrier != c.carrier || x.TraceID.String() != c.trace || x.ParentID.String() != c.parent || x.Flags != c.flags || !x.HasParent {
				t.Fatalf("got %v %+v", ok, x)
			}
		})
	}
}

func TestSkyWalkingsTextBecomesItsHash(t *testing.T) {
	// "5afd15e0.42.15885" in base64
	x, ok := contextOf("sw8", "1-NWFmZDE1ZTAuNDIuMTU4ODU=-c2VnbWVudA==-3-c2VydmljZQ==-aW5zdGFuY2U=-ZW5kcG9pbnQ=-cGVlcg==")
	if !ok || x.Carrier != CarrierSW8 || string(x.Raw) != "5afd15e0.42.15885" || x.TraceID != DerivedTraceID("5afd15e0.42.15885") || x.HasParent || x.Flags != 1 {
		t.Fatalf("got %v %+v", ok, x)
	}
}

func TestWhatIsNoContextIsNotRead(t *testing.T) {
	for _, p := range [][]string{
		{},
		{"Traceparent", "00-" + traceHex + "-" + spanHex + "-01"}, // names are case-sensitive
		{"traceparent", "ff-" + traceHex + "-" + spanHex + "-01"},
		{"traceparent", "00-" + strings.ToUpper(traceHex) + "-" + spanHex + "-01"},
		{"traceparent", "00-" + strings.Repeat("0", 32) + "-" + spanHex + "-01"},
		{"traceparent", "00-" + traceHex + "-" + strings.Repeat("0", 16) + "-01"},
		{"traceparent", "00-" + traceHex + "-" + spanHex + "-01-more"}, // version 00 ends here
		{"b3", "0"},
		{"b3", traceHex},
		{"X-B3-TraceId", traceHex},
		{"uber-trace-id", traceHex + ":" + spanHex},
		{"uber-trace-id", traceHex + "0:" + spanHex + ":0:1"},
		{"sw8", "1-!!!-a"},
		{"sw8", "NWFmZDE1ZTA="},
		{"sw8", "2-NWFmZDE1ZTA=-x"},
	} {
		if x, ok := contextOf(p...); ok {
			t.Errorf("%q gave %+v", p, x)
		}
	}
}

func TestParsingContextsNeverPanics(t *testing.T) {
	names := rapid.SampledFrom([]string{"traceparent", "TRACE_CONTEXT", "b3", "X-B3-TraceId", "X-B3-SpanId", "X-B3-Flags", "uber-trace-id", "sw8"})
	value := rapid.StringMatching(`[0-9a-f:%3A=-]{0,70}`)
	rapid.Check(t, func(t *rapid.T) {
		var pairs []string
		for range rapid.IntRange(0, 4).Draw(t, "properties") {
			pairs = append(pairs, names.Draw(t, "name"), value.Draw(t, "value"))
		}
		x, ok := contextOf(pairs...)
		if ok && (x.TraceID == TraceID{} || x.Carrier == "" || (x.HasParent && x.ParentID == SpanID{})) {
			t.Fatalf("%q gave %+v", pairs, x)
		}
	})
}

// Ids are part of the format: rows written years ago are found by them.
func TestDerivedIDsDoNotChange(t *testing.T) {
	if got := DerivedTraceID("7F00000100002A9F4B1C0A1B2C3D0001").String(); got != "2ce49b1756debbc37b51e4950dbe4657" {
		t.Errorf("trace id %s", got)
	}
	if got := DeriveSpanID("7F00000100002A9F4B1C0A1B2C3D0001", "billing", 2, StepDeliver).String(); got != "b0a0250b6d98b432" {
		t.Errorf("span id %s", got)
	}
}

func TestPartsOfASpanIDAreKeptApart(t *testing.T) {
	seen := map[SpanID][]string{}
	for _, p := range [][]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "", "bc"}, {"a", "bc", ""}, {"", "ab", "c"}} {
		id := DeriveSpanID(p[0], p[1], 1, p[2])
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q have one id", p, other)
		}
		seen[id] = p
	}
}

func TestIDsDoNotAllocate(t *testing.T) {
	id := strings.Repeat("A", 32)
	if n := testing.AllocsPerRun(100, func() { DerivedTraceID(id); DeriveSpanID(id, "group", 1, StepDeliver) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
