package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// pipeBytes is the size asked for an INSERT's pipe; drainBytesMax is how much of a refused body is still read, so that the
// client gets the answer rather than a broken connection.
const (
	pipeBytes     = 1 << 20
	drainBytesMax = 256 << 20
)

// insert runs an INSERT whose rows come in the body. They go through a pipe that the engine opens by its name in /proc:
// rows inside the query text would be cut at an empty line, which binary data may contain.
func (f *front) insert(ctx context.Context, s *session, q *request, n uint64, wait waiter) (summary, error) {
	source, sink, err := os.Pipe()
	if err != nil {
		return summary{}, err
	}
	defer source.Close()
	grow(sink)
	feedCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fed := make(chan error, 1)
	go func() {
		err := feed(sink, q.data, wait)
		if err != nil {
			cancel(err) // kills the statement, before the end of the pipe may look like the end of the rows
			poison(sink)
		}
		_ = sink.Close()
		fed <- err
	}()
	sum, err := f.plain(feedCtx, s, q, insertFrom(&q.statement, q.output, int(source.Fd()), n), n)
	_ = source.Close() // a feeder that still writes gets EPIPE and drains the body
	if bad := <-fed; bad != nil {
		s.spent = true // killed, but who knows how far it is
		return sum, exceptionf(codeNetwork, "rows of the INSERT: %v", bad)
	}
	return sum, err
}

// insertFrom rewrites `INSERT INTO t (…) [SETTINGS …] [FORMAT F]` to read from a file descriptor.
func insertFrom(st *statement, format string, fd int, n uint64) string {
	if st.format != "" {
		format = st.format
	}
	settings := st.text[st.settingsAt:st.formatAt]
	return fmt.Sprintf("%s FROM INFILE '/proc/self/fd/%d' COMPRESSION 'none' %s %s FORMAT %s",
		strings.TrimSpace(st.text[:st.settingsAt]), fd, settings, markOf(n), format)
}

// stall is how long a client may keep its session waiting for the next bytes of a body, or for room for those of an answer.
const stall = 2 * time.Minute

// waiter is told before every wait for the client (more), and when no more is waited for.
type waiter func(more bool)

// patient waits for ever: for bodies that are there.
func patient(bool) {}

// feed copies the body into the pipe. It fails if the body breaks off; that the engine stopped reading is not its failure.
func feed(sink io.Writer, body io.Reader, wait waiter) error {
	buffer := make([]byte, 256<<10)
	defer wait(false)
	for {
		wait(true)
		n, err := body.Read(buffer)
		if n > 0 {
			if _, werr := sink.Write(buffer[:n]); werr != nil {
				_, err := io.CopyN(io.Discard, body, drainBytesMax)
				if err == nil {
					return errors.New("the INSERT was refused and its rows are too many to wait for")
				}
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// poison writes what no binary format takes for rows, so that a body that broke off between two blocks is not taken for a
// whole one.
func poison(sink io.Writer) { _, _ = sink.Write(bytes.Repeat([]byte{0xff}, 64)) }
