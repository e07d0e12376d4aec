package jirasim

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Request is one request as it arrived.
type Request struct {
	Origin     Origin
	Seq        int // 1 for the first request since Start; not reset
	Time       time.Time
	Method     string
	RequestURI string // raw, undecoded
	Host       string
	Header     http.Header
	Trailer    http.Header
	Body       []byte // at most 2 MiB
	RemoteAddr string // ip:port, the egress address of who called
	Proto      string // HTTP/1.1 or HTTP/2.0
	ServerName string // TLS server name (SNI), empty if none was sent

	// The following settle before the first byte of the answer is sent.

	// CredentialAccepted says that the request was authenticated. It stays
	// false where a fault answered instead of Jira.
	CredentialAccepted bool
	Status             int    // of the answer as carried out; 0 while it is not
	Faults             []Kind // the faults that applied

	// Ended says that the simulator is done with the request; Aborted that the
	// client left before it had the whole answer.
	Ended, Aborted bool
}

// Authorization returns the value of the Authorization header field.
func (r Request) Authorization() string { return r.Header.Get("Authorization") }

func (r Request) clone() Request {
	r.Header = r.Header.Clone()
	r.Trailer = r.Trailer.Clone()
	r.Body = slices.Clone(r.Body)
	r.Faults = slices.Clone(r.Faults)
	return r
}

// recorder is a bounded history of requests.
type recorder struct {
	limit int

	mu      sync.Mutex
	seq     int
	kept    []*Request    // oldest first
	changed chan struct{} // closed and replaced at each change
}

func newRecorder(limit int) *recorder {
	return &recorder{limit: limit, changed: make(chan struct{})}
}

func (rec *recorder) arrive(r *Request) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.seq++
	r.Seq = rec.seq
	if len(rec.kept) == rec.limit {
		rec.kept = append(rec.kept[:0], rec.kept[1:]...)
	}
	rec.kept = append(rec.kept, r)
	rec.announce()
}

// update changes a request that has arrived.
func (rec *recorder) update(r *Request, change func(*Request)) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	change(r)
	rec.announce()
}

// count returns how many requests have arrived since Start.
func (rec *recorder) count() int {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.seq
}

func (rec *recorder) announce() {
	close(rec.changed)
	rec.changed = make(chan struct{})
}

// Requests returns the requests that arrived since Start or Reset, oldest
// first, at most [Options.History] of them. They are copies.
func (s *Sim) Requests() []Request {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	out := make([]Request, len(s.record.kept))
	for i, r := range s.record.kept {
		out[i] = r.clone()
	}
	return out
}

// Reset forgets the requests that arrived. Faults, tokens and data stay.
func (s *Sim) Reset() {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	s.record.kept = nil
}

// WaitRequest returns the first request for which match says yes, among those
// that arrived already and those to come. A request is offered when it arrives
// and again whenever it changes, so match may ask for Ended or Aborted. match
// must neither change the request nor call the simulator. The error is ctx's.
func (s *Sim) WaitRequest(ctx context.Context, match func(Request) bool) (Request, error) {
	for {
		s.record.mu.Lock()
		for _, r := range s.record.kept {
			if match(*r) {
				found := r.clone()
				s.record.mu.Unlock()
				return found, nil
			}
		}
		changed := s.record.changed
		s.record.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Request{}, ctx.Err()
		}
	}
}
