// Command contrail-demo is a small shop that talks to a broker with the official Go client, so that the console has stories to
// tell. It is a module of its own: the client's dependencies stay out of the product.
//
// The story: the shop sends orders (topic orders, tags new, paid, cancelled). Group billing takes the paid ones and sends
// payments. Group shipping takes payments, too slowly for two minutes out of four, and sends shipments, which nobody reads.
// Group loyalty reads all orders, but comes for 25 s and stays away for 20 s. Who does not pay is reminded later (topic reminders, group
// crm), and some pay before that: their reminders are cancelled. Group invoicing cannot write every invoice at the first try, and some
// never. The other half of the shop uses gRPC: grpc.go. Points (topic points) are credited in transactions, some of which are decided only when the broker asks.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// closing bounds how long the shop waits for the clients to stop: those of gRPC wait for their long polls.
const closing = 3 * time.Second

func main() {
	nameServer := flag.String("name-server", "127.0.0.1:9876", "name servers, with semicolons between them")
	endpoint := flag.String("grpc", "127.0.0.1:8081", "gRPC endpoints, with semicolons between them; empty: that half of the shop stays closed. Its topics must exist (deploy/run.sh makes them)")
	rate := flag.Float64("rate", 4, "orders per second, at most 1000")
	flag.Parse()
	rlog.SetLogLevel("fatal") // it says errors of its own where nothing is wrong; the shop complains itself
	if *rate <= 0 || *rate > 1000 {
		fmt.Fprintf(os.Stderr, "contrail-demo: -rate %g: more than 0 and at most 1000 are possible\n", *rate)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		stop() // a second Ctrl-C ends it at once
		time.Sleep(closing)
		os.Exit(0)
	})
	if err := run(ctx, *nameServer, *endpoint, time.Duration(float64(time.Second)/(*rate))); err != nil {
		fmt.Fprintln(os.Stderr, "contrail-demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, nameServer, endpoint string, every time.Duration) error {
	s := &shop{nameServer: nameServer}
	if err := s.open(); err != nil {
		return err
	}
	defer s.close()
	for _, open := range []func() error{s.billing, s.shipping, s.crm, s.invoicing, func() error { return s.credit(ctx) }} {
		if err := open(); err != nil {
			return err
		}
	}
	go s.loyalty(ctx)
	if endpoint != "" {
		go func() {
			if err := (&newer{s, endpoint}).open(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "contrail-demo: the half that uses gRPC stays closed:", err)
			}
		}()
	}
	fmt.Printf("the shop is open: an order every %s, topics orders, payments, shipments, reminders, points, groups billing, shipping, loyalty, invoicing, crm, points\n", every)
	return s.sell(ctx, every)
}
