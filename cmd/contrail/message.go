package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

// apiTimeout and apiMax bound one call of a running node's API.
const (
	apiTimeout = 30 * time.Second
	apiMax     = 64 << 20
)

// client asks a running node's API, as the page does.
type client struct{ server, output string }

func (c *client) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&c.server, "server", "http://127.0.0.1:8080", "a running node's console")
	cmd.PersistentFlags().StringVar(&c.output, "output", "text", "text or json")
}

// get gives an answer's bytes; a problem becomes an error with its reason and what to do.
func (c *client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	address := strings.TrimSuffix(c.server, "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("--server %q: %w", c.server, err)
	}
	a, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, apiMax))
	if err != nil {
		return nil, err
	}
	if a.StatusCode != http.StatusOK {
		var p api.Problem
		if json.Unmarshal(b, &p) == nil && p.Title != "" {
			return nil, fmt.Errorf("%s: %s (%s)", p.Title, p.Detail, p.Next)
		}
		return nil, fmt.Errorf("%s answered %s", address, a.Status)
	}
	return b, nil
}

// call prints an answer as it came, or as text.
func (c *client) call(cmd *cobra.Command, path string, query url.Values, into any, text func(io.Writer)) error {
	if c.output != "text" && c.output != "json" {
		return fmt.Errorf("--output %q; possible are text, json", c.output)
	}
	b, err := c.get(cmd.Context(), path, query)
	if err != nil {
		return err
	}
	if c.output == "json" {
		_, err = cmd.OutOrStdout().Write(b)
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("answer of %s: %w", path, err)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	text(w)
	return w.Flush()
}

func messageCommand() *cobra.Command {
	var c client
	m := &cobra.Command{Use: "message", Short: "Find messages and tell what happened to one, by a running node"}
	c.flags(m)
	m.AddCommand(c.showCommand(), c.searchCommand())
	return m
}

func (c *client) showCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "The life of one message, by UNIQ_KEY or offset message id", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var l api.MessageLife
			err := c.call(cmd, "/api/v1/messages/"+url.PathEscape(args[0]), nil, &l, func(w io.Writer) { printLife(w, &l) })
			if err == nil && c.output == "text" && len(l.Life.Messages) == 0 && l.Stored == nil {
				err = fmt.Errorf("message %s: %s: %s", args[0], l.Life.Answer, l.Life.Reason)
			}
			return err
		},
	}
}

func clock(micros int64) string {
	if micros <= 0 {
		return "-"
	}
	return time.UnixMicro(micros).Format("2006-01-02 15:04:05.000000")
}

// line prints cells of one row; what users wrote is quoted when it could move the terminal's cursor.
func line(w io.Writer, cells ...string) {
	for i, s := range cells {
		if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 {
			cells[i] = strconv.Quote(s)
		}
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

func printLife(w io.Writer, l *api.MessageLife) {
	copies := l.Life.Messages
	if len(copies) == 0 && l.Stored != nil {
		copies = []trail.Message{*l.Stored}
	}
	if len(copies) == 0 {
		return
	}
	for i := range copies {
		m := &copies[i]
		line(w, "message", m.ID, m.Topic, "queue "+strconv.Itoa(int(m.QueueID))+" offset "+strconv.FormatInt(m.QueueOffset, 10))
		line(w, clock(m.BornMicros), "born", m.ProducerGroup, m.ProducerClient+" "+m.ProducerAddr+" "+m.Language+" "+m.Version)
		line(w, clock(m.ReceivedMicros), "received", m.Broker, m.Node)
		line(w, clock(m.AppendedMicros), "stored", m.Broker, m.OffsetID)
		line(w, clock(m.AckedMicros), "acknowledged to the producer", m.Broker, "")
	}
	for _, d := range l.Life.Deliveries {
		line(w, clock(d.SentMicros), "delivered", d.Group, d.Client+" "+d.Addr)
	}
	for _, s := range l.Life.Steps {
		line(w, clock(s.AtMicros), s.Name+" ("+s.Source+")", s.Group, s.Status+" "+s.Error)
	}
	for _, s := range l.Life.Settlements {
		line(w, clock(s.AtMicros), s.Outcome, s.Group, s.Client)
	}
	for _, v := range l.Verdicts {
		line(w, "now", string(v.State), v.Group, fmt.Sprintf("%d ahead", v.Ahead))
	}
	line(w, "recorded", fmt.Sprintf("%d of %d steps", l.Recorded, l.Expected))
}

// searchFlags are the API's parameters under the names of the command line.
var searchFlags = []struct{ flag, param, help string }{
	{"topic", "topic", "topic"}, {"id", "id", "message id of either kind"}, {"key", "key", "one of its keys"}, {"tag", "tag", "tag"},
	{"producer-group", "producerGroup", "producer group"}, {"client", "client", "client that sent it or got it"},
	{"group", "group", "consumer group that got it"}, {"limit", "limit", "at most so many, up to 1000"}, {"before", "before", "cursor: where an earlier answer ended"},
}

func (c *client) searchCommand() *cobra.Command {
	values := map[string]*string{}
	var from, to string
	s := &cobra.Command{
		Use: "search", Short: "Messages by topic, key, tag, client or group, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			for param, v := range values {
				if *v != "" {
					q.Set(param, *v)
				}
			}
			if err := timeRange(q, from, to, time.Now()); err != nil {
				return err
			}
			var m trail.Matches
			err := c.call(cmd, "/api/v1/messages", q, &m, func(w io.Writer) { printMatches(w, &m) })
			if err == nil && c.output == "text" && len(m.Messages) == 0 { // as grep does: nothing found is no success
				err = fmt.Errorf("%s, asked from %s to %s: %s", m.Answer, local(q.Get("from")), local(q.Get("to")), m.Reason)
			}
			return err
		},
	}
	for _, f := range searchFlags {
		values[f.param] = s.Flags().String(f.flag, "", f.help)
	}
	s.Flags().StringVar(&from, "from", "", "begin, like 2026-11-24T15:04:05Z; default 15 minutes before the end, a day with --key or --id")
	s.Flags().StringVar(&to, "to", "", "end; default now")
	return s
}

func timeRange(q url.Values, from, to string, now time.Time) error {
	end := now
	var err error
	if to != "" {
		if end, err = time.Parse(time.RFC3339, to); err != nil {
			return fmt.Errorf("--to %q: a time like 2026-11-24T15:04:05Z", to)
		}
	}
	begin := end.Add(-15 * time.Minute)
	if q.Has("key") || q.Has("id") { // as the page does: there are few of them
		begin = end.Add(-24 * time.Hour)
	}
	if from != "" {
		if begin, err = time.Parse(time.RFC3339, from); err != nil {
			return fmt.Errorf("--from %q: a time like 2026-11-24T15:04:05Z", from)
		}
	}
	q.Set("from", strconv.FormatInt(begin.UnixMicro(), 10))
	q.Set("to", strconv.FormatInt(end.UnixMicro(), 10))
	return nil
}

// local is µs as a clock here.
func local(micros string) string {
	n, _ := strconv.ParseInt(micros, 10, 64)
	return clock(n)
}

func printMatches(w io.Writer, m *trail.Matches) {
	for i := range m.Messages {
		x := &m.Messages[i]
		line(w, clock(x.AppendedMicros), x.Topic, x.Tag, strings.Join(x.Keys, " "), x.ID)
	}
	line(w, string(m.Answer), fmt.Sprintf("%d messages", len(m.Messages)), m.Reason)
	if m.Next != "" {
		line(w, "more", "--before "+m.Next)
	}
}
