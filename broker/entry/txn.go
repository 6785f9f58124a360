package entry

import (
	"encoding/binary"
	"fmt"
)

// TxnDecision is how a transaction ended.
type TxnDecision uint8

// Decisions.
const (
	TxnCommit   TxnDecision = 1 // the message was stored in its real topic
	TxnRollback TxnDecision = 2
	TxnParked   TxnDecision = 3 // given up: the message was moved to TRANS_CHECK_MAX_TIME_TOPIC
)

// TxnHow is who decided.
type TxnHow uint8

// Who decides.
const (
	TxnByProducer  TxnHow = 1 // code 37 on its own account
	TxnByCheck     TxnHow = 2 // code 37 as the answer to a check
	TxnByLastCheck TxnHow = 3 // nobody: the checks are used up, or the message is too old
	TxnByAdmin     TxnHow = 4
)

// TxnEnd is the decision of one transaction.
type TxnEnd struct {
	Offset   int64 // of the half message in its queue
	Position int64 // of the half message in the log
	AtMillis int64 // when the leader decided
	Decision TxnDecision
	How      TxnHow
	Client   string // client id of who decided, or ""
}

const txnEndSize = 8 + 8 + 8 + 1 + 1

// AppendTxnEnd appends e's binary form: offset 8, position 8, at 8, decision 1, how 1, client. A KindTxnEnd body is any number of them.
func AppendTxnEnd(dst []byte, e *TxnEnd) []byte {
	for _, v := range []int64{e.Offset, e.Position, e.AtMillis} {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
	}
	return appendString(append(dst, byte(e.Decision), byte(e.How)), e.Client)
}

// DecodeTxnEnds calls f for each decision of a KindTxnEnd body and stops at the first error.
func DecodeTxnEnds(b []byte, f func(*TxnEnd) error) error {
	for len(b) > 0 {
		if len(b) < txnEndSize {
			return fmt.Errorf("%w: end of a transaction of %d bytes", ErrFormat, len(b))
		}
		e := TxnEnd{Offset: int64At(b, 0), Position: int64At(b, 8), AtMillis: int64At(b, 16), Decision: TxnDecision(b[24]), How: TxnHow(b[25])}
		if e.Decision < TxnCommit || e.Decision > TxnParked || e.How < TxnByProducer || e.How > TxnByAdmin {
			return fmt.Errorf("%w: end of a transaction by %d with decision %d", ErrFormat, e.How, e.Decision)
		}
		var err error
		if e.Client, b, err = takeString(b[txnEndSize:]); err != nil {
			return err
		}
		if err := f(&e); err != nil {
			return err
		}
	}
	return nil
}

// TxnCheck says that a producer was asked what became of a transaction.
type TxnCheck struct {
	Offset   int64 // of the half message in its queue
	Position int64 // of the half message in the log
	AtMillis int64 // when the leader asked
	Times    int32 // checks of this half message, this one included
	Group    string
	Client   string // client id of the producer that was asked; "" when none of the group is connected
}

const txnCheckSize = 8 + 8 + 8 + 4

// AppendTxnCheck appends c's binary form: offset 8, position 8, at 8, times 4, group, client. A KindTxnCheck body is any number of them.
func AppendTxnCheck(dst []byte, c *TxnCheck) []byte {
	dst = append32(appendInts(dst, c.Offset, c.Position, c.AtMillis), c.Times)
	return appendString(appendString(dst, c.Group), c.Client)
}

// DecodeTxnChecks calls f for each check of a KindTxnCheck body and stops at the first error.
func DecodeTxnChecks(b []byte, f func(*TxnCheck) error) error {
	for len(b) > 0 {
		if len(b) < txnCheckSize {
			return fmt.Errorf("%w: check of a transaction of %d bytes", ErrFormat, len(b))
		}
		c := TxnCheck{Offset: int64At(b, 0), Position: int64At(b, 8), AtMillis: int64At(b, 16), Times: int32At(b, 24)}
		b = b[txnCheckSize:]
		for _, s := range []*string{&c.Group, &c.Client} {
			var err error
			if *s, b, err = takeString(b); err != nil {
				return err
			}
		}
		if err := f(&c); err != nil {
			return err
		}
	}
	return nil
}

func int64At(b []byte, at int) int64 { return int64(binary.LittleEndian.Uint64(b[at:])) }
