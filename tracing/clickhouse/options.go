package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"time"
)

// Options say where the store is and how long it keeps rows.
type Options struct {
	Dial     func(ctx context.Context) (net.Conn, error) // to an embedded engine's socket; nil: Addr is dialled
	Alone    bool                                        // no other process uses this store: an embedded engine
	Addr     string                                      // host:port of the HTTP interface
	Secure   bool                                        // HTTPS
	Database string                                      // default contrail
	User     string                                      // default "default"
	Password string
	Cluster  string        // runs DDL ON CLUSTER and replicates the tables; "": one server
	KeepFor  time.Duration // age at which rows go; default 7 days, at least an hour
	Log      *slog.Logger
}

// Defaults and limits.
const (
	defaultDatabase = "contrail"
	defaultKeepFor  = 7 * 24 * time.Hour
	keepForMin      = time.Hour
	// keepLonger is added for rollups and ship_log: charts and holes outlive the rows.
	keepLonger = 90 * 24 * time.Hour
)

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// withDefaults fills what was left out and names all that is wrong.
func (o Options) withDefaults() (Options, error) {
	if o.Database == "" {
		o.Database = defaultDatabase
	}
	if o.User == "" {
		o.User = "default"
	}
	if o.KeepFor == 0 {
		o.KeepFor = defaultKeepFor
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Addr == "" && o.Dial != nil {
		o.Addr = "localhost:8123" // never looked up
	}
	var errs []error
	if o.Addr == "" {
		errs = append(errs, errors.New("trail store: no address"))
	}
	if !identifier.MatchString(o.Database) {
		errs = append(errs, fmt.Errorf("trail store: database %q: letters, digits and _ are possible, at most 63", o.Database))
	}
	if o.Cluster != "" && !identifier.MatchString(o.Cluster) {
		errs = append(errs, fmt.Errorf("trail store: cluster %q: letters, digits and _ are possible, at most 63", o.Cluster))
	}
	if o.KeepFor < keepForMin {
		errs = append(errs, fmt.Errorf("trail store: keepFor %s: at least %s", o.KeepFor, keepForMin))
	}
	return o, errors.Join(errs...)
}
