package metrics

// processors are RocketMQ's thread pools. There are none here: a watermark is 0, so that alerts on it stay silent.
var processors = []string{
	"send", "async_put", "pull", "ack", "query_message", "client_manager", "heartbeat", "lite_pull", "transaction", "consumer_manager", "admin", "reply",
}

// log is the node and its log.
func (s *scrape) log() {
	n := &s.node
	s.unit("rocketmq_storage_size", "_bytes", "Bytes of the log on disk.", gauge, float64(n.LogBytes), "storage_type", "local", "storage_medium", "disk")
	for _, p := range processors {
		s.emit("rocketmq_processor_watermark", "Requests that wait for a thread: none do here.", gauge, 0, "processor", p)
	}
	s.own("stopped", "1 when the broker refuses writes because its log failed.", gauge, truth(n.Stopped != ""))
	s.own("leader", "1 when this node leads its broker group.", gauge, truth(n.Leader))
	s.own("start_time_seconds", "When the broker started.", gauge, float64(n.StartedAt)/1000)
	s.own("raft_term", "Term of the replicated log.", gauge, float64(n.Term))
	s.own("raft_commit_index", "Last committed entry.", gauge, float64(n.CommitIndex))
	s.own("raft_applied_index", "Last applied entry.", gauge, float64(n.AppliedIndex))
	s.own("log_first_position_bytes", "Position of the first byte kept.", gauge, float64(n.LogFirstPos))
	s.own("log_end_position_bytes", "Position behind the last byte.", gauge, float64(n.LogEndPos))
	s.own("log_sync_median_seconds", "Median time of a sync of the log.", gauge, n.FsyncP50/1e6)
	s.own("log_sync_p99_seconds", "Time of a sync of the log that one in a hundred exceeds.", gauge, n.FsyncP99/1e6)
	s.own("disk_size_bytes", "Size of the log's file system.", gauge, float64(n.DiskTotal))
	s.own("disk_free_bytes", "What is free on it.", gauge, float64(n.DiskFree))
}

// front is what a port uses of its limits, and what it refused.
func (s *scrape) front() {
	if s.o.Front == nil {
		return
	}
	f := s.o.Front()
	for _, l := range []struct {
		name      string
		used, max int64
	}{
		{"connections", f.Connections, f.ConnectionsMax}, {"inbound_bytes", f.InboundBytes, f.InboundBytesMax},
		{"held_pulls", f.HeldPulls, f.HeldPullsMax}, {"pending_bytes", f.PendingBytes, f.PendingBytesMax},
	} {
		s.own("limit_used", "What is used of a limit.", gauge, float64(l.used), "limit", l.name)
		if l.max > 0 {
			s.own("limit_max", "A limit.", gauge, float64(l.max), "limit", l.name)
		}
	}
	for _, c := range []struct {
		outcome string
		n       int64
	}{
		{"accepted", f.Accepted}, {"refused", f.Refused}, {"malformed", f.Malformed}, {"timed_out", f.TimedOut}, {"over_budget", f.OverBudget}, {"stalled", f.Stalled},
	} {
		s.own("connections_total", "Connections, by what became of them.", counter, float64(c.n), "outcome", c.outcome)
	}
	s.own("frames_total", "Frames read.", counter, float64(f.Frames))
	s.own("received_bytes_total", "Bytes read from connections.", counter, float64(f.BytesIn))
	s.own("sent_bytes_total", "Bytes written to connections.", counter, float64(f.BytesOut))
	s.own("writes_total", "Writes to connections: several answers may go in one.", counter, float64(f.Writes))
}

// trail is how the trail does.
func (s *scrape) trail() {
	if s.o.Trail == nil {
		return
	}
	t := s.o.Trail()
	s.own("trail_store_up", "1 when the trail's store answers.", gauge, truth(t.StoreUp))
	s.own("trail_shipped_to_timestamp_seconds", "All that was recorded before is in the store.", gauge, float64(t.ShippedToMicros)/1e6)
	s.own("trail_lag_seconds", "Age of the oldest record that is not in the store yet.", gauge, float64(t.LagMicros)/1e6)
	s.own("trail_lag_entries", "Log entries that are not in the store yet.", gauge, float64(t.LagEntries))
	s.own("trail_rows_shipped_total", "Rows written to the store.", counter, float64(t.RowsShipped))
	s.own("trail_rows_not_recorded_total", "Rows that will never be in the store: retention or a failure was faster.", counter, float64(t.RowsNotRecorded))
}

// waiting is scheduled messages and transactions.
func (s *scrape) waiting() {
	if s.o.Waiting == nil {
		return
	}
	w := s.o.Waiting()
	s.own("scheduled_messages", "Delayed and scheduled messages that wait for their time.", gauge, float64(w.Scheduled.Pending))
	for _, c := range []struct {
		outcome string
		n       int64
	}{{"scheduled", w.Scheduled.Scheduled}, {"fired", w.Scheduled.Fired}, {"cancelled", w.Scheduled.Cancelled}} {
		s.own("scheduled_messages_total", "Delayed and scheduled messages, by what became of them.", counter, float64(c.n), "outcome", c.outcome)
	}
	t := &w.Transactions
	s.own("transactions_open", "Half messages that nobody decided yet.", gauge, float64(t.Open))
	for _, c := range []struct {
		outcome string
		n       int64
	}{{"begun", t.Begun}, {"committed", t.Committed}, {"rolled_back", t.RolledBack}, {"given_up", t.GivenUp}} {
		s.own("transactions_total", "Transactions, by what became of them.", counter, float64(c.n), "outcome", c.outcome)
	}
	s.own("transaction_checks_total", "Questions to producers about undecided transactions.", counter, float64(t.Checks))
}
