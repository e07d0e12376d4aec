package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"jiragate/tokenstore/secret"
)

// serveTLS puts a receiver behind TLS on this machine, and returns its URL and
// the way to it.
func serveTLS(t *testing.T, h http.Handler, change ...func(*httptest.Server)) (string, *http.Transport) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, c := range change {
		c(server)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server.URL + "/hooks?token=" + mark, NewTransport(roots)
}

// deliverTo makes one attempt to deliver to url.
func deliverTo(t *testing.T, url string, way http.RoundTripper, s secret.Secret) outcome {
	t.Helper()
	n, err := New(Options{Store: newMemory(), URL: url, Secret: s, Transport: way, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	defer n.closeIdle()
	c := tokenConnection()
	return n.deliver(t.Context(), news{connection: &c})
}

// TestSigned: what comes over the wire verifies, with one secret and with two.
func TestSigned(t *testing.T) {
	for name, s := range map[string]secret.Secret{
		"one": NewSecret(),
		"two": secret.New(NewSecret().Reveal() + "\n" + NewSecret().Reveal() + "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			p := newReceiver(t)
			p.secret = s
			p.set(func(w http.ResponseWriter, r *http.Request, _ attempt) {
				if r.TLS == nil || r.ProtoMajor != 2 || r.URL.RequestURI() != "/hooks?token="+mark {
					t.Errorf("it came by %s to %s", r.Proto, r.URL.RequestURI())
				}
				if got := len(strings.Fields(r.Header.Get("webhook-signature"))); got != len(strings.Fields(s.Reveal())) {
					t.Errorf("%d signatures", got)
				}
			})
			url, way := serveTLS(t, p)
			if o := deliverTo(t, url, way, s); o.verdict != delivered || o.status != 200 {
				t.Errorf("got %+v", o)
			}
			p.wantStates(t, "acme needs_reauthorisation")
		})
	}
}

// TestProxiesAreNotUsed: the environment of the gateway may name one, and a
// webhook is nothing for it.
func TestProxiesAreNotUsed(t *testing.T) {
	if NewTransport(nil).Proxy != nil {
		t.Error("it uses a proxy")
	}
}

func TestAnswers(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		for block := make([]byte, 64<<10); ; {
			if _, err := w.Write(block); err != nil || r.Context().Err() != nil {
				return
			}
		}
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	for _, test := range []struct {
		name    string
		answer  http.HandlerFunc
		verdict verdict
		status  int
		problem string
	}{
		{"200 with an endless body", endless, delivered, 200, ""},
		{"500 with an endless body", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			endless(w, r)
		}, refused, 500, ""},
		{"202", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) }, delivered, 202, ""},
		{"200 cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, delivered, 200, ""},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, failed, 307, "redirects"},
		{"redirect to GET", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, failed, 302, "redirects"},
		{"304", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, failed, 304, "redirects"},
		{"408", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(408) }, failed, 408, ""},
		{"410", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, failed, 410, "no more webhooks"},
		{"422", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(422) }, refused, 422, ""},
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, refused, 500, ""},
		{"599", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) }, failed, 599, ""},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, failed, 0, "broke off"},
		{"endless header", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat(mark, maxAnswerHead))
		}, failed, 0, "broke off"},
	} {
		for _, h2 := range []bool{false, true} {
			t.Run(test.name+map[bool]string{false: " HTTP/1.1", true: " HTTP/2"}[h2], func(t *testing.T) {
				url, way := serveTLS(t, test.answer, func(s *httptest.Server) { s.EnableHTTP2 = h2 })
				o := deliverTo(t, url, way, NewSecret())
				if o.verdict != test.verdict || o.status != test.status || !strings.Contains(o.problem, test.problem) || test.problem == "" && o.problem != "" {
					t.Errorf("got %s, status %d, %q", o.verdict, o.status, o.problem)
				}
			})
		}
	}
}

// TestNoWay: what keeps a message from being sent at all is told in words of our
// own.
func TestNoWay(t *testing.T) {
	ignored := func(http.ResponseWriter, *http.Request) { t.Error("it was sent") }
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "https://" + listener.Addr().String()
	listener.Close()

	old := func(s *httptest.Server) { s.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} }
	url, _ := serveTLS(t, http.HandlerFunc(ignored))
	oldURL, oldWay := serveTLS(t, http.HandlerFunc(ignored), old)
	plain := httptest.NewServer(http.HandlerFunc(ignored))
	t.Cleanup(plain.Close)
	for _, test := range []struct {
		name, url, problem string
		way                http.RoundTripper
	}{
		{"nobody listens", closed, "can't be connected to", NewTransport(nil)},
		{"unknown authority", url, "certificate", NewTransport(nil)},
		{"TLS 1.1", oldURL, "TLS handshake", oldWay},
		{"no TLS", "https" + strings.TrimPrefix(plain.URL, "http"), "TLS handshake", NewTransport(nil)},
		{"no HTTP", nonsense(t), "no HTTP", NewTransport(nil)},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := deliverTo(t, test.url, test.way, NewSecret())
			if o.verdict != failed || o.status != 0 || !strings.Contains(o.problem, test.problem) {
				t.Errorf("got %s, status %d, %q", o.verdict, o.status, o.problem)
			}
		})
	}
	for err, want := range map[error]string{
		&net.DNSError{Err: mark, Name: mark, IsNotFound: true}: "its name can't be resolved",
		context.DeadlineExceeded:                               "there was no answer in time",
		errRefusedConnection:                                   "the connection broke off, or the answer was no HTTP",
	} {
		if got := problemOf(err); got != want {
			t.Errorf("%T: %q, want %q", err, got, want)
		}
	}
}

// nonsense answers everything with something else than HTTP, and returns where.
func nonsense(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, mark+" "+mark+"\r\n\r\n")
			conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}

func FuzzParseRetryAfter(f *testing.F) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for _, seed := range []string{"", "120", "-1", "1e9", "99999999999999999999", "Sun, 01 Mar 2026 10:00:05 GMT", "Sun, 01 Mar 1026 10:00:05 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := parseRetryAfter(value, now); d < 0 || d > maxRetryAfter {
			t.Errorf("%q: %v", value, d)
		}
	})
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-1": 0, "120": 2 * time.Minute, "86400": time.Hour,
		"Sun, 01 Mar 2026 10:00:05 GMT": 5 * time.Second, "Sun, 01 Mar 2026 09:00:05 GMT": 0, "Mon, 02 Mar 2026 10:00:00 GMT": time.Hour,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
