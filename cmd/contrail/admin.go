package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

const adminTimeout = 20 * time.Second

// admin changes a cluster through the port of any of its members. The commands and the console's API use the same.
type admin struct{ addr string }

// refused is the answer of a broker.
type refused struct {
	code int
	text string
}

func (r *refused) Error() string { return r.text }

// ResponseCode is RocketMQ's.
func (r *refused) ResponseCode() int { return r.code }

func do(addr string, code int32, body []byte, fields ...rpc.Field) ([]byte, error) {
	c := rpc.Client{Addr: addr, Timeout: adminTimeout}
	defer c.Close()
	f, err := c.Do(code, fields, body)
	if err != nil {
		return nil, err
	}
	if f.Code != 0 {
		return nil, &refused{int(f.Code), string(f.Remark)}
	}
	return slices.Clone(f.Body), nil
}

func (a *admin) cluster() (c inspect.Cluster, err error) {
	b, err := do(a.addr, wire.BrokerClusterInfo, nil)
	if err != nil {
		return c, fmt.Errorf("--broker %s: %w", a.addr, err)
	}
	err = json.Unmarshal(b, &c)
	return c, err
}

// change changes the cluster's plan.
func (a *admin) change(c inspect.ClusterChange) error {
	b, err := json.Marshal(c)
	if err == nil {
		_, err = do(a.addr, wire.BrokerClusterChange, b)
	}
	return err
}

// askGroup asks a broker group: the member that leads it first, then any that answers.
func askGroup(g *inspect.BrokerGroup, code int32, body []byte, fields ...rpc.Field) ([]byte, error) {
	members := slices.Clone(g.Members)
	slices.SortStableFunc(members, func(a, b inspect.BrokerMember) int {
		return boolInt(b.ID == g.Leader) - boolInt(a.ID == g.Leader)
	})
	err := fmt.Errorf("no member of broker group %s has an address", g.Name)
	for _, m := range members {
		if m.Addr == "" {
			continue
		}
		var b []byte
		var r *refused
		if b, err = do(m.Addr, code, body, fields...); err == nil || errors.As(err, &r) {
			return b, err
		}
	}
	return nil, err
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// groups finds broker groups by name; none named: all of them.
func (a *admin) groups(names []string) ([]inspect.BrokerGroup, error) {
	c, err := a.cluster()
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return c.Groups, nil
	}
	var out []inspect.BrokerGroup
	for _, name := range names {
		i := slices.IndexFunc(c.Groups, func(g inspect.BrokerGroup) bool { return g.Name == name })
		if i < 0 {
			return nil, &refused{service.CodeInvalidParameter, fmt.Sprintf("broker group %.100q is not in this cluster; it has %s", name, strings.Join(groupNames(c.Groups), ", "))}
		}
		out = append(out, c.Groups[i])
	}
	return out, nil
}

func groupNames(groups []inspect.BrokerGroup) (names []string) {
	for _, g := range groups {
		names = append(names, g.Name)
	}
	return names
}

func number(name string, n uint64) rpc.Field {
	return rpc.Field{Name: name, Value: strconv.FormatUint(n, 10)}
}

// moveLeader moves the leader, and lets it stay there.
func (a *admin) moveLeader(name string, member uint64) error {
	g, err := a.groups([]string{name})
	if err != nil {
		return err
	}
	if err := a.change(inspect.ClusterChange{Kind: inspect.Prefer, Group: name, Node: member}); err != nil {
		return err
	}
	_, err = askGroup(&g[0], wire.BrokerGroupTransfer, nil, number("member", member))
	return err
}

func (a *admin) members(name string, add, remove uint64) error {
	g, err := a.groups([]string{name})
	if err != nil {
		return err
	}
	_, err = askGroup(&g[0], wire.BrokerGroupMembers, nil, number("add", add), number("remove", remove))
	return err
}

// queues is how many queues a topic shall have in each of some broker groups; 0: as many as it has.
type queues struct {
	Read, Write int32
	Grow        bool // refuses less than there is
	Groups      []string
}

// topic changes the queues of a topic, one broker group after the other. Where it does not exist it is made with the settings that it
// has elsewhere. It says where it was done; repeating it does no harm.
func (a *admin) topic(name string, q queues) (done []string, err error) {
	all, err := a.groups(nil)
	if err != nil {
		return nil, err
	}
	chosen, err := a.groups(q.Groups)
	if err != nil {
		return nil, err
	}
	has, source, err := settings(all, name)
	if err != nil {
		return nil, err
	}
	if source == "" { // a name that is misspelt makes no topic
		return nil, &refused{service.CodeTopicNotExist, fmt.Sprintf("no broker group has a topic %s", name)}
	}
	for i := range chosen {
		g := &chosen[i]
		t, there := has[g.Name]
		if !there {
			if t = has[source]; t.Name == "" {
				t = catalog.NewTopic(name, 0)
			}
			if err := a.copyGroups(all, source, g); err != nil {
				return done, fmt.Errorf("%s: %w", g.Name, err)
			}
		}
		if q.Grow && there && (q.Read < t.ReadQueues || q.Write < t.WriteQueues) {
			return done, &refused{service.CodeInvalidParameter, fmt.Sprintf("topic %s has %d read and %d write queues in %s: %d is not more", name, t.ReadQueues, t.WriteQueues, g.Name, q.Write)}
		}
		if err := putTopic(g, t, q); err != nil {
			return done, fmt.Errorf("%s: %w (changed before: %d of %d broker groups)", g.Name, err, len(done), len(chosen))
		}
		done = append(done, g.Name)
	}
	return done, nil
}

// settings of a topic in the groups that have it, and one of those.
func settings(all []inspect.BrokerGroup, name string) (has map[string]catalog.Topic, source string, err error) {
	has = map[string]catalog.Topic{}
	for i := range all {
		b, err := askGroup(&all[i], wire.TopicConfig, nil, rpc.Field{Name: "topic", Value: name})
		var r *refused
		if errors.As(err, &r) && r.code == service.CodeTopicNotExist {
			continue
		}
		var t catalog.Topic
		if err == nil {
			err = json.Unmarshal(b, &t)
		}
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", all[i].Name, err)
		}
		has[all[i].Name], source = t, all[i].Name
	}
	return has, source, nil
}

func putTopic(g *inspect.BrokerGroup, t catalog.Topic, q queues) error {
	if q.Read != 0 {
		t.ReadQueues = q.Read
	}
	if q.Write != 0 {
		t.WriteQueues = q.Write
	}
	var attributes []string
	for k, v := range t.Attributes {
		attributes = append(attributes, "+"+k+"="+v)
	}
	field := func(name string, n int32) rpc.Field { return rpc.Field{Name: name, Value: strconv.Itoa(int(n))} }
	_, err := askGroup(g, wire.UpdateTopic, nil, rpc.Field{Name: "topic", Value: t.Name}, rpc.Field{Name: "defaultTopic", Value: service.DefaultTopic},
		field("readQueueNums", t.ReadQueues), field("writeQueueNums", t.WriteQueues), field("perm", t.Perm), field("topicSysFlag", t.SysFlag),
		rpc.Field{Name: "topicFilterType", Value: t.FilterType}, rpc.Field{Name: "order", Value: strconv.FormatBool(t.Order)},
		rpc.Field{Name: "attributes", Value: strings.Join(attributes, ",")}, rpc.Field{Name: "_ctrlChecked", Value: "true"})
	return err
}

// copyGroups gives a broker group the consumer groups' settings that another one has: its consumers must be known there, with the same
// limits, when messages come.
func (a *admin) copyGroups(all []inspect.BrokerGroup, source string, to *inspect.BrokerGroup) error {
	i := slices.IndexFunc(all, func(g inspect.BrokerGroup) bool { return g.Name == source })
	if i < 0 {
		return nil
	}
	from, err := groupConfigs(&all[i])
	if err != nil {
		return err
	}
	there, err := groupConfigs(to)
	if err != nil {
		return err
	}
	for name, body := range from {
		if _, ok := there[name]; ok {
			continue
		}
		if _, err := askGroup(to, wire.UpdateGroup, body); err != nil {
			return err
		}
	}
	return nil
}

func groupConfigs(g *inspect.BrokerGroup) (map[string]json.RawMessage, error) {
	b, err := askGroup(g, wire.AllGroupConfig, nil)
	if err != nil {
		return nil, err
	}
	var all struct {
		Table map[string]json.RawMessage `json:"subscriptionGroupTable"`
	}
	err = json.Unmarshal(b, &all)
	return all.Table, err
}
