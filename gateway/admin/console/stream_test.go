package console_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin/signin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
)

// stream is one that a page follows.
type stream struct {
	t     *testing.T
	res   *http.Response
	lines *bufio.Scanner
}

// follow opens one, and waits until it has begun.
func (b *browser) follow(t *testing.T, query string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.URL+"/console/calls/live"+query, nil)
	must(t, err)
	res, err := b.client.Do(r)
	must(t, err)
	t.Cleanup(func() { _ = res.Body.Close() }) // its end is read where it counts
	s := &stream{t, res, bufio.NewScanner(res.Body)}
	if res.StatusCode == http.StatusOK && !s.lines.Scan() {
		t.Fatal("the stream doesn't begin")
	}
	return s
}

// next is the data of the next record, or empty at the end of the stream.
func (s *stream) next() string {
	s.t.Helper()
	for s.lines.Scan() {
		if data, ok := strings.CutPrefix(s.lines.Text(), "data: "); ok {
			return data
		}
	}
	must(s.t, s.lines.Err())
	return ""
}

func aCall(path string) audit.Record {
	return audit.Record{Client: "billing", Connection: "acme", Method: "GET", Path: path, Decision: audit.DecisionAllow, Status: 200}
}

// Calls are seen as they are made, with the header fields that all has.
func TestStream(t *testing.T) {
	h := newHouse(t, setting{})
	b := h.as(t, "viewer")
	s := b.follow(t, "?connection=acme&kind=call")
	if got := s.res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}
	guarded(t, "the stream", answer{s.res, ""}, false)
	h.write(audit.Record{Client: "billing", Connection: "other", Path: "/not-asked-for", Decision: audit.DecisionAllow})
	h.write(aCall("/first\n\ndata: forged"))
	if got := s.next(); !strings.Contains(got, `/first\u000a\u000adata: forged`) {
		t.Errorf("got %q", got)
	}
}

// A stream tells nothing more once the session has ended, in whatever way.
func TestStreamEndsWithTheSession(t *testing.T) {
	for how, end := range map[string]func(h *house, b *browser){
		"signed out":    func(_ *house, b *browser) { b.post(signin.SignOutPath) },
		"not used":      func(h *house, _ *browser) { h.clock.advance(31 * time.Minute) },
		"another's now": func(_ *house, b *browser) { b.signIn("compliance") },
	} {
		h := newHouse(t, setting{})
		b := h.as(t, "viewer")
		s := b.follow(t, "")
		h.write(aCall("/before"))
		if got := s.next(); !strings.Contains(got, "/before") {
			t.Fatalf("%s: got %q", how, got)
		}
		end(h, b)
		h.write(aCall("/after"))
		for got := s.next(); got != ""; got = s.next() {
			if !strings.Contains(got, `"operation":"admin.sign`) { // which may be told before it is so
				t.Errorf("%s: the stream goes on with %q", how, got)
			}
		}
	}
}

// Following calls doesn't keep a session alive in front of which nobody sits.
func TestStreamIsNoUse(t *testing.T) {
	h := newHouse(t, setting{})
	b := h.as(t, "viewer")
	for range 4 {
		h.clock.advance(10 * time.Minute)
		s := b.follow(t, "")
		_ = s.res.Body.Close()
	}
	if a := b.get("/console/"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("still signed in: %s", a.Status)
	}
}

// One person can't take all streams from the others, not even with several sessions.
func TestStreamsAreShared(t *testing.T) {
	h := newHouse(t, setting{})
	greedy, again := h.as(t, "viewer"), h.as(t, "viewer")
	const most = 16
	var open []*stream
	for i := range most {
		b := greedy
		if i%2 == 1 {
			b = again
		}
		s := b.follow(t, "")
		if s.res.StatusCode != http.StatusOK {
			t.Fatalf("stream %d: %s", i, s.res.Status)
		}
		open = append(open, s)
	}
	if 2*most > activity.MaxWatchers {
		t.Error("two people can take all streams")
	}
	for _, b := range []*browser{greedy, again} {
		a := b.get("/console/calls/live")
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("one more: %s", a.Status)
		}
		guarded(t, "one more", a, false)
	}
	other := h.as(t, "compliance")
	s := other.follow(t, "")
	// Whoever doesn't read keeps nobody waiting.
	for range 2000 {
		h.write(aCall("/" + strings.Repeat("x", 1500)))
	}
	if got := s.next(); !strings.Contains(got, "/xxx") {
		t.Errorf("got %q", got)
	}
	_ = open[0].res.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		next := greedy.follow(t, "")
		if next.res.StatusCode == http.StatusOK {
			break
		}
		if _, err := io.Copy(io.Discard, next.res.Body); err != nil || time.Now().After(deadline) {
			t.Fatal("a stream that has ended still counts")
		}
		h.write(aCall("/wake"))
	}
}
