package entry

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// TestTransactionsComeBack: any number of ends and of checks in one body.
func TestTransactionsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ends []TxnEnd
		var checks []TxnCheck
		var endBody, checkBody []byte
		for range rapid.IntRange(0, 4).Draw(t, "ends") {
			e := TxnEnd{
				Offset: rapid.Int64().Draw(t, "offset"), Position: rapid.Int64().Draw(t, "position"), AtMillis: rapid.Int64().Draw(t, "at"),
				Decision: TxnDecision(rapid.IntRange(1, 3).Draw(t, "decision")), How: TxnHow(rapid.IntRange(1, 4).Draw(t, "how")), Client: rapid.String().Draw(t, "client"),
			}
			ends, endBody = append(ends, e), AppendTxnEnd(endBody, &e)
			c := TxnCheck{Offset: e.Offset, Position: e.Position, AtMillis: e.AtMillis, Times: rapid.Int32().Draw(t, "times"), Group: rapid.String().Draw(t, "group"), Client: e.Client}
			checks, checkBody = append(checks, c), AppendTxnCheck(checkBody, &c)
		}
		n := 0
		if err := DecodeTxnEnds(endBody, func(e *TxnEnd) error {
			if *e != ends[n] {
				t.Fatalf("end %d: %+v, expected %+v", n, *e, ends[n])
			}
			n++
			return nil
		}); err != nil || n != len(ends) {
			t.Fatalf("%d of %d ends: %v", n, len(ends), err)
		}
		n = 0
		if err := DecodeTxnChecks(checkBody, func(c *TxnCheck) error {
			if *c != checks[n] {
				t.Fatalf("check %d: %+v, expected %+v", n, *c, checks[n])
			}
			n++
			return nil
		}); err != nil || n != len(checks) {
			t.Fatalf("%d of %d checks: %v", n, len(checks), err)
		}
	})
}

// FuzzTxn: what is decoded is what its bytes say, and nothing else is.
func FuzzTxn(f *testing.F) {
	f.Add(AppendTxnEnd(AppendTxnEnd(nil, &TxnEnd{Decision: TxnCommit, How: TxnByProducer, Client: "c"}), &TxnEnd{Decision: TxnParked, How: TxnByLastCheck}))
	f.Add(AppendTxnCheck(nil, &TxnCheck{Offset: 7, Times: 1, Group: "g", Client: "c"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		err := DecodeTxnEnds(b, func(e *TxnEnd) error { again = AppendTxnEnd(again, e); return nil })
		if err == nil && !bytes.Equal(again, b) || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("ends: %v, %x", err, again)
		}
		again = nil
		err = DecodeTxnChecks(b, func(c *TxnCheck) error { again = AppendTxnCheck(again, c); return nil })
		if err == nil && !bytes.Equal(again, b) || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("checks: %v, %x", err, again)
		}
	})
}
