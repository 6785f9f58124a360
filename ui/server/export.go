package server

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
)

// Limits of an export. One that ends at them says so in its last line.
const (
	exportMax      = 100_000   // letters
	exportBytesMax = 256 << 20 // of what is written
	exportFlush    = 500       // letters between two flushes
)

// exportLetters answers with a group's dead letters as a file, letter by letter as they are read.
func (s *Server) exportLetters(c echo.Context) error {
	p := paramsOf(c)
	f, format, bodies := p.letters(), p.text("format"), p.text("bodies") == "1"
	if format != "csv" && format != "jsonl" {
		p.fail(badParam("format", format, "csv, jsonl"))
	}
	w, err := s.walkLetters(c, p, nil)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="dead-letters.`+format+`"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	c.Response().WriteHeader(http.StatusOK)
	e := &export{walk: w, filter: f, out: bufio.NewWriter(c.Response()), max: exportMax, bytesMax: exportBytesMax}
	if bodies {
		e.body = func(ctx context.Context, d *inspect.DeadLetter) message.View { return s.letterBody(ctx, d) }
	}
	e.form(format)
	e.flush = func() error {
		_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(writeTimeout))
		return e.out.Flush()
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), streamTimeout)
	defer cancel()
	return e.run(ctx)
}

// letterBody finds a letter's bytes; nil: retention took them.
func (s *Server) letterBody(ctx context.Context, d *inspect.DeadLetter) message.View {
	for _, raw := range s.o.Broker.MessagesAt(ctx, d.Position) {
		if v, err := message.Parse(raw); err == nil && v.QueueOffset() == d.Offset && strings.HasSuffix(string(v.Topic()), "%"+d.Group) {
			return v
		}
	}
	return nil
}

// export writes letters in a form.
type export struct {
	walk     *letterWalk
	filter   letterFilter
	out      *bufio.Writer
	flush    func() error
	body     func(context.Context, *inspect.DeadLetter) message.View // nil: bodies are not wanted
	max      int
	bytesMax int64
	written  int64

	begin func() error
	write func(d *inspect.DeadLetter, body *exportBody) error
	end   func(text string) error // says why it ends before the last letter
}

// exportBody is a body as text, or in base64 when it is none.
type exportBody struct{ text, encoding string }

func (e *export) run(ctx context.Context) error {
	if err := e.begin(); err != nil {
		return err
	}
	for n := 0; ; {
		d, ok, err := e.walk.next()
		if err != nil {
			return e.cut(fmt.Sprintf("%d letters are written; reading the next one failed: %s", n, clip(err.Error())))
		}
		if !ok {
			return e.flush()
		}
		if !e.filter.match(&d) {
			continue
		}
		if why := e.over(ctx, n); why != "" {
			return e.cut(why)
		}
		if err := e.write(&d, e.bodyOf(ctx, &d)); err != nil {
			return err
		}
		if n++; n%exportFlush == 0 {
			if err := e.flush(); err != nil {
				return err
			}
		}
	}
}

// over says which limit the next letter would pass; "": none.
func (e *export) over(ctx context.Context, n int) string {
	switch {
	case n >= e.max:
		return fmt.Sprintf("truncated after %d letters, which is the limit; %d are kept", n, e.walk.total)
	case e.written >= e.bytesMax:
		return fmt.Sprintf("truncated after %d letters: the file has reached its limit of %d bytes", n, e.bytesMax)
	case ctx.Err() != nil:
		return fmt.Sprintf("truncated after %d letters: it took longer than %v", n, streamTimeout)
	}
	return ""
}

func (e *export) cut(why string) error {
	if err := e.end(why); err != nil {
		return err
	}
	return e.flush()
}

func (e *export) bodyOf(ctx context.Context, d *inspect.DeadLetter) *exportBody {
	if e.body == nil {
		return nil
	}
	v := e.body(ctx, d)
	if v == nil {
		return &exportBody{}
	}
	plain := v.Body()
	if shown := show(v); shown.Error == "" && !shown.Truncated && shown.Kind != "binary" {
		return &exportBody{shown.Text, "text"}
	}
	return &exportBody{base64.StdEncoding.EncodeToString(plain), "base64"} // as stored
}

// form chooses how letters are written.
func (e *export) form(format string) {
	if format == "csv" {
		e.csv()
		return
	}
	e.begin = func() error { return nil }
	e.write = func(d *inspect.DeadLetter, body *exportBody) error { return e.line(jsonLetter(d, body)) }
	e.end = func(text string) error { return e.line(map[string]string{"truncated": text}) }
}

func (e *export) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	e.written += int64(len(b)) + 1
	_, err = e.out.Write(append(b, '\n'))
	return err
}

func jsonLetter(d *inspect.DeadLetter, body *exportBody) any {
	if body == nil {
		return d
	}
	return struct {
		*inspect.DeadLetter
		Body     string `json:"body"`
		Encoding string `json:"bodyEncoding"`
	}{d, body.text, body.encoding}
}

var exportColumns = []string{"broker", "group", "offset", "topic", "originMessage", "uniqKey", "keys", "tags", "attempts", "storedAt", "bornAt", "position", "bytes", "resentAt"}

func (e *export) csv() {
	w := csv.NewWriter(counted{e.out, &e.written})
	w.UseCRLF = true
	row := func(cells []string) error {
		for i := range cells {
			cells[i] = safeCell(cells[i])
		}
		if err := w.Write(cells); err != nil {
			return err
		}
		w.Flush()
		return w.Error()
	}
	e.begin = func() error {
		head := exportColumns[:len(exportColumns):len(exportColumns)]
		if e.body != nil {
			head = append(head, "body", "bodyEncoding")
		}
		return row(append([]string{}, head...))
	}
	e.write = func(d *inspect.DeadLetter, body *exportBody) error {
		cells := []string{d.Broker, d.Group, whole(d.Offset), d.Topic, d.Origin, d.UniqKey, d.Keys, d.Tags, whole(int64(d.Attempts)), iso(d.Stored), iso(d.Born), whole(d.Position), whole(int64(d.Bytes)), iso(d.Resent)}
		if body != nil {
			cells = append(cells, body.text, body.encoding)
		}
		return row(cells)
	}
	e.end = func(text string) error { return row([]string{text}) }
}

func whole(n int64) string { return strconv.FormatInt(n, 10) }

// iso is a time that spreadsheets and people read; "" for none.
func iso(millis int64) string {
	if millis <= 0 {
		return ""
	}
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000Z")
}

// safeCell keeps a spreadsheet from running what a producer wrote.
func safeCell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

// counted counts what is written.
type counted struct {
	w *bufio.Writer
	n *int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	*c.n += int64(n)
	return n, err
}
