package engine

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// externalBytesMax bounds the tables that a request brings along: they are held in memory until its query is known, which
// comes last.
const externalBytesMax = 64 << 20

// external is a table that a request brings along, as a part of a multipart body.
type external struct {
	name, format, structure string
	rows                    []byte
}

func multipartBoundary(r *http.Request) (string, bool) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return params["boundary"], err == nil && kind == "multipart/form-data" && params["boundary"] != ""
}

// ofExternal reports whether a parameter describes an external table: NAME_format beside NAME_structure.
func ofExternal(name string, values url.Values) bool {
	table, ok := strings.CutSuffix(name, "_structure")
	if !ok {
		table, ok = strings.CutSuffix(name, "_format")
	}
	return ok && values.Has(table+"_structure")
}

// takeParts reads a multipart body: files are external tables, the field query is the statement.
func (q *request) takeParts(values url.Values, parts *multipart.Reader) error {
	text, room := values.Get("query"), int64(externalBytesMax)
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			q.statement = inspect(text)
			return q.check()
		}
		if err != nil {
			return exceptionf(codeNetwork, "multipart body: %v", err)
		}
		data, err := io.ReadAll(io.LimitReader(part, room+1))
		if err != nil {
			return exceptionf(codeNetwork, "multipart body: %v", err)
		}
		if room -= int64(len(data)); room < 0 {
			return exceptionf(codeBadArguments, "external tables and query are larger than %d bytes", externalBytesMax)
		}
		switch name := part.FormName(); {
		case name == "query" && part.FileName() == "":
			text += string(data)
		case values.Has(name + "_structure"):
			q.external = append(q.external, external{name, values.Get(name + "_format"), values.Get(name + "_structure"), data})
		default:
			return exceptionf(codeBadArguments, "external table %q has no %s_structure", name, name)
		}
	}
}

// bring makes the request's external tables: temporary ones, so the session is spent.
func (f *front) bring(ctx context.Context, s *session, tables []external) error {
	for _, t := range tables {
		s.spent = true
		if err := s.exec("CREATE TEMPORARY TABLE " + identifier(t.name) + " (" + t.structure + ")"); err != nil {
			return err
		}
		insert := &request{statement: inspect("INSERT INTO " + identifier(t.name)), output: t.format, data: strings.NewReader(string(t.rows))}
		if insert.output == "" {
			insert.output = "TabSeparated"
		}
		if _, err := f.insert(ctx, s, insert, f.running.Add(1), patient); err != nil {
			return err
		}
	}
	return nil
}
