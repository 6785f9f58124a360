package clickhouse

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"text/template"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/tracing/trail"
)

//go:embed sql/*.sql sql/views/*.sql
var sqlFiles embed.FS

// migration is one numbered file.
type migration struct {
	number     int
	name       string
	sum        string   // of the file, not of what was rendered from it
	statements []string // rendered
}

// viewsNumber is the views' among the migrations that a database records: they hold no rows, so they are made anew whenever they changed.
const viewsNumber = 0

// earlier are sums of migrations that were changed without a change for databases that have them.
var earlier = map[int]string{3: "0653c5b4d9106a57"} // it made what are the views

// views renders the views.
func views(o *Options) (migration, error) {
	const name = "sql/views/otel.sql"
	b, err := sqlFiles.ReadFile(name)
	if err != nil {
		return migration{}, err
	}
	statements, err := render(name, string(b), o)
	return migration{viewsNumber, "views", sumOf(b), statements}, err
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// migrations renders all files, in order.
func migrations(o *Options) ([]migration, error) {
	names, err := fs.Glob(sqlFiles, "sql/*.sql")
	if err != nil {
		return nil, err
	}
	var all []migration
	for _, name := range names { // Glob sorts
		b, err := sqlFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(path.Base(name), ".sql")
		digits, _, _ := strings.Cut(base, "_")
		n, err := strconv.Atoi(digits)
		if err != nil || n != len(all)+1 {
			return nil, fmt.Errorf("migration %s: its number must be %d", name, len(all)+1)
		}
		statements, err := render(base, string(b), o)
		if err != nil {
			return nil, err
		}
		all = append(all, migration{n, base, sumOf(b), statements})
	}
	return all, nil
}

// render fills a file's template and splits it into statements, which end with a semicolon at the end of a line.
func render(name, text string, o *Options) ([]string, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(functions(o)).Parse(text)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	onCluster := ""
	if o.Cluster != "" {
		onCluster = "ON CLUSTER " + o.Cluster
	}
	if err := t.Execute(&b, struct{ DB, OnCluster string }{o.Database, onCluster}); err != nil {
		return nil, err
	}
	var statements []string
	for s := range strings.SplitSeq(b.String(), ";\n") {
		if s = strings.TrimSpace(withoutComments(s)); s != "" {
			statements = append(statements, s)
		}
	}
	return statements, nil
}

func withoutComments(s string) string {
	var kept []string
	for line := range strings.SplitSeq(s, "\n") {
		if !strings.HasPrefix(line, "--") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// Windows within which a block's token is remembered. A replicated table forgets by time, too: a shipper may come back with
// an old token after an outage of days.
const (
	dedupBlocks  = 10_000
	dedupSeconds = 7 * 24 * 3600
)

// functions are the words in which one set of files differs, and the expressions that several places must agree on.
func functions(o *Options) template.FuncMap {
	return template.FuncMap{
		"engine": func(family string) string {
			if o.Cluster != "" {
				return "Replicated" + family
			}
			return family
		},
		"settings":      func() string { return "SETTINGS ttl_only_drop_parts = 1, " + window(o) },
		"settingsNoAge": func() string { return "SETTINGS " + window(o) },
		"ttl":           func(column string) string { return "TTL " + ttl(column, o, false) },
		"ttlLong":       func(column string) string { return "TTL " + ttl(column, o, true) },
		"bucketSize":    func() string { return strconv.Itoa(bucketSize) },
		"start":         func() string { return startOf("received", "appended") },
		"bucket":        func(micros string) string { return "toUInt8(least(255, floor(log2(greatest(" + micros + ", 1)) * 4)))" },
		"span":          span,
		"owner":         owner,
		"destination":   destination,
		"stored":        stored,
		"committed":     committed,
		"parking":       func() string { return parking },
		"hiding":        func() string { return hiding },
		"attributes":    attributes,
		"noEvents": func() string {
			return "CAST([], 'Array(DateTime64(9))') AS `Events.Timestamp`,\n    CAST([], 'Array(LowCardinality(String))') AS `Events.Name`,\n" +
				"    CAST([], 'Array(Map(LowCardinality(String), String))') AS `Events.Attributes`"
		},
		"noLinks": func() string {
			return "CAST([], 'Array(String)') AS `Links.TraceId`,\n    CAST([], 'Array(String)') AS `Links.SpanId`,\n    CAST([], 'Array(String)') AS `Links.TraceState`,\n" +
				"    CAST([], 'Array(Map(LowCardinality(String), String))') AS `Links.Attributes`"
		},
	}
}

// window is the setting that says how many tokens a table remembers.
func window(o *Options) string {
	if o.Cluster != "" {
		return fmt.Sprintf("replicated_deduplication_window = %d, replicated_deduplication_window_seconds = %d", dedupBlocks, dedupSeconds)
	}
	return fmt.Sprintf("non_replicated_deduplication_window = %d", dedupBlocks)
}

// ttl is the expression after which rows of a table go.
func ttl(column string, o *Options, long bool) string {
	keep := o.KeepFor
	if long {
		keep += keepLonger
	}
	return fmt.Sprintf("toDateTime(%s) + toIntervalSecond(%d)", column, int64(keep.Seconds()))
}

// startOf is a span's begin in the exporter's type: the first time, or the other one where that was not recorded. A cast
// would keep the time zone of what it casts.
func startOf(first, other string) string {
	return "fromUnixTimestamp64Nano(toUnixTimestamp64Nano(if(toUnixTimestamp64Micro(" + first + ") > 0, " + first + ", " + other + ")))"
}

// span is trail.DeriveSpanID in SQL. One string is hashed: with several arguments ClickHouse hashes something else.
func span(id, group, attempt, step string) string {
	return fmt.Sprintf("lower(hex(reinterpretAsFixedString(sipHash64Keyed((toUInt64(%d), toUInt64(%d)), concat(%s, char(0), %s, char(0), toString(%s), char(0), %s)))))",
		uint64(trail.SpanKey0), uint64(trail.SpanKey1), id, group, attempt, step)
}

// owner is the group whose retry or dead letter a copy is, wherever it waits for that; "" for others.
func owner(table string) string {
	to := destination(table)
	return fmt.Sprintf("multiIf(%[1]spop_group != '', %[1]spop_group, startsWith(%[2]s, '%%RETRY%%'), substring(%[2]s, 8), startsWith(%[2]s, '%%DLQ%%'), substring(%[2]s, 6), '')", table, to)
}

// destination is the topic that a copy is in, or waits for.
func destination(table string) string {
	return fmt.Sprintf("if(%[1]stiming IN ('parked', 'rolled', 'half', 'discarded'), %[1]sreal_topic, %[1]stopic)", table)
}

// stored is the step by which a copy came to where it is: a message that was parked and fired has two copies there, and so has one that was
// committed.
func stored(table string) string {
	return "if(" + table + "timing IN ('half', 'discarded'), toString(" + table + "timing), if(" + table + "timing = 'fired', 'fire', 'store'))"
}

// committed says that a copy was made of a half message.
func committed(table string) string {
	return fmt.Sprintf("(bitAnd(%[1]ssys_flag, %[2]d) = %[3]d AND %[4]s = '')", table, message.FlagTxMask, message.FlagTxCommit, owner(table))
}

// attributes is a map without empty values, in the exporter's type.
func attributes(pairs string) string {
	return "CAST(mapFilter((k, v) -> v != '', map(" + pairs + ")), 'Map(LowCardinality(String), String)')"
}
