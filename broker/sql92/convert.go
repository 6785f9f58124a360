package sql92

import (
	"math"
	"strconv"
)

// parseWhole reads text as java.lang.Long.valueOf does: a sign, digits, nothing else, within the given number of bits.
func parseWhole(b []byte, bits uint) (int64, bool) {
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	limit, n := uint64(1)<<(bits-1), uint64(0)
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		if n = n*10 + uint64(c-'0'); n > limit {
			return 0, false
		}
	}
	if negative {
		return -int64(n), true
	}
	return int64(n), n < limit
}

// parseDouble reads text as java.lang.Double.valueOf does: blanks around it, NaN, Infinity, a suffix f or d, hexadecimal with an
// exponent. What is too large is infinite.
func parseDouble(b []byte) (float64, bool) {
	b = trim(b)
	sign, rest := 1.0, b
	if len(rest) > 0 && (rest[0] == '-' || rest[0] == '+') {
		if rest[0] == '-' {
			sign = -1
		}
		rest = rest[1:]
	}
	switch string(rest) {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(int(sign)), true
	}
	if n := len(rest); n > 0 && (rest[n-1]|0x20 == 'f' || rest[n-1]|0x20 == 'd') {
		rest = rest[:n-1]
	}
	if !isDecimal(rest) && !isHexadecimal(rest) {
		return 0, false
	}
	f, _ := strconv.ParseFloat(string(rest), 64) // the form is right: only the range can be wrong, and f says so
	return sign * f, true
}

func trim(b []byte) []byte {
	for len(b) > 0 && b[0] <= ' ' {
		b = b[1:]
	}
	for len(b) > 0 && b[len(b)-1] <= ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// isDecimal: digits with at most one point and perhaps an exponent.
func isDecimal(b []byte) bool {
	b, n := mantissa(b, isDigit)
	if n == 0 {
		return false
	}
	if len(b) == 0 {
		return true
	}
	return b[0]|0x20 == 'e' && isExponent(b[1:])
}

// isHexadecimal: 0x, digits with at most one point, and always a binary exponent.
func isHexadecimal(b []byte) bool {
	if len(b) < 3 || b[0] != '0' || b[1]|0x20 != 'x' {
		return false
	}
	b, n := mantissa(b[2:], func(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' })
	return n > 0 && len(b) > 0 && b[0]|0x20 == 'p' && isExponent(b[1:])
}

// mantissa passes digits and at most one point; n counts the digits.
func mantissa(b []byte, digit func(byte) bool) (rest []byte, n int) {
	point := false
	for len(b) > 0 && (digit(b[0]) || b[0] == '.' && !point) {
		if b[0] == '.' {
			point = true
		} else {
			n++
		}
		b = b[1:]
	}
	return b, n
}

func isExponent(b []byte) bool {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
	}
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return len(b) > 0
}

// isTrue reads text as java.lang.Boolean.valueOf does.
func isTrue(b []byte) bool {
	return len(b) == 4 && b[0]|0x20 == 't' && b[1]|0x20 == 'r' && b[2]|0x20 == 'u' && b[3]|0x20 == 'e'
}

// compareDoubles orders as java.lang.Double.compareTo: NaN is the largest and equal to itself, -0.0 is less than 0.0.
func compareDoubles(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b && a != 0:
		return 0
	}
	return compareWhole(rank(a), rank(b))
}

// rank orders what < and > do not: negative zero, zero, NaN.
func rank(f float64) int64 {
	switch {
	case f != f:
		return 2
	case f == 0 && math.Signbit(f):
		return -1
	case f == 0:
		return 0
	}
	return 1
}

func compareWhole(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
