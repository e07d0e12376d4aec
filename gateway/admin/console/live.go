package console

import (
	"net/http"
	"sync"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/signin"
)

// maxStreams is how many streams of calls one person may have open, in however many
// sessions: all together can have 64 (activity.MaxWatchers), and nobody should take
// them from the others.
const maxStreams = 16

// streams counts the open ones by person. It is safe for concurrent use.
type streams struct {
	mu   sync.Mutex
	open map[string]int
}

// begin reports whether somebody may have one more; then end must be called.
func (s *streams) begin(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who] >= maxStreams {
		return false
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.open[who]++
	return true
}

func (s *streams) end(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who]--; s.open[who] == 0 {
		delete(s.open, who)
	}
}

// liveCalls hands on the stream of records as they are written, for as long as the
// session lasts.
func liveCalls(v *visit) error {
	who := v.session.Caller.Name
	if !v.streams.begin(who) {
		v.w.Header().Set("Retry-After", "60")
		return &admin.Problem{Status: http.StatusServiceUnavailable, Detail: "you follow the calls in too many windows", Hint: "close some of them"}
	}
	defer v.streams.end(who)
	r := v.r.Clone(admin.WithCaller(v.r.Context(), v.session.Caller))
	r.URL.Path, r.URL.RawPath = at("audit", "records", "stream"), ""
	r.Header = http.Header{"Accept": {"text/event-stream"}}
	v.o.API.ServeHTTP(&sessionWriter{ResponseWriter: v.w, lasts: func() bool {
		_, ok := v.signin.Peek(v.r)
		return ok
	}}, r)
	return nil
}

// sessionWriter writes nothing more when the session has ended. The API writes a beat
// each 15 seconds at least, and ends a stream that fails.
type sessionWriter struct {
	http.ResponseWriter
	lasts func() bool
}

func (w *sessionWriter) Write(b []byte) (int, error) {
	if !w.lasts() {
		return 0, signin.ErrNoSession
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for flushing and for deadlines.
func (w *sessionWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
