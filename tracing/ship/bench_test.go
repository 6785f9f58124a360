package ship

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/tracing/clickhouse"
	"github.com/contrailmq/contrail/tracing/derive"
	"github.com/contrailmq/contrail/tracing/derive/derivetest"
)

// BenchmarkDeriveAndEncode is what a message costs the broker's process besides sending the block: entries of 64 messages
// of 1 KB as a remoting client sends them, every range of 32 delivered and acknowledged once.
func BenchmarkDeriveAndEncode(b *testing.B) {
	for name, properties := range map[string][]string{"derived": nil, "traceparent": {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}} {
		b.Run(name, func(b *testing.B) {
			const each = 64
			log := derivetest.NewLog()
			define := derivetest.Define(entry.Producer{Ref: 1, Group: "shop", ClientID: "10.0.0.7@1", Addr: "10.0.0.7:40123", Language: "JAVA", Version: "V5_5_0", Protocol: "remoting"})
			var records []entry.Record
			body := make([]byte, 1024)
			for i := range 200 {
				var all []derivetest.Message
				for k := range each {
					all = append(all, derivetest.Message{Topic: "orders", Queue: int32(k / 16), ID: fmt.Sprintf("7F00000100002A9F4B1C0A1B%08X", i*each+k), Tag: "paid", Keys: fmt.Sprint("order-", i*each+k), Body: body, Producer: 1, Properties: properties})
				}
				records = append(records, log.Append(time.Now().UnixMicro(), []derivetest.Command{define}, all...))
			}
			d, block := derive.New(derive.Options{Broker: "broker-a", Node: "node-1"}), clickhouse.NewBlock()
			delivered := notes.Note{Kind: notes.KindDelivery, Delivery: notes.Delivery{Topic: "orders", Group: "billing", Client: "10.0.0.8@1", Messages: 32}}
			b.ReportAllocs()
			n, before := 0, cpu(b)
			for b.Loop() {
				r := records[n%len(records)]
				if n++; n%len(records) == 0 {
					block.Reset()
				}
				if err := d.Record(&r, notes.EntryTimes{Index: r.Index, SyncedMicros: 1, AckedMicros: 2}, block); err != nil {
					b.Fatal(err)
				}
				for k := range int64(each / 32) {
					delivered.Delivery.From, delivered.Delivery.To = int64(n)*16+k, int64(n)*16+k+16
					d.Note(&delivered, block)
				}
			}
			// The machine may be busy with other things: what counts is this process's CPU.
			b.ReportMetric(float64(cpu(b)-before)/float64(n*each), "cpu-ns/message")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*each), "ns/message")
		})
	}
}

// cpu is what the process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
