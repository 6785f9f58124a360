package brokertest

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// AllRows in the order of their numbers.
func AllRows() (rows []*Row) {
	rows = append(rows, processRows()...)
	rows = append(rows, networkRows()...)
	rows = append(rows, diskRows()...)
	rows = append(rows, damageRows()...)
	rows = append(rows, clientRows()...)
	rows = append(rows, memberRows()...)
	rows = append(rows, timerRows()...)
	rows = append(rows, txnRows()...)
	rows = append(rows, deliveryRows()...)
	slices.SortFunc(rows, func(a, b *Row) int { return a.Number - b.Number })
	return rows
}

// TestChaos runs rows of the fault matrix against three processes. CHAOS_ROWS chooses (all, or numbers), CHAOS_SECONDS is the time
// of each; CHAOS_OUT is a file for the table.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("needs several minutes")
	}
	lasts := 10 * time.Second
	if s, err := strconv.Atoi(os.Getenv("CHAOS_SECONDS")); err == nil {
		lasts = time.Duration(s) * time.Second
	}
	want := os.Getenv("CHAOS_ROWS")
	for _, row := range AllRows() {
		if !chosen(row, want) {
			continue
		}
		t.Run(fmt.Sprintf("row%d", row.Number), func(t *testing.T) {
			o := RunRow(t, row, lasts)
			t.Logf("\n%s\n", o.Line())
			write(t, o)
			for _, bad := range o.Bad {
				t.Error(bad)
			}
		})
	}
}

func chosen(row *Row, want string) bool {
	switch want {
	case "":
		return row.Short
	case "all":
		return true
	}
	return slices.Contains(strings.Split(want, ","), strconv.Itoa(row.Number))
}

// write adds a line to the table, which grows while rows run: what was found is kept when a later row breaks off.
func write(t *testing.T, o *Outcome) {
	name := os.Getenv("CHAOS_OUT")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if st, _ := f.Stat(); st.Size() == 0 {
		commit, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
		fmt.Fprintf(f, "%s, commit %s\n\n%s\n", time.Now().UTC().Format("2006-01-02 15:04 MST"), strings.TrimSpace(string(commit)), Header)
	}
	fmt.Fprintln(f, o.Line())
}
