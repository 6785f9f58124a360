package service

import (
	"testing"
)

// FuzzParseHandle: what is parsed is written as it was read, or one form of it is.
func FuzzParseHandle(f *testing.F) {
	for _, text := range []string{"0 1700000000000 60000 3 0 broker-a 2 5", "7 1 1 999 1 b 0", "", "0 0 0 0 9 b 0 0", "a b c d 0 b 0 0", "0 1 1 4294967296 0 b 0 0", "0  1 1 1 0 b 0 0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHandle(text)
		if err != nil {
			if err.Code != CodeMessageIllegal || len(err.Text) > 1000 {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := ParseHandle(h.String())
		if err != nil || again != h {
			t.Fatalf("%q is %+v, written %q: %v", text, h, h.String(), err)
		}
	})
}
