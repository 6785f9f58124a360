package api

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/tracing/trail"
)

// Document is the OpenAPI 3.1 document, as served.
//
//go:embed openapi.json
var Document []byte

type object = map[string]any

// operation is one GET of the API.
type operation struct {
	path, id, summary string
	answer            any
	mediaType         string // default application/json
	query             []string
}

var timeRange = []string{"from", "to"}

var operations = []operation{
	{"/overview", "overview", "State of the broker in one answer", Overview{}, "", nil},
	{"/node", "node", "This process", inspect.Node{}, "", nil},
	{"/trail", "trailStatus", "The trail's own state", trail.Status{}, "", nil},
	{"/topics", "topics", "All topics", Topics{}, "", nil},
	{"/topics/{topic}", "topic", "One topic with its queues", inspect.Topic{}, "", nil},
	{"/groups", "groups", "All consumer groups", Groups{}, "", nil},
	{"/groups/{group}", "group", "One consumer group with its queues and members", inspect.Group{}, "", nil},
	{"/cluster", "cluster", "Nodes, broker groups and changes under way", inspect.Cluster{}, "", nil},
	{"/clients", "clients", "All connections", Clients{}, "", nil},
	{"/clients/{client}", "client", "One client with what it consumes and the settings it was given; without addr, of several with that id the one that was heard last", inspect.ClientDetail{}, "", []string{"addr"}},
	{"/messages", "messages", "Search, newest first; from and to are µs; state is scheduled, fired, cancelled, retried or dead", trail.Matches{}, "", searchParams},
	{"/messages/stream", "messagesStream", "Search, answered line by line as parts of the range are done", Progress{}, "application/x-ndjson", searchParams},
	{"/messages/{id}", "message", "The life of one message, by UNIQ_KEY or offset message id", MessageLife{}, "", nil},
	{"/messages/{id}/body", "messageBody", "Body and properties for display", Body{}, "", []string{"position"}},
	{"/messages/{id}/raw", "messageRaw", "The stored body as an attachment", "", "application/octet-stream", []string{"position"}},
	{"/scheduled", "scheduled", "What is scheduled, next due first; the histogram is of due times", trail.Matches{}, "", []string{"topic", "id", "key", "tag", "limit"}},
	{"/scheduled/next", "scheduledNext", "The scheduled messages that are due next, as the broker has them", inspect.ScheduledList{}, "", []string{"limit"}},
	{"/transactions", "transactions", "Half messages that nobody decided, oldest first, as the broker has them", inspect.TransactionList{}, "", []string{"producerGroup", "topic", "key", "id", "limit"}},
	{"/dead-letters/{group}", "deadLetters", "A group's dead letters as the broker has them, newest first; from and to are µs; state is open or resent", DeadLetters{}, "", append(letterParams, "limit", "before")},
	{"/dead-letters/{group}/export", "exportDeadLetters", "The same as a file; format is csv or jsonl; bodies=1 adds them", "", "application/octet-stream", append(letterParams, "format", "bodies")},
	{"/actions", "actions", "Whether this console changes anything, and why not", Actions{}, "", nil},
	{"/happenings", "happenings", "What happened to the broker and its clients", Happenings{}, "", append(timeRange, "limit")},
	{"/rates", "rates", "Counts and latencies per step of time", Rates{}, "", append(timeRange, "step", "topic", "group")},
	{"/live", "live", "Server-sent events, one tick a second", Tick{}, "text/event-stream", nil},
}

var letterParams = []string{"topic", "tag", "key", "id", "state", "from", "to"}

var searchParams = []string{"topic", "id", "key", "tag", "producerGroup", "client", "group", "state", "from", "to", "limit", "before"}

// Build makes the document from the types.
func Build() ([]byte, error) {
	s := schemas{}
	paths := object{}
	for _, op := range operations {
		paths["/api/v1"+op.path] = object{"get": op.object(s)}
	}
	for _, c := range changes {
		paths["/api/v1"+c.path] = object{"post": c.object(s)}
	}
	b, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info":    object{"title": "Contrail console API", "version": "1", "description": "POST changes something, where the console allows it: with JSON, and from no other origin. Times ending in Micros are µs since the epoch, other times ms."},
		"paths":   paths, "components": object{"schemas": s},
	}, "", "  ")
	return append(b, '\n'), err
}

// change is one POST of the API.
type change struct {
	path, id, summary string
	body, answer      any
}

func (c change) object(s schemas) object {
	o := operation{path: c.path, id: c.id, summary: c.summary, answer: c.answer}.object(s)
	o["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": s.of(reflect.TypeOf(c.body))}}}
	return o
}

func (op operation) object(s schemas) object {
	var params []object
	for part := range strings.SplitSeq(op.path, "/") {
		if strings.HasPrefix(part, "{") {
			params = append(params, object{"name": strings.Trim(part, "{}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	for _, q := range op.query {
		params = append(params, object{"name": q, "in": "query", "schema": object{"type": "string"}})
	}
	media := op.mediaType
	if media == "" {
		media = "application/json"
	}
	o := object{"operationId": op.id, "summary": op.summary, "responses": object{
		"200":     object{"description": "ok", "content": object{media: object{"schema": s.of(reflect.TypeOf(op.answer))}}},
		"default": object{"description": "problem", "content": object{"application/problem+json": object{"schema": s.of(reflect.TypeFor[Problem]())}}},
	}}
	if params != nil {
		o["parameters"] = params
	}
	return o
}

// schemas are the named types met so far.
type schemas map[string]any

func (s schemas) of(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Pointer:
		return object{"anyOf": []object{s.of(t.Elem()), {"type": "null"}}}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.structure(t)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	}
	return object{"type": "integer"}
}

func (s schemas) structure(t reflect.Type) object {
	ref := object{"$ref": "#/components/schemas/" + schemaName(t)}
	if _, ok := s[schemaName(t)]; ok {
		return ref
	}
	properties, required := object{}, []string{}
	s[schemaName(t)] = nil // ends recursion
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		properties[name] = s.of(t.Field(i).Type)
		if options != "omitempty" {
			required = append(required, name)
		}
	}
	s[schemaName(t)] = object{"type": "object", "properties": properties, "required": required}
	return ref
}

// schemaName is the type's name; the trail's own get its prefix where the broker's state has the same.
func schemaName(t reflect.Type) string {
	if strings.HasSuffix(t.PkgPath(), "/trail") {
		return "Trail" + t.Name()
	}
	return t.Name()
}
