package service

import (
	"sync"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/sql92"
)

// scratches is the memory of evaluations.
var scratches = sync.Pool{New: func() any { return &sql92.Scratch{} }}

// copyEvaluated does what copyRows does for a filter that needs the messages themselves: it reads a run of the log, and leaves in the
// body what passes. full also says that the pull has looked at enough.
func (s *Service) copyEvaluated(p *pull, r *PullResult, body *[]byte) (full bool, err error) {
	scratch := scratches.Get().(*sql92.Scratch)
	defer scratches.Put(scratch)
	for rows := p.rows; len(rows) > 0; {
		n, size := runOf(rows)
		from := len(*body)
		if err := s.readBytes(rows[0].Pos, size, body); err != nil {
			return false, err
		}
		p.looked += size
		full, err := s.evaluate(p, r, rows[:n], body, from, scratch)
		if full || err != nil {
			return full, err
		}
		if rows = rows[n:]; p.looked >= evaluateScan {
			return true, nil
		}
	}
	return false, nil
}

// runOf is how many rows from the first on lie side by side in the log and are read in one go, and their bytes.
func runOf(rows []queue.Row) (n, size int) {
	for n < len(rows) {
		if n > 0 && (rows[n].Pos != rows[n-1].Pos+int64(rows[n-1].Size) || size+int(rows[n].Size) > evaluateRun) {
			break
		}
		size += int(rows[n].Size)
		n++
	}
	return n, size
}

// evaluate keeps those of the messages at from in the body that pass, and cuts the rest off.
func (s *Service) evaluate(p *pull, r *PullResult, rows []queue.Row, body *[]byte, from int, scratch *sql92.Scratch) (full bool, err error) {
	b := *body
	kept, at := from, from
	defer func() { *body = b[:kept] }()
	for _, row := range rows {
		m := b[at : at+int(row.Size)]
		at += len(m)
		v, err := message.Parse(m)
		if err != nil || !stands(m, row) {
			return false, s.damaged(row.Pos)
		}
		if !p.filter.sql.Match(v.Properties(), scratch) {
			p.skip()
			continue
		}
		if kept > 0 && kept+len(m) > int(p.req.MaxBytes) {
			return true, nil
		}
		if !whole(m) {
			return false, s.damaged(row.Pos)
		}
		kept += copy(b[kept:], m)
		r.Messages++
		p.next++
		if r.Messages >= int(p.req.MaxMessages) {
			return true, nil
		}
	}
	return false, nil
}
