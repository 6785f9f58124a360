package engine

import (
	"strconv"
	"strings"
	"time"
)

// The engine has no users: a session is restricted by readonly = 1, which forbids writing, changing settings, and selecting
// from table functions that read files or the network (readonly = 2 does not forbid those). It does not forbid the function
// file('…') in an expression, nor DESCRIBE of such a table function, so those are found in the text here, and the process
// is confined too (confine_linux.go). What a request may still choose is set before readonly, from the lists below.

// readers are the statements that the read-only socket takes. readonly = 1 refuses the others too; this is the second lock.
var readers = map[string]bool{"SELECT": true, "WITH": true, "SHOW": true, "DESCRIBE": true, "DESC": true, "EXPLAIN": true, "EXISTS": true}

// harmless are settings that only shape the answer.
var harmless = map[string]bool{
	"session_timezone": true, "extremes": true, "limit": true, "offset": true, "log_comment": true, "join_use_nulls": true,
	"date_time_output_format": true, "result_overflow_mode": true, "timeout_overflow_mode": true, "max_rows_to_read": true, "max_bytes_to_read": true,
	"read_overflow_mode": true, "use_query_condition_cache": true, "final": true,
}

// insiders are the table functions that touch only tables and numbers.
var insiders = map[string]bool{
	"numbers": true, "numbers_mt": true, "generateseries": true, "generate_series": true, "zeros": true, "zeros_mt": true, "primes": true, "values": true,
	"sqlstandardvalues": true, "view": true, "viewexplain": true, "viewifpermitted": true, "null": true, "merge": true, "format": true, "mergetreeindex": true,
	"mergetreeprojection": true, "generaterandom": true, "dictionary": true,
}

// outsiders gives the names, in small letters, of the functions that reach beyond the engine's tables.
func (a *admin) outsiders() (map[string]bool, error) {
	names, err := a.ask("SELECT lower(name) FROM system.table_functions UNION DISTINCT SELECT lower(name) FROM system.functions WHERE name IN ('file', 'catboostEvaluate') OR name ILIKE 'ai%'")
	if err != nil {
		return nil, err
	}
	outside := map[string]bool{}
	for name := range strings.Lines(names) {
		if name = strings.TrimSpace(name); !insiders[name] {
			outside[name] = true
		}
	}
	return outside, nil
}

// restrict refuses what the read-only socket does not offer, and brings settings down to its limits.
func (f *front) restrict(q *request) error {
	if !readers[q.first] {
		return exceptionf(codeReadonly, "%s is not allowed here: this connection only reads", q.first)
	}
	if len(q.external) > 0 {
		return exceptionf(codeReadonly, "external tables are not allowed here: this connection only reads")
	}
	if q.odd {
		return exceptionf(codeReadonly, "letters beyond ASCII outside of quotes, quoted names of functions, and comments in comments are not allowed here")
	}
	for _, name := range q.calls {
		if f.outside[strings.ToLower(name)] {
			return exceptionf(codeReadonly, "function %s is not allowed here: this connection only reads tables", name)
		}
	}
	allowed := q.settings[:0]
	for _, s := range q.settings {
		if s.name == "readonly" {
			continue // it is, whatever is asked
		}
		if limit, ok := f.limits.of(s.name); ok {
			s.value = atMost(s.value, limit)
		} else if !harmless[s.name] && !strings.HasPrefix(s.name, "output_format_") {
			return exceptionf(codeReadonly, "Cannot modify '%s' setting in readonly mode", s.name)
		}
		allowed = append(allowed, s)
	}
	q.settings = allowed
	return nil
}

// of gives the limit of a setting that can be lowered.
func (l ReadOnlyLimits) of(name string) (limit float64, ok bool) {
	switch name {
	case "max_execution_time":
		return float64(l.ExecutionMax) / float64(time.Second), true
	case "max_memory_usage":
		return float64(l.MemoryBytes), true
	case "max_result_rows":
		return float64(l.ResultRows), true
	}
	return 0, false
}

// atMost gives the value, or the limit if it is larger. No number, and 0 (no limit), are the limit.
func atMost(value string, limit float64) string {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || !(v > 0 && v < limit) {
		v = limit
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
