package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/txn"
)

// timersConfig is about delayed and scheduled messages.
type timersConfig struct {
	Levels   string   `yaml:"delayLevels"` // as RocketMQ's messageDelayLevel; empty: its 18
	MaxDelay duration `yaml:"maxDelay"`    // how far ahead a message may be scheduled

	Aliases map[string]string `yaml:"aliases"` // other names of properties that schedule and cancel; absent: service.DefaultAliases
}

const (
	levelsMax  = 64
	aliasesMax = 16
)

func (c *timersConfig) checkAliases() error {
	if len(c.Aliases) > aliasesMax {
		return fmt.Errorf("timers.aliases: %d names; up to %d are possible", len(c.Aliases), aliasesMax)
	}
	for name, is := range c.Aliases {
		if name == "" || !slices.Contains(service.Aliased, is) {
			return fmt.Errorf("timers.aliases: %q is %q; possible are %s", name, is, strings.Join(service.Aliased, ", "))
		}
	}
	return nil
}

func (c *timersConfig) check() error {
	if d := time.Duration(c.MaxDelay); d < time.Second || d > service.MaxDelayDefault {
		return fmt.Errorf("timers.maxDelay: %v; from %v to %v are possible", d, time.Second, service.MaxDelayDefault)
	}
	if err := c.checkAliases(); err != nil {
		return err
	}
	levels, err := c.levels()
	if err == nil && len(levels) > levelsMax {
		err = fmt.Errorf("timers.delayLevels: %d levels; up to %d are possible", len(levels), levelsMax)
	}
	return err
}

// levels reads RocketMQ's form: numbers with s, m, h or d behind them, a blank between two.
func (c *timersConfig) levels() (out []time.Duration, err error) {
	for _, word := range strings.Fields(c.Levels) {
		unit := time.Duration(1)
		if days, ok := strings.CutSuffix(word, "d"); ok {
			word, unit = days+"h", 24
		}
		d, err := time.ParseDuration(word)
		if err != nil || d*unit < time.Millisecond || d*unit > service.MaxDelayDefault {
			return nil, fmt.Errorf("timers.delayLevels: %q is no delay like 10s, 5m, 2h or 1d of at most a year", word)
		}
		out = append(out, d*unit)
	}
	return out, nil
}

// transactionsConfig says when producers are asked about half messages that are undecided.
type transactionsConfig struct {
	Timeout   duration `yaml:"timeout"`       // before the first check
	Interval  duration `yaml:"checkInterval"` // between two
	ChecksMax int32    `yaml:"checksMax"`     // then the message goes to TRANS_CHECK_MAX_TIME_TOPIC
}

func defaultTransactions() transactionsConfig {
	d := txn.DefaultSettings()
	return transactionsConfig{duration(d.TimeoutMillis * 1e6), duration(d.IntervalMillis * 1e6), d.ChecksMax}
}

func (c *transactionsConfig) check() error {
	for name, d := range map[string]duration{"transactions.timeout": c.Timeout, "transactions.checkInterval": c.Interval} {
		if v := time.Duration(d); v < 100*time.Millisecond || v > 24*time.Hour {
			return fmt.Errorf("%s: %v; from %v to %v are possible", name, v, 100*time.Millisecond, 24*time.Hour)
		}
	}
	if n := c.ChecksMax; n < 1 || n > 1000 {
		return fmt.Errorf("transactions.checksMax: %d; from 1 to 1000 are possible", n)
	}
	return nil
}

// settings: what is older than the log keeps messages is given up.
func (c *transactionsConfig) settings(keepFor duration) txn.Settings {
	millis := func(d duration) int64 { return time.Duration(d).Milliseconds() }
	return txn.Settings{TimeoutMillis: millis(c.Timeout), IntervalMillis: millis(c.Interval), ChecksMax: c.ChecksMax, MaxAgeMillis: millis(keepFor)}
}
