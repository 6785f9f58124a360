package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

func logCommand() *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "Look into a broker's log offline"}
	var from uint64
	var limit int
	dump := &cobra.Command{
		Use: "dump DIR", Short: "Print entries as JSON lines: commands and messages with their places", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return dumpLog(cmd.OutOrStdout(), args[0], from, limit) },
	}
	dump.Flags().Uint64Var(&from, "from", 0, "first entry; 0: the oldest kept")
	dump.Flags().IntVar(&limit, "limit", math.MaxInt, "how many entries")
	verify := &cobra.Command{
		Use: "verify DIR", Short: "Check every checksum, the chain and each message's place", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return verifyLog(cmd.OutOrStdout(), args[0]) },
	}
	c.AddCommand(dump, verify)
	return c
}

func openLog(dir string) (*seglog.Log, error) {
	return seglog.Open(vfs.OS{}, dir, seglog.Options{ReadOnly: true, SegmentBytes: 1 << 30})
}

// dumped is one line of `log dump`.
type dumped struct {
	Index    uint64          `json:"index"`
	Term     uint64          `json:"term"`
	Position int64           `json:"position"`
	At       string          `json:"at,omitempty"`
	Commands []string        `json:"commands,omitempty"`
	Messages []dumpedMessage `json:"messages,omitempty"`
	Bytes    int             `json:"bytes"`
}

type dumpedMessage struct {
	Topic    string `json:"topic"`
	Queue    int32  `json:"queue"`
	Offset   int64  `json:"offset"`
	Position int64  `json:"position"`
	ID       string `json:"id,omitempty"`
	Tags     string `json:"tags,omitempty"`
	Keys     string `json:"keys,omitempty"`
	Body     int    `json:"bodyBytes"`
}

var errEnough = errors.New("enough")

func dumpLog(out io.Writer, dir string, from uint64, limit int) error {
	l, err := openLog(dir)
	if err != nil {
		return err
	}
	defer l.Close()
	enc := json.NewEncoder(out)
	n := 0
	next := max(from, l.FirstIndex())
	for err == nil && next <= l.LastIndex() {
		next, err = l.Read(next, 1<<20, func(r seglog.Record) error {
			if n++; n > limit {
				return errEnough
			}
			d, err := describe(r)
			if err != nil {
				return err
			}
			return enc.Encode(d)
		})
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func describe(r seglog.Record) (dumped, error) {
	d := dumped{Index: r.Index, Term: r.Term, Position: r.Pos, Bytes: len(r.Data)}
	if r.Type != 0 {
		d.Commands = []string{"members"}
		return d, nil
	}
	b, err := entry.Decode(r.Data)
	if err != nil {
		return d, fmt.Errorf("entry %d: %w", r.Index, err)
	}
	if b.NowMicros > 0 {
		d.At = time.UnixMicro(b.NowMicros).UTC().Format(time.RFC3339Nano)
	}
	err = b.Commands(func(k entry.Kind, body []byte) error {
		d.Commands = append(d.Commands, fmt.Sprintf("%d %.200q", k, body))
		return nil
	})
	if err != nil {
		return d, err
	}
	base := r.Pos + seglog.RecordHeaderSize
	return d, b.Messages(func(at int, v message.View, _ entry.Origin) error {
		if v.Position() != base+int64(at) {
			return fmt.Errorf("entry %d: a message of %s says position %d and stands at %d", r.Index, v.Topic(), v.Position(), base+int64(at))
		}
		p := v.Properties()
		d.Messages = append(d.Messages, dumpedMessage{
			string(v.Topic()), v.QueueID(), v.QueueOffset(), v.Position(), string(message.Property(p, message.PropUniqKey)),
			string(message.Property(p, message.PropTags)), string(message.Property(p, message.PropKeys)), v.BodySize(),
		})
		return nil
	})
}

func verifyLog(out io.Writer, dir string) error {
	l, err := openLog(dir)
	if err != nil {
		return err
	}
	defer l.Close()
	entries, messages := 0, 0
	for _, s := range l.Segments() {
		if err := l.Verify(s.Seq); err != nil {
			return err
		}
		next := s.FirstIndex
		for next <= s.LastIndex {
			next, err = l.Read(next, 1<<20, func(r seglog.Record) error {
				d, err := describe(r)
				entries, messages = entries+1, messages+len(d.Messages)
				return err
			})
			if err != nil {
				return err
			}
		}
		fmt.Fprintf(out, "%s: entries %d to %d, positions %d to %d: good\n", s.Name, s.FirstIndex, s.LastIndex, s.FirstPos, s.EndPos)
	}
	fmt.Fprintf(out, "%d entries, %d messages: good\n", entries, messages)
	return nil
}
