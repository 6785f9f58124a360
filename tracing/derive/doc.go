// Package derive turns what the broker wrote down anyway into the trail's rows: records of the replicated log and notes of
// the node go in, messages, deliveries, settlements, steps and happenings come out. It is pure: no clock, goroutine, file.
//
// Words: a record is one committed entry; a note is one line of the node-local notes log; a loss is a run of queue offsets
// that is known to have existed and was not seen; a report is one record of a client's own trace (RMQ_SYS_TRACE_TOPIC).
//
// What is known without any record of its own: the range that a commit settles begins at the commit before it, and the
// first one of a group at the first offset that was handed to the group; a delivery that goes over offsets a second time is
// told apart from the first; a queue whose offsets jump has lost what lies between. All this is state, it survives restarts
// through Save and Restore, and it is the same whoever derives it from the same records and notes.
//
// Invariants: what cannot be known is -1 or empty, never guessed. A row is given to the Sink exactly once per record or
// note; rows and their strings are valid only within the Sink's call. A message costs no allocation. A damaged message,
// command or report is counted, and the rest of its entry is derived as far as lengths allow.
//
// Goroutines: none; a Deriver belongs to one goroutine.
//
// A half message stands in the half topic with a real topic; what is committed carries the commit's flag. Ends and checks name the half message's place.
//
// A copy is parked when it stands in a parking topic with a real topic and a due time; it is fired when it stands in one entry with the
// command that fires its due time, and nobody sent it. A cancel names the place of a parked copy.
//
// Files: deriver.go (records and notes), messages.go (message rows), timing.go (the timer's commands and copies), transactions.go (ends and checks), commits.go (settlements of ranges), consumed.go (those
// of single messages), clienttrace.go (parser of
// reports, fuzzed), reports.go (reports to steps), inflate.go, state.go (Save, Restore).
package derive
