package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// Limits of every request.
const (
	requestTimeout = 20 * time.Second // of what is no stream
	streamTimeout  = 2 * time.Minute  // of a search that streams
	writeTimeout   = 30 * time.Second // for a client to take an answer, or the next piece of a stream
	queryBytesMax  = 4 << 10          // of the query string
	pathBytesMax   = 2 << 10
	loggedMax      = 256 // bytes of a user's text in one field of the log
)

type requestID struct{}

// policy is what the page may load. Mantine sets styles in attributes and makes style elements at run time, which needs
// 'unsafe-inline' for styles (not for scripts: an injected style cannot run code, and nothing outside can be loaded by it).
const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// guard is around every request: an id, headers, limits, and an answer even to a panic.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := strings.ToLower(rand.Text()[:12])
		r = r.WithContext(context.WithValue(r.Context(), requestID{}, id))
		headers(w.Header(), id)
		defer s.recovered(w, r)
		if err := s.admit(r); err != nil {
			s.refuse(w, r, err)
			return
		}
		select {
		case s.serving <- struct{}{}:
			defer func() { <-s.serving }()
		default:
			s.refuse(w, r, &problem{Status: http.StatusServiceUnavailable, Title: "too many requests at a time",
				Detail: "all " + itoa(servingMax) + " places are taken", Next: "try again in a moment"})
			return
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(requestTimeout + writeTimeout))
		next.ServeHTTP(w, r)
	})
}

func headers(h http.Header, id string) {
	h.Set("X-Request-Id", id)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer") // addresses hold message ids and keys
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// admit refuses what no handler needs to see.
func (s *Server) admit(r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && (r.Method != http.MethodPost || !s.posted(r.URL.Path)) {
		return &problem{Status: http.StatusMethodNotAllowed, Title: "only reading is offered", Detail: fmt.Sprintf("method %s; GET and HEAD are possible", clip(r.Method)), Next: "use GET"}
	}
	if n := len(r.URL.RawQuery); n > queryBytesMax {
		return tooLong("the query", n, queryBytesMax)
	}
	if n := len(r.URL.EscapedPath()); n > pathBytesMax {
		return tooLong("the path", n, pathBytesMax)
	}
	if !s.named(r) {
		return &problem{Status: http.StatusMisdirectedRequest, Title: "this console is not known by that name",
			Detail: fmt.Sprintf("host %q", clip(r.Host)), Next: "use the address, or add the name to console.hosts"}
	}
	return nil
}

func tooLong(what string, n, limit int) *problem {
	return &problem{Status: http.StatusRequestURITooLong, Title: what + " is too long", Detail: fmt.Sprintf("%d bytes; at most %d are possible", n, limit), Next: "ask for less"}
}

// named reports whether the request came by a name of this console. An address is always right: a page of another origin
// that reaches us by address is of another origin for the browser. Machines ask by any name, and for less.
func (s *Server) named(r *http.Request) bool {
	switch r.URL.Path {
	case "/metrics", "/healthz", "/readyz":
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(strings.ToLower(strings.TrimSuffix(host, ".")), "[]")
	return s.hosts["*"] || s.hosts[host] || net.ParseIP(host) != nil
}

// fromHere reports whether a request comes from this machine, not through a proxy, and by an own name.
func fromHere(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == ""
}

// recovered answers a panic with an id only; the log has the stack.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.o.Log.Error("console: a request panicked", "id", idOf(r), "path", clip(r.URL.Path), "panic", clip(fmt.Sprint(p)), "stack", string(debug.Stack()))
	s.refuse(w, r, &problem{Status: http.StatusInternalServerError, Title: "the console failed", Detail: "the log has the cause under this request's number", Next: "report it"})
}

func idOf(r *http.Request) string {
	id, _ := r.Context().Value(requestID{}).(string)
	return id
}

// clip bounds what a user's text takes in the log or in an answer. Control characters are the log handler's to escape.
func clip(text string) string {
	if len(text) > loggedMax {
		return strings.ToValidUTF8(text[:loggedMax], "") + "…"
	}
	return strings.ToValidUTF8(text, "?")
}
