package offset

import "strings"

// resetBy begins the Client of a commit that somebody made in the group's place.
const resetBy = "reset by "

// ResetBy is the Client of such a commit; who is the one that asked for it.
func ResetBy(who string) string { return resetBy + who }

// IsReset says that a commit's Client is of ResetBy's form.
func IsReset(client string) bool { return strings.HasPrefix(client, resetBy) }

// Resets lists the places that were reset and that their groups have not committed since: the groups may not know of it. It follows
// from applied commits only, so a new leader finds what the old one had promised.
func (t *Table) Resets() map[Key]int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := map[Key]int64{}
	for k, c := range t.applied {
		if IsReset(c.Client) {
			out[k] = c.Offset
		}
	}
	return out
}
