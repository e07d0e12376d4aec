package gateway

import (
	"context"
	"io"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// pieces gives a piece after each wait, as a slow upstream does.
type pieces struct {
	waits    []time.Duration
	deadline time.Time
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.waits) == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(p.waits[0]):
	case <-time.After(time.Until(p.deadline)):
		return 0, os.ErrDeadlineExceeded
	}
	p.waits = p.waits[1:]
	return copy(b, "x"), nil
}

func (p *pieces) SetReadDeadline(t time.Time) { p.deadline = t }

func (p *pieces) EndWith(context.Context) {}

func (p *pieces) Close() error { return nil }

// Jira may pause for upstreamIdleTimeout within an answer, each time anew; how
// long the client takes for a piece is not counted to it.
func TestPausesWithinAnAnswer(t *testing.T) {
	const short, long = upstreamIdleTimeout * 2 / 3, upstreamIdleTimeout + time.Second
	for _, tt := range []struct {
		name     string
		upstream []time.Duration
		client   time.Duration
		cut      bool
	}{
		{"many short pauses", []time.Duration{short, short, short}, 0, false},
		{"short pauses, slow client", []time.Duration{short, short}, short, false},
		{"a client slower than the limit", []time.Duration{0, 0}, long, false},
		{"one long pause", []time.Duration{short, long}, 0, true},
		{"an answer without end", slices.Repeat([]time.Duration{short}, int(maxCallTime/short)+1), 0, true},
		{"as long as a call may take", slices.Repeat([]time.Duration{short}, int(maxCallTime/short)-1), 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end := time.Now().Add(maxCallTime)
				body := &pacedBody{&pieces{waits: tt.upstream}, end, new(Call)}
				defer body.Close()
				var err error
				for b := make([]byte, 1); err == nil; time.Sleep(tt.client) {
					_, err = body.Read(b)
				}
				if cut := err != io.EOF; cut != tt.cut || time.Now().After(end) {
					t.Errorf("ended with %v, %s before the call's end", err, time.Until(end))
				}
			})
		})
	}
}
