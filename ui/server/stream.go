package server

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

// streamBuckets is in how many parts a search's range is counted; slices are runs of them.
const streamBuckets = 60

// messagesStream answers a search line by line, newest slices first: what is likely wanted is there at once, and a long
// range shows how far it is.
func (s *Server) messagesStream(c echo.Context) error {
	p := paramsOf(c)
	q := p.query(time.Now())
	if p.err != nil {
		return p.err
	}
	ctx, done, err := s.ask(c, streamTimeout)
	if err != nil {
		return err
	}
	defer done()
	h := c.Response().Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies: pass lines on as they come
	c.Response().WriteHeader(http.StatusOK)
	send := func(line api.Progress) error {
		body, err := marshalLine(line)
		if err != nil {
			return err
		}
		control := http.NewResponseController(c.Response())
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := c.Response().Write(body); err != nil {
			return err
		}
		return control.Flush()
	}
	return newSearch(q).run(ctx, s.o.Trail, send)
}

// marshalLine leaves lists that a line does not have away.
func marshalLine(line api.Progress) ([]byte, error) {
	var b []byte
	var err error
	switch {
	case line.Done != nil:
		b, err = marshal(struct {
			Done *trail.Matches `json:"done"`
		}{line.Done})
	case line.Messages != nil:
		b, err = marshal(struct {
			Messages []trail.Message `json:"messages"`
		}{line.Messages})
	default:
		b, err = marshal(struct {
			ToMicros int64 `json:"scannedToMicros"`
		}{line.ToMicros})
	}
	return append(b, '\n'), err
}

// search is a search in slices.
type search struct {
	q     trail.Query
	width int64 // of a bucket
	done  trail.Matches
	found int
}

func newSearch(q trail.Query) *search {
	s := &search{q: q, width: max(1, (q.ToMicros-q.FromMicros+streamBuckets-1)/streamBuckets)}
	s.done.Answer = trail.Nothing
	if q.Before == "" {
		for at := q.FromMicros; at < q.ToMicros; at += s.width {
			s.done.Histogram = append(s.done.Histogram, trail.Bucket{AtMicros: at})
		}
	}
	return s
}

// run asks slice after slice and sends what it finds; the last line sums up.
func (s *search) run(ctx context.Context, reader trail.Reader, send func(api.Progress) error) error {
	began := time.Now()
	to := s.q.ToMicros
	for n := int64(1); to > s.q.FromMicros; n *= 2 {
		from := s.sliceFrom(to, n)
		more, err := s.slice(ctx, reader, from, to, send)
		if err != nil {
			return err
		}
		to = from
		if !more {
			break
		}
	}
	if s.done.Next != "" && s.done.Answer != trail.Failed && to > s.q.FromMicros && s.q.Before == "" {
		s.count(ctx, reader, to)
	}
	s.done.ElapsedMicros = time.Since(began).Microseconds()
	return send(api.Progress{Done: &s.done})
}

// sliceFrom is where a slice of n buckets that ends at to begins: on the border of a bucket. What an index finds at once is
// not sliced.
func (s *search) sliceFrom(to, n int64) int64 {
	if s.q.ID != "" || s.q.Key != "" {
		return s.q.FromMicros
	}
	bucket := (to - 1 - s.q.FromMicros) / s.width
	return max(s.q.FromMicros, s.q.FromMicros+(bucket-n+1)*s.width)
}

// slice asks one slice; more is false when the search is over.
func (s *search) slice(ctx context.Context, reader trail.Reader, from, to int64, send func(api.Progress) error) (more bool, err error) {
	q := s.q
	q.FromMicros, q.ToMicros, q.Limit = from, to, s.q.Limit-s.found
	m, err := reader.Search(ctx, q)
	if err != nil {
		m = trail.Matches{Answer: trail.Failed, Reason: clip(err.Error())}
	}
	s.add(&m)
	if m.Answer == trail.Failed {
		s.done.Answer, s.done.Reason = trail.Failed, m.Reason
		return false, nil
	}
	if len(m.Messages) > 0 {
		s.found += len(m.Messages)
		s.done.Answer, s.done.Reason = trail.Found, ""
		if err := send(api.Progress{Messages: m.Messages}); err != nil {
			return false, err
		}
	} else if m.Answer == trail.NotRecorded && s.done.Answer == trail.Nothing {
		s.done.Answer, s.done.Reason = trail.NotRecorded, m.Reason
	}
	if s.found >= s.q.Limit {
		s.done.Next = m.Next
		return false, nil
	}
	return true, send(api.Progress{ToMicros: from})
}

// add sums up what a slice cost and counted.
func (s *search) add(m *trail.Matches) {
	s.done.RowsRead += m.RowsRead
	s.done.BytesRead += m.BytesRead
	for _, b := range m.Histogram {
		if i := (b.AtMicros - s.q.FromMicros) / s.width; i >= 0 && int(i) < len(s.done.Histogram) {
			s.done.Histogram[i].Count += b.Count
		}
	}
}

// count asks the rest of the range for its histogram alone: the picture covers the whole range although the list is full.
func (s *search) count(ctx context.Context, reader trail.Reader, to int64) {
	q := s.q
	q.ToMicros, q.Limit = to, 1
	if m, err := reader.Search(ctx, q); err == nil {
		s.add(&m)
	}
}
