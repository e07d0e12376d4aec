package admin_test

import (
	"io"
	"log"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/tokenstore/secret"
)

// Whoever guesses the token leaves a trace, and can't fill the log by it.
func TestGuessesLeaveATrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := openStore(t)
		o := options(t, store)
		tr := newTrail(t)
		o.Audit = tr.log
		var log lockedLog
		o.Logger = textLogger(&log)
		h := network(t, o, admin.Guard{Token: secret.New(adminToken)})
		lines := func() []string {
			log.mu.Lock()
			defer log.mu.Unlock()
			if strings.Contains(log.text.String(), "S3cret") {
				t.Error("the log holds a guess")
			}
			var lines []string
			for line := range strings.Lines(log.text.String()) {
				if strings.Contains(line, "admin request refused") {
					lines = append(lines, line)
				}
			}
			return lines
		}
		guess := func() { call(t, h, "GET", "/v1/clients", "", header("Authorization", "Bearer S3cretGuess")) }

		for range 100 {
			guess()
		}
		if got := lines(); len(got) != 1 || !strings.Contains(got[0], "level=WARN") || !strings.Contains(got[0], "addr=192.0.2.1:1234") || !strings.Contains(got[0], "count=1 hint=") {
			t.Errorf("at once: %q", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := lines(); len(got) != 2 || !strings.Contains(got[1], "count=99") {
			t.Errorf("after a second: %q", got)
		}
		time.Sleep(5 * time.Second)
		if got := lines(); len(got) != 2 {
			t.Errorf("when it is quiet: %q", got)
		}
		if all := tr.records(t); len(all) != 1 || all[0].Operation != "admin.refused" || all[0].Decision != audit.DecisionDeny ||
			all[0].Code != admin.CodeUnauthorised || all[0].Status != 401 || all[0].Client != "operator:unknown" || all[0].ClientAddr != "192.0.2.1:1234" || all[0].Path != "/v1/clients" {
			t.Errorf("records %+v", all)
		}
		time.Sleep(54 * time.Second)
		guess() // the sixtieth second has just begun
		if n := len(tr.records(t)); n != 2 {
			t.Errorf("%d records after a minute", n)
		}

		time.Sleep(2 * time.Minute)
		before := len(lines())
		call(t, h, "GET", "/v1/"+strings.Repeat("x", 1000), "", bearer(), host("evil.example"))
		if got := lines()[before:]; len(got) != 1 || !strings.Contains(got[0], "code=forbidden") || len(got[0]) > 400 {
			t.Errorf("a foreign host: %q", got)
		}
		time.Sleep(2 * time.Minute)
		call(t, h, "DELETE", "/v1/clients/x", "", bearer(), header("Origin", "https://evil.example"))
		all := tr.records(t)
		if len(all) != 4 || all[2].Status != 421 || len(all[2].Path) > 140 || all[3].Status != 403 {
			t.Errorf("records %+v", all)
		}
		time.Sleep(2 * time.Minute)
		call(t, h, "GET", "/", "", host("evil.example"))
		call(t, h, "GET", "/v1/clients", "", bearer())
		if n := len(tr.records(t)); n != 4 {
			t.Errorf("%d records", n)
		}
		time.Sleep(2 * time.Second) // until no timer is left
	})
}

// pipes is a listener whose connections are in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (pipes) Close() error   { return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Nobody holds a connection to the listener for long by doing nothing.
func TestIdleConnectionsAreClosed(t *testing.T) {
	for name, tt := range map[string]struct {
		request string
		within  time.Duration
	}{
		"nothing is sent":       {"", 5 * time.Second},
		"half a header is sent": {"GET /healthz HTTP/1.1\r\n", 5 * time.Second},
		"after a request":       {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options(t, nil)
				server := admin.NewServer(local(t, o), discarded)
				listener := make(pipes)
				go func() { _ = server.Serve(listener) }() // until it is closed
				ours, theirs := net.Pipe()
				listener <- theirs
				go func() { _, _ = ours.Write([]byte(tt.request)) }() // may be cut short
				began := time.Now()
				buf := make([]byte, 4096)
				for {
					if _, err := ours.Read(buf); err != nil {
						break
					}
				}
				if d := time.Since(began); d > tt.within {
					t.Errorf("it was closed after %s", d)
				}
				close(listener)
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// discarded takes what servers say of connections.
var discarded = log.New(io.Discard, "", 0)
