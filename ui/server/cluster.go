package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/ui/api"
)

// Cluster changes the cluster. What it refuses has a method ResponseCode, RocketMQ's code.
type Cluster interface {
	Cluster() inspect.Cluster
	Change(c inspect.ClusterChange) error
	MoveLeader(group string, member uint64) error
	ChangeMembers(group string, add, remove uint64) error
	// ChangeQueues gives the broker groups in which it was done, also with an error.
	ChangeQueues(topic string, q api.QueuesChange) ([]string, error)
}

const changeBytesMax = 256 << 10 // of a change's body: a thousand queues to be reset

func (s *Server) cluster(c echo.Context) error {
	if s.o.Cluster == nil {
		return s.json(c, inspect.Cluster{Groups: s.o.Broker.InspectNode().Groups})
	}
	return s.json(c, s.o.Cluster.Cluster())
}

// changes are the endpoints that change something.
func (s *Server) changes(v1 *echo.Group) {
	all := map[string]echo.HandlerFunc{
		"/cluster/groups": s.addGroup, "/cluster/groups/:group/leader": s.moveLeader, "/cluster/groups/:group/members": s.changeMembers,
		"/cluster/nodes/:node/drain": s.drain, "/cluster/nodes/:node/undrain": s.undrain, "/topics/:topic/queues": s.changeQueues,
	}
	maps.Copy(all, s.acts())
	for path, h := range all {
		s.posts = append(s.posts, "/api/v1"+path)
		v1.POST(path, s.told(h))
	}
}

// changeBody reads what a change asks for. A page of another origin cannot send this media type without asking first, which nobody allows.
func (s *Server) changeBody(c echo.Context, into any) error {
	if why := s.noChanges(); why != "" {
		return changesNothing(why)
	}
	media, _, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return &problem{Status: http.StatusUnsupportedMediaType, Title: "the body is no JSON", Detail: fmt.Sprintf("Content-Type %q; possible: application/json", clip(c.Request().Header.Get("Content-Type"))), Next: "send JSON"}
	}
	d := json.NewDecoder(http.MaxBytesReader(c.Response(), c.Request().Body, changeBytesMax))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return &problem{Status: http.StatusBadRequest, Title: "the body cannot be read", Detail: fmt.Sprintf("%s; at most %d bytes are possible", clip(err.Error()), changeBytesMax), Next: "correct the body"}
	}
	return nil
}

func changesNothing(why string) error {
	return &problem{Status: http.StatusForbidden, Title: "this console changes nothing", Detail: why, Next: "use the command line, or see console.actions and console.allowChanges"}
}

// clusterBody is changeBody for what changes the cluster.
func (s *Server) clusterBody(c echo.Context, into any) error {
	if s.o.Cluster == nil && s.o.NoChanges == "" {
		return changesNothing("it has no broker to change")
	}
	err := s.changeBody(c, into)
	if err == nil {
		s.o.Log.Info("console: a change of the cluster is asked for", "id", idOf(c.Request()), "path", clip(c.Request().URL.Path), "by", by(c))
	}
	return err
}

// changed answers a change.
func (s *Server) changed(c echo.Context, groups []string, err error) error {
	var refused interface{ ResponseCode() int }
	switch {
	case err == nil:
		return s.json(c, api.Changed{Groups: groups})
	case errors.As(err, &refused):
		status := http.StatusConflict
		if refused.ResponseCode() == responseInvalid {
			status = http.StatusBadRequest
		}
		return &problem{Status: status, Title: "not changed", Detail: clip(err.Error()), Next: "correct it, or try again"}
	}
	return &problem{Status: http.StatusBadGateway, Title: "the outcome is not known", Detail: clip(err.Error()), Next: "try again: what is done already is not done twice", Cause: err}
}

const responseInvalid = 29 // ResponseCode.INVALID_PARAMETER

func (s *Server) addGroup(c echo.Context) error {
	var b api.GroupAdd
	if err := s.clusterBody(c, &b); err != nil {
		return err
	}
	return s.changed(c, []string{b.Name}, s.o.Cluster.Change(inspect.ClusterChange{Kind: inspect.AddGroup, Group: b.Name, Nodes: b.Nodes, Addrs: b.Addresses}))
}

func (s *Server) moveLeader(c echo.Context) error {
	var b api.LeaderMove
	if err := s.clusterBody(c, &b); err != nil {
		return err
	}
	group, err := pathParam(c, "group")
	if err != nil {
		return err
	}
	return s.changed(c, []string{group}, s.o.Cluster.MoveLeader(group, b.Member))
}

func (s *Server) changeMembers(c echo.Context) error {
	var b api.MembersChange
	if err := s.clusterBody(c, &b); err != nil {
		return err
	}
	group, err := pathParam(c, "group")
	if err != nil {
		return err
	}
	return s.changed(c, []string{group}, s.o.Cluster.ChangeMembers(group, b.Add, b.Remove))
}

func (s *Server) drain(c echo.Context) error {
	var b api.Drain
	if err := s.clusterBody(c, &b); err != nil {
		return err
	}
	return s.ofNode(c, inspect.ClusterChange{Kind: inspect.DrainOf, By: b.ReplaceBy})
}

func (s *Server) undrain(c echo.Context) error {
	if err := s.clusterBody(c, &struct{}{}); err != nil {
		return err
	}
	return s.ofNode(c, inspect.ClusterChange{Kind: inspect.Undrain})
}

func (s *Server) ofNode(c echo.Context, change inspect.ClusterChange) error {
	text, err := pathParam(c, "node")
	if err != nil {
		return err
	}
	if change.Node, err = strconv.ParseUint(text, 10, 64); err != nil || change.Node == 0 {
		return badParam("node", text, "a node's id, from 1 on")
	}
	return s.changed(c, nil, s.o.Cluster.Change(change))
}

func (s *Server) changeQueues(c echo.Context) error {
	var b api.QueuesChange
	if err := s.clusterBody(c, &b); err != nil {
		return err
	}
	topic, err := pathParam(c, "topic")
	if err != nil {
		return err
	}
	if b.Read < 0 || b.Write < 0 || b.Read == 0 && b.Write == 0 {
		return badParam("readQueues, writeQueues", fmt.Sprintf("%d, %d", b.Read, b.Write), "numbers from 1 on; 0 leaves one as it is")
	}
	groups, err := s.o.Cluster.ChangeQueues(topic, b)
	return s.changed(c, groups, err)
}
