package consent_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A program that opens the link again and again doesn't cost the customer the consent
// that is under way.
func TestScannersDisplaceThemselves(t *testing.T) {
	for _, tt := range []struct {
		name   string
		opens  int
		behind bool // everybody comes from the address of a proxy
	}{
		{"another address", 100, false},
		{"behind a proxy", 19, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t)
			h.addCloud(t, "acme", acmeSite)
			link := h.invite(t, "acme")
			b := h.browser()
			state := b.start(t, link)
			for i := range tt.opens {
				h.browser().do(t, http.MethodGet, link, nil, func(r *http.Request) {
					if !tt.behind {
						r.RemoteAddr = fmt.Sprintf("198.51.100.7:%d", 1000+i)
					}
				})
			}
			wantText(t, b.get(t, callback(state)), 200, "Your Jira is connected")
		})
	}
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

// Forms that never end take nobody's place, and are waited for a few seconds.
func TestFormsThatNeverEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.addCloud(t, "acme", acmeSite)
		listener := make(pipes)
		server := &http.Server{Handler: h.flow, ReadTimeout: 30 * time.Second}
		go func() { _ = server.Serve(listener) }() // until it is closed
		const slow = 40
		var conns []net.Conn
		for range slow {
			ours, theirs := net.Pipe()
			conns = append(conns, ours)
			listener <- theirs
			if _, err := io.WriteString(ours, "POST /oauth/site HTTP/1.1\r\nHost: gate.example\r\nSec-Fetch-Site: same-origin\r\n"+
				"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ntoken="); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		h.browser().start(t, h.invite(t, "acme"))

		began := time.Now()
		for _, c := range conns {
			answer, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
				t.Errorf("answer %.40q (%v)", answer, err)
			}
		}
		if d := time.Since(began); d > 6*time.Second {
			t.Errorf("they were waited for %s", d)
		}
		close(listener)
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
}
