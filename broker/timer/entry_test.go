package timer

import "testing"

func TestDueTimesComeBack(t *testing.T) {
	for _, due := range []int64{1, 9, 10, 1764500000123, DueMax} {
		if got, ok := ParseDue(AppendDue(nil, due)); !ok || got != due {
			t.Errorf("%d comes back as %d %t", due, got, ok)
		}
	}
	for _, bad := range []string{"", "1", "176450000012x", "-764500000123", "0000000000000", "11764500000123"} {
		if due, ok := ParseDue([]byte(bad)); ok {
			t.Errorf("%q is %d", bad, due)
		}
	}
}

// Hashes are on disk: they never change.
func TestKeyHashStays(t *testing.T) {
	if h := KeyHash([]byte("orders"), []byte("7F00000100002A9F4B6E0000")); h != 0xb2e66edb5b578e78 {
		t.Errorf("%#x", h)
	}
}

func FuzzParseDue(f *testing.F) {
	f.Add([]byte("1764500000123"))
	f.Add([]byte("0000000000000"))
	f.Add([]byte("99999999999999"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if due, ok := ParseDue(b); ok && string(AppendDue(nil, due)) != string(b) {
			t.Fatalf("%q is %d", b, due)
		}
	})
}
