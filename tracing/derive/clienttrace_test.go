package derive

import (
	"bytes"
	"compress/zlib"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/tracing/derive/derivetest"
	"github.com/contrailmq/contrail/tracing/trail"
)

// line joins fields to one record; a | stands for the field separator.
func line(s string) string { return strings.ReplaceAll(s, "|", "\x01") + "\x02" }

const (
	pub12     = "Pub|1700000000000|DefaultRegion|shop|orders|ID1|paid|k1|127.0.0.1:10911|100|7|0"
	pub13     = pub12 + "|true"
	pub14     = pub12 + "|OFF1|false"
	pub15     = pub12 + "|OFF1|true|10.0.0.9"
	before8   = "SubBefore|1700000000100|null|billing|REQ1|ID1|2|k1"
	before9   = before8 + "|10.0.0.8"
	after6    = "SubAfter|REQ1|ID1|15|true|k1"
	after7    = after6 + "|0"
	after7cut = after7 + "|" // 4.4 to 4.7 and the cloud end with a separator
	after9    = "SubAfter|REQ1|ID1|15|false|k1|2|1700000000200|billing"
	end13     = "EndTransaction|1700000000300|r|shop|orders|ID1|paid|k1|127.0.0.1:10911|2|TX1|COMMIT_MESSAGE|true"
	recall7   = "Recall|1700000000400|r|shop|orders|ID1|true"
)

// steps derives the steps of one trace message.
func steps(t *testing.T, d *Deriver, body []byte, sysFlag int32) []trail.StoredStep {
	t.Helper()
	r := derivetest.NewLog().Append(1_700_000_001_000_000, nil, derivetest.Message{Topic: TraceTopic, Body: body, SysFlag: sysFlag})
	rows := &derivetest.Rows{}
	if err := d.Record(&r, notes.EntryTimes{}, rows); err != nil {
		t.Fatal(err)
	}
	for i := range rows.Steps {
		if s := &rows.Steps[i]; s.RecordedMicros != 1_700_000_001_000_000 || s.Source != sourceClient || s.Position == 0 {
			t.Errorf("step %+v does not say when and where it was recorded", s)
		}
	}
	return rows.Steps
}

func TestEveryFormOfReportGivesItsStep(t *testing.T) {
	host := derivetest.BornHost.String()
	for _, c := range []struct {
		name, report string
		want         trail.Step
	}{
		{"12 fields say no success", pub12, trail.Step{Name: "send", Attempt: 1, Addr: host, DurationMicros: 7000, Status: "Unset"}},
		{"13", pub13, trail.Step{Name: "send", Attempt: 1, Addr: host, DurationMicros: 7000, Status: "Ok"}},
		{"14 failed", pub14, trail.Step{Name: "send", Attempt: 1, Addr: host, DurationMicros: 7000, Status: "Error", Error: "FAILED", Detail: "OFF1"}},
		{"15 name the host", pub15, trail.Step{Name: "send", Attempt: 1, Addr: "10.0.0.9", DurationMicros: 7000, Status: "Ok", Detail: "OFF1"}},
		{"begin of processing", before9, trail.Step{Name: "process", Attempt: 3, Addr: "10.0.0.8", DurationMicros: -1, Status: "Unset", Detail: "REQ1", Group: "billing", AtMicros: 1_700_000_000_100_000}},
		{"end of processing, 6 fields, nothing known of its begin", after6, trail.Step{Name: "process", Addr: host, DurationMicros: 15_000, Status: "Ok", Detail: "REQ1"}},
		{"end of processing, closed by a separator", after7cut, trail.Step{Name: "process", Addr: host, DurationMicros: 15_000, Status: "Ok", Detail: "REQ1"}},
		{"end of processing, 9 fields", after9, trail.Step{Name: "process", Addr: host, DurationMicros: 15_000, Status: "Error", Error: "EXCEPTION", Detail: "REQ1", Group: "billing", AtMicros: 1_700_000_000_185_000}},
		{"commit of a transaction", end13, trail.Step{Name: "commit", Addr: host, DurationMicros: -1, Status: "Unset", Detail: "TX1 from check", AtMicros: 1_700_000_000_300_000}},
		{"recall", recall7, trail.Step{Name: "recall", Addr: host, DurationMicros: -1, Status: "Ok", AtMicros: 1_700_000_000_400_000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := steps(t, New(Options{}), []byte(line(c.report)), 0)
			if len(got) != 1 {
				t.Fatalf("%d steps", len(got))
			}
			c.want.ID, c.want.Source, c.want.Position = "ID1", "client", got[0].Position
			if c.want.Name != "process" {
				c.want.Topic, c.want.Group = "orders", "shop"
			}
			if c.want.Name == "send" {
				c.want.AtMicros = 1_700_000_000_000_000
			}
			if got[0].Step != c.want {
				t.Fatalf("got  %+v\nwant %+v", got[0].Step, c.want)
			}
		})
	}
}

func TestAnOldClientsEndIsJoinedWithItsBegin(t *testing.T) {
	d := New(Options{})
	steps(t, d, []byte(line(before9)), 0)
	d, err := Restore(Options{}, d.Save(nil))
	if err != nil {
		t.Fatal(err)
	}
	got := steps(t, d, []byte(line(after6)), 0)[0].Step
	if got.Group != "billing" || got.Attempt != 3 || got.AtMicros != 1_700_000_000_100_000 || got.Addr != "10.0.0.8" {
		t.Errorf("%+v", got)
	}
	if again := steps(t, d, []byte(line(after6)), 0)[0].Step; again.Group != "" {
		t.Errorf("joined twice: %+v", again)
	}
}

func TestBeginsWithoutEndAreForgottenOldestFirst(t *testing.T) {
	var p pairs
	name := func(i int) string { return string([]byte{byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range pairsMax + 10 {
		p.put(&report{requestID: name(i), id: "x", millis: int64(i)})
	}
	if len(p.at) != pairsMax || len(p.ring) != pairsMax {
		t.Fatalf("%d kept in %d", len(p.at), len(p.ring))
	}
	if _, ok := p.take(name(9), "x"); ok {
		t.Error("the tenth is still there")
	}
	for _, i := range []int{10, pairsMax - 1, pairsMax + 9} {
		if b, ok := p.take(name(i), "x"); !ok || b.millis != int64(i) {
			t.Errorf("%d: %v %+v", i, ok, b)
		}
	}
}

func TestCompressedReportsAreRead(t *testing.T) {
	plain := []byte(strings.Repeat(line(pub14)+line(before8), 20))
	var z, l bytes.Buffer
	zw := zlib.NewWriter(&z)
	zw.Write(plain)
	zw.Close()
	lw := lz4.NewWriter(&l)
	lw.Write(plain)
	lw.Close()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := New(Options{})
	for range 2 { // readers are used again
		for _, c := range []struct {
			flag int32
			body []byte
		}{{0x1, z.Bytes()}, {0x301, z.Bytes()}, {0x101, l.Bytes()}, {0x201, enc.EncodeAll(plain, nil)}} {
			if got := steps(t, d, c.body, c.flag); len(got) != 40 {
				t.Errorf("flags %#x: %d steps, want 40; %+v", c.flag, len(got), d.counters)
			}
			if got := steps(t, d, []byte("no such form"), c.flag); len(got) != 0 {
				t.Errorf("flags %#x: %d steps from garbage", c.flag, len(got))
			}
		}
	}
	if d.counters.BadReports != 8 {
		t.Errorf("%d bad reports counted, want 8", d.counters.BadReports)
	}
}

func TestABombIsRefused(t *testing.T) {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write(make([]byte, inflatedMax+1))
	w.Close()
	var f inflater
	v, err := message.Parse(message.Append(nil, &message.Draft{Body: z.Bytes(), SysFlag: 1, BornHost: derivetest.BornHost, StoreHost: derivetest.StoreHost}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.body(v); err != errLarge {
		t.Fatalf("%d bytes inflate to more than the limit: %v", z.Len(), err)
	}
}

func TestSpoiledReportsAreCountedAndTheOthersRead(t *testing.T) {
	body := line("Pub|1|r|g") + line(pub13) + line("Unheard|1|2") + line("SubBefore|x|r|g|q||0|k") + line(pub14)
	var ids []string
	if bad := parseReports([]byte(body), func(r *report) { ids = append(ids, r.offsetID) }); bad != 3 || !reflect.DeepEqual(ids, []string{"", "OFF1"}) {
		t.Errorf("%d bad, read %q", bad, ids)
	}
}

func FuzzReports(f *testing.F) {
	for _, s := range []string{pub12, pub13, pub14, pub15, before8, before9, after6, after7, after7cut, after9, end13, recall7} {
		f.Add([]byte(line(s)))
	}
	f.Add([]byte(line(pub13) + line(before9) + line(after9)))
	f.Add([]byte("Pub\x01\x02\x02\x01"))
	f.Add([]byte(line(strings.ReplaceAll(after9, "15", "99999999999999999999"))))
	f.Add([]byte(line(strings.ReplaceAll(after9, "1700000000200", "9223372036854775807"))))
	f.Fuzz(func(t *testing.T, body []byte) {
		records := bytes.Count(body, []byte{recordEnd}) + 1
		n := 0
		bad := parseReports(body, func(r *report) {
			n++
			if r.id == "" || r.costMillis < unknown || r.millis < unknown || r.retries < unknown {
				t.Fatalf("report %+v", r)
			}
		})
		if n+bad > records {
			t.Fatalf("%d reports and %d bad ones in %d records", n, bad, records)
		}
		d := New(Options{})
		rec := derivetest.NewLog().Append(1, nil, derivetest.Message{Topic: TraceTopic, Body: body})
		rows := &derivetest.Rows{}
		if err := d.Record(&rec, notes.EntryTimes{}, rows); err != nil {
			t.Fatal(err)
		}
		for _, s := range rows.Steps {
			if s.AtMicros < 0 || s.DurationMicros < unknown || s.Name == "" || s.Status == "" {
				t.Fatalf("step %+v", s)
			}
		}
		if len(rows.Steps) != n {
			t.Fatalf("%d steps of %d reports", len(rows.Steps), n)
		}
	})
}
