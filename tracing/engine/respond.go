package engine

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/ClickHouse/ch-go/compress"
)

// frameBytes is how much goes into one compressed frame; bufferedBytesMax is how much wait_end_of_query may hold back.
const (
	frameBytes       = 1 << 20
	bufferedBytesMax = 64 << 20
)

// answer writes a response: headers with the first data, so that an error before it has a status; an error after it goes
// into the body between markers, as ClickHouse does it.
type answer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	frames  *compress.Writer // nil: not compressed
	tag     string
	begun   bool
	held    *bytes.Buffer // wait_end_of_query: nothing is sent before the end
}

func (f *front) newAnswer(w http.ResponseWriter, q *request) *answer {
	a := &answer{w: w, control: http.NewResponseController(w), tag: rand.Text()[:16]}
	h := w.Header()
	h.Set("X-ClickHouse-Server-Display-Name", f.name)
	if q == nil {
		return a
	}
	h.Set("X-ClickHouse-Timezone", f.timezone)
	h.Set("X-ClickHouse-Format", q.outputFormat())
	h.Set("X-ClickHouse-Query-Id", q.id)
	h.Set("X-ClickHouse-Exception-Tag", a.tag)
	h.Set("Content-Type", contentType(q.outputFormat()))
	if q.compress != compress.None {
		a.frames = compress.NewWriter(compress.LevelZero, q.compress)
	}
	if q.waitEnd {
		a.held = &bytes.Buffer{}
	}
	return a
}

func contentType(format string) string {
	switch format {
	case "JSON", "JSONCompact", "JSONStrings":
		return "application/json; charset=UTF-8"
	case "JSONEachRow", "JSONLines", "NDJSON":
		return "application/x-ndjson; charset=UTF-8"
	case "CSV", "CSVWithNames":
		return "text/csv; charset=UTF-8"
	case "TabSeparated", "TSV", "TabSeparatedWithNames", "TSVWithNames", "TSVRaw":
		return "text/tab-separated-values; charset=UTF-8"
	}
	return "application/octet-stream"
}

// write sends data, or holds it.
func (a *answer) write(data []byte) error {
	if a.held == nil {
		return a.send(data)
	}
	if a.held.Len()+len(data) > bufferedBytesMax {
		return exceptionf(396, "the result is larger than the %d bytes that wait_end_of_query may hold back", bufferedBytesMax)
	}
	a.held.Write(data)
	return nil
}

func (a *answer) send(data []byte) error {
	a.begin()
	_ = a.control.SetWriteDeadline(time.Now().Add(stall))
	if a.frames == nil {
		_, err := a.w.Write(data)
		return err
	}
	for len(data) > 0 {
		n := min(len(data), frameBytes)
		if err := a.frames.Compress(data[:n]); err != nil {
			return err
		}
		if _, err := a.w.Write(a.frames.Data); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func (a *answer) begin() {
	if !a.begun {
		a.begun = true
		a.w.WriteHeader(http.StatusOK)
	}
}

// flush pushes what was written to the client: a slow stream shows its rows as they come.
func (a *answer) flush() {
	if a.held == nil {
		_ = a.control.Flush()
	}
}

// finish ends a good answer.
func (a *answer) finish(s summary) error {
	if !a.begun {
		a.w.Header().Set("X-ClickHouse-Summary", fmt.Sprintf(
			`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","elapsed_ns":"%d"}`,
			s.rowsRead, s.bytesRead, s.rowsWritten, s.bytesWritten, s.elapsedNanos))
	}
	if a.held != nil && a.held.Len() > 0 {
		return a.send(a.held.Bytes())
	}
	if !a.begun {
		a.w.Header().Set("Content-Length", "0")
		a.begin()
	}
	return nil
}

// waitForBody gives a client time for the next bytes of its body. After the body there is no limit: reading then only
// watches whether the client is still there.
func (a *answer) waitForBody(more bool) {
	deadline := time.Time{}
	if more {
		deadline = time.Now().Add(stall)
	}
	_ = a.control.SetReadDeadline(deadline)
}

// release lifts the deadlines: the connection's next request must not meet them.
func (a *answer) release() {
	_ = a.control.SetReadDeadline(time.Time{})
	_ = a.control.SetWriteDeadline(time.Time{})
}

// fail ends an answer with an exception.
func (a *answer) fail(e *Exception) {
	_ = a.control.SetWriteDeadline(time.Now().Add(stall))
	if !a.begun {
		h := a.w.Header()
		h.Del("X-ClickHouse-Exception-Tag")
		h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
		h.Set("Content-Type", "text/plain; charset=UTF-8")
		a.w.WriteHeader(e.status())
		_, _ = a.w.Write([]byte(e.Text + "\n"))
		return
	}
	// Outside the compressed frames: the reader of frames stops at it, and clients look for it in the raw bytes.
	fmt.Fprintf(a.w, "\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", a.tag, e.Text, len(e.Text)+1, a.tag)
}
