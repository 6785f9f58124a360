package entry

import (
	"bytes"
	"errors"
	"testing"

	"github.com/contrailmq/contrail/broker/timer"
)

func TestTimerCommandsComeBack(t *testing.T) {
	f := TimerFire{timer.Cursor{Due: 1, Pos: 2}, timer.Cursor{Due: 1764500000123, Pos: 1 << 40}, 7}
	if got, err := DecodeTimerFire(AppendTimerFire(nil, f.From, f.To, f.Count)); err != nil || got != f {
		t.Errorf("%+v %v", got, err)
	}
	for _, client := range []string{"", "shop-7@1"} {
		if got, by, err := DecodeTimerCancel(AppendTimerCancel(nil, f.To, client)); err != nil || got != f.To || string(by) != client {
			t.Errorf("%+v %q %v", got, by, err)
		}
	}
	r := TimerRoll{1 << 40, 1<<40 + 1, 3}
	if got, err := DecodeTimerRoll(AppendTimerRoll(nil, r)); err != nil || got != r {
		t.Errorf("%+v %v", got, err)
	}
}

// FuzzTimerCommands: what is taken comes back as it was; all else is an error.
func FuzzTimerCommands(f *testing.F) {
	f.Add(AppendTimerFire(nil, timer.Cursor{}, timer.Cursor{Due: 1}, 1))
	f.Add(AppendTimerCancel(nil, timer.Cursor{Due: 1, Pos: 2}, "c"))
	f.Add(AppendTimerRoll(nil, TimerRoll{1, 2, 3}))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		fire, err := DecodeTimerFire(b)
		if err == nil && !bytes.Equal(AppendTimerFire(nil, fire.From, fire.To, fire.Count), b) || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("%x: %+v %v", b, fire, err)
		}
		cancel, client, err := DecodeTimerCancel(b)
		if err == nil && !bytes.Equal(AppendTimerCancel(nil, cancel, string(client)), b) || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("%x: %+v %v", b, cancel, err)
		}
		roll, err := DecodeTimerRoll(b)
		if err == nil && !bytes.Equal(AppendTimerRoll(nil, roll), b) || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("%x: %+v %v", b, roll, err)
		}
	})
}
