package engine

import (
	"compress/gzip"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	chproto "github.com/ClickHouse/ch-go/proto"
)

// queryBytesMax is how much SQL text a request may carry; data of an INSERT is not text and has no limit.
const queryBytesMax = 16 << 20

// request is a query as ClickHouse's HTTP interface carries it.
type request struct {
	statement
	database string
	output   string // format of the answer when the statement names none
	id       string // query_id
	revision int    // client_protocol_version
	settings []setting
	params   []param
	data     io.Reader // rows for an INSERT; nil: none
	external []external
	compress compress.Method
	waitEnd  bool
}

// reserved are parameters of the HTTP interface that are not settings of the engine.
var reserved = map[string]bool{
	"query": true, "database": true, "default_format": true, "client_protocol_version": true, "query_id": true, "quota_key": true,
	"user": true, "password": true, "role": true, "session_id": true, "session_timeout": true, "session_check": true, "close_session": true,
	"compress": true, "decompress": true, "network_compression_method": true, "network_zstd_compression_level": true,
	"wait_end_of_query": true, "buffer_size": true, "enable_http_compression": true, "http_zlib_compression_level": true,
	"http_write_exception_in_output_format": true, "send_progress_in_http_headers": true, "add_http_cors_header": true,
	"stacktrace": true, "cancel_http_readonly_queries_on_client_close": true,
	// The engine does not run its drop queue: waiting for it would never end. See DESIGN.md.
	"database_atomic_wait_for_drop_and_detach_synchronously": true,
}

// readRequest reads all of a request but the rows of an INSERT.
func readRequest(r *http.Request) (*request, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, exceptionf(codeBadArguments, "query string: %v", err)
	}
	q := &request{database: header(r, values, "database", "X-ClickHouse-Database"), output: header(r, values, "default_format", "X-ClickHouse-Format")}
	if q.database == "" {
		q.database = "default"
	}
	if q.output == "" {
		q.output = "TabSeparated"
	}
	q.id = values.Get("query_id")
	q.revision, _ = strconv.Atoi(values.Get("client_protocol_version"))
	q.waitEnd = enabled(values.Get("wait_end_of_query"))
	q.takeSettings(values)
	if enabled(values.Get("compress")) {
		q.compress = compress.LZ4
		if strings.EqualFold(values.Get("network_compression_method"), "ZSTD") {
			q.compress = compress.ZSTD
		}
	}
	if boundary, ok := multipartBoundary(r); ok {
		return q, q.takeParts(values, multipart.NewReader(r.Body, boundary))
	}
	body, err := plainBody(r, values)
	if err != nil {
		return nil, err
	}
	return q, q.takeText(values.Get("query"), body)
}

func header(r *http.Request, values url.Values, name, header string) string {
	if v := values.Get(name); v != "" {
		return v
	}
	return r.Header.Get(header)
}

// settingBytes are the bytes that names of settings have: the front puts them into SQL as they are.
const settingBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

func enabled(v string) bool { return v == "1" || v == "true" }

// takeSettings splits the query string into settings and parameters.
func (q *request) takeSettings(values url.Values) {
	for name, v := range values {
		value := v[len(v)-1]
		switch {
		case strings.HasPrefix(name, "param_"):
			q.params = append(q.params, param{strings.TrimPrefix(name, "param_"), value})
		case !reserved[name] && !ofExternal(name, values):
			q.settings = append(q.settings, setting{name, value})
		}
	}
	sort.Slice(q.settings, func(i, j int) bool { return q.settings[i].name < q.settings[j].name })
}

// plainBody is the request's body without its encodings.
func plainBody(r *http.Request, values url.Values) (io.Reader, error) {
	var body io.Reader = r.Body
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "":
	case "gzip":
		zipped, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, exceptionf(codeBadArguments, "gzip body: %v", err)
		}
		body = zipped
	default:
		return nil, exceptionf(codeNotImplemented, "Content-Encoding %s is not supported; gzip is, and native compression (decompress=1)", encoding)
	}
	if enabled(values.Get("decompress")) {
		body = newFramed(body)
	}
	return body, nil
}

// framed reads ClickHouse's compressed frames. The end of the body is the end of the rows only between two frames.
type framed struct {
	frames *compress.Reader
	body   counted
}

// counted counts what was read of a body.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func newFramed(body io.Reader) *framed {
	f := &framed{body: counted{Reader: body}}
	f.frames = compress.NewReader(&f.body)
	return f
}

func (f *framed) Read(p []byte) (int, error) {
	before := f.body.n
	n, err := f.frames.Read(p)
	if err != nil && errors.Is(err, io.EOF) { // which it also says when nothing follows a frame's header
		if err = io.EOF; f.body.n > before {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// takeText finds the statement. A query in the query string has the body as its data (INSERT) or its continuation.
func (q *request) takeText(text string, body io.Reader) error {
	if text != "" {
		q.statement = inspect(text)
		if q.takesRows() {
			q.data = body
			return q.check()
		}
	}
	room := io.LimitReader(body, queryBytesMax+1)
	rest, err := io.ReadAll(room)
	if err != nil {
		return exceptionf(codeNetwork, "body: %v", err)
	}
	if len(rest) > queryBytesMax {
		return q.takeInline(text+string(rest), body)
	}
	if len(rest) > 0 || text == "" {
		return q.takeInline(text+string(rest), nil)
	}
	return q.check()
}

// takeInline reads a text that may carry the data of an INSERT behind its FORMAT clause.
func (q *request) takeInline(text string, more io.Reader) error {
	q.statement = inspect(text)
	inline := q.takesRows() && q.format != ""
	if more != nil && !inline {
		return exceptionf(codeBadArguments, "the query is longer than %d bytes", queryBytesMax)
	}
	if inline {
		data := strings.TrimLeft(text[q.inlineAt:], " \t\r\n;")
		q.data = strings.NewReader(data)
		if more != nil {
			q.data = io.MultiReader(q.data, more)
		}
	}
	return q.check()
}

// takesRows reports whether the statement is an INSERT whose rows come behind it.
func (q *request) takesRows() bool { return q.inserts && !q.values && !q.selects }

// check refuses what the engine cannot do, and rewrites what would hang it.
func (q *request) check() error {
	for _, s := range q.settings {
		if strings.Trim(s.name, settingBytes) != "" {
			return exceptionf(codeUnknownSetting, "%q is no name of a setting", s.name)
		}
	}
	switch {
	case q.outfile:
		return exceptionf(codeNotImplemented, "INTO OUTFILE is not allowed: it would write a file of the server")
	case q.text == "":
		return exceptionf(codeSyntax, "Empty query")
	case q.many && !q.inserts:
		return exceptionf(codeSyntax, "Multi-statements are not allowed")
	case q.input && q.selects && q.format != "":
		return exceptionf(codeNotImplemented, "INSERT … SELECT FROM input() is not supported by the embedded engine")
	}
	if q.sync > 0 {
		// DROP … SYNC waits for a queue that the embedded engine does not run. Without SYNC the name is free at once too.
		q.text = strings.TrimSpace(q.text[:q.syncAt] + q.text[q.syncAt+q.sync:])
	}
	return nil
}

// outputFormat is the format of the answer.
func (q *request) outputFormat() string {
	if q.format != "" && !q.inserts {
		return q.format
	}
	return q.output
}

// hello is what clickhouse-go asks when it connects.
const hello = "SELECT displayName(), version(), revision(), timezone()"

// revisionOfCustomSerialization is the first protocol revision whose blocks have a flag in each column's header.
const revisionOfCustomSerialization = 54454

// helloBlock answers hello in the client's revision, and says revision 0: all later blocks then pass through untouched.
func helloBlock(revision int, name, version, timezone string) []byte {
	var b chproto.Buffer
	b.PutUVarInt(1) // block info: is_overflows
	b.PutBool(false)
	b.PutUVarInt(2) // bucket_num
	b.PutInt32(-1)
	b.PutUVarInt(0)
	b.PutUVarInt(4) // columns
	b.PutUVarInt(1) // rows
	column := func(name, kind string) {
		b.PutString(name)
		b.PutString(kind)
		if revision >= revisionOfCustomSerialization {
			b.PutBool(false)
		}
	}
	column("displayName()", "String")
	b.PutString(name)
	column("version()", "String")
	b.PutString(version)
	column("revision()", "UInt32")
	b.PutUInt32(0)
	column("timezone()", "String")
	b.PutString(timezone)
	return b.Buf
}
