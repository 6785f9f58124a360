package engine

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Exception is an error as ClickHouse words it: `Code: 60. DB::Exception: …`.
type Exception struct {
	Code int
	Text string // the whole line, code included
}

func (e *Exception) Error() string { return e.Text }

// ClickHouse's codes of errors that the front itself answers with.
const (
	codeBadArguments    = 36
	codeNotImplemented  = 48
	codeUnknownTable    = 60
	codeSyntax          = 62
	codeUnknownDatabase = 81
	codeUnknownSetting  = 115
	codeTimeout         = 159
	codeReadonly        = 164
	codeTooMany         = 202
	codeNetwork         = 210
	codeCancelled       = 394
	codeUnknown         = 1001
)

func exceptionf(code int, format string, args ...any) *Exception {
	return &Exception{code, fmt.Sprintf("Code: %d. DB::Exception: ", code) + fmt.Sprintf(format, args...)}
}

// parseException reads the engine's error text; the code is not always at its start (chDB wraps some errors).
func parseException(text string) *Exception {
	text = strings.TrimSpace(text)
	if i := strings.Index(text, "Code: "); i >= 0 {
		digits := text[i+len("Code: "):]
		if end := strings.IndexByte(digits, '.'); end > 0 {
			if code, err := strconv.Atoi(digits[:end]); err == nil && code > 0 {
				return &Exception{code, text[i:]}
			}
		}
	}
	return exceptionf(codeUnknown, "%s", text)
}

// asException gives any error a code.
func asException(err error) *Exception {
	var e *Exception
	if errors.As(err, &e) {
		return e
	}
	return exceptionf(codeUnknown, "%v", err)
}

// status maps a code to the HTTP status ClickHouse's server answers with.
func (e *Exception) status() int {
	switch e.Code {
	case codeUnknownTable, codeUnknownDatabase, 46, 50, 57: // unknown function, type; table exists
		return http.StatusNotFound
	case codeSyntax, 6, 26, 27, 38, 41, 43, 47, 53, 69, 70, 72, 115: // parse errors, types, unknown identifier, unknown setting
		return http.StatusBadRequest
	case codeTimeout:
		return http.StatusRequestTimeout
	case codeReadonly:
		return http.StatusForbidden
	case codeNotImplemented:
		return http.StatusNotImplemented
	case codeTooMany:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// param is a value for a {name:Type} placeholder, as HTTP carries it.
type param struct{ name, value string }

// summary is what a statement cost.
type summary struct {
	rowsRead, bytesRead, rowsWritten, bytesWritten uint64
	elapsedNanos                                   int64
}
