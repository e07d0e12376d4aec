package echo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// serve starts an echo service over TLS on loopback.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// trusting returns a transport from an address of this machine that trusts the
// services.
func trusting(t *testing.T, local string, services ...*httptest.Server) *http.Transport {
	t.Helper()
	roots := x509.NewCertPool()
	for _, s := range services {
		roots.AddCert(s.Certificate())
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	transport := &http.Transport{
		DialContext:       dialer.DialContext,
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// source answers with the address that the request really came from.
func source(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, netip.MustParseAddrPort(r.RemoteAddr).Addr())
}

func says(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, body)
	}
}

func TestAskSendsOnePlainRequest(t *testing.T) {
	requests := make(chan *http.Request, 10)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests <- r
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		source(w, r)
	})
	transport := trusting(t, "127.0.0.1", s)
	for range 2 {
		got, err := Ask(t.Context(), transport, s.URL+"/ip?format=json")
		if err != nil || got.String() != "127.0.0.1" {
			t.Fatalf("got %s, %v", got, err)
		}
	}
	for range 2 {
		r := <-requests
		if r.Method != http.MethodGet || r.RequestURI != "/ip?format=json" || r.ContentLength != 0 {
			t.Errorf("the service received %s %s with %d bytes", r.Method, r.RequestURI, r.ContentLength)
		}
		for name, want := range map[string]string{
			"Accept":          "application/json, text/plain;q=0.9",
			"Accept-Encoding": "identity",
			"Cache-Control":   "no-cache",
			"User-Agent":      "jiragate",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
			r.Header.Del(name)
		}
		r.Header.Del("Connection")
		if len(r.Header) > 0 {
			t.Errorf("the service also received %v", r.Header)
		}
	}
	if len(requests) > 0 {
		t.Errorf("%d requests more than questions", len(requests))
	}
}

// closeNoter tells when a connection is closed.
type closeNoter struct {
	net.Conn
	close func() error
}

func (c *closeNoter) Close() error { return c.close() }

// TestAskKeepsNoConnection: each question opens its own, which nothing keeps
// open afterwards, over HTTP/1.1 and HTTP/2.
func TestAskKeepsNoConnection(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", http2), func(t *testing.T) {
			protocols := make(chan int, 2)
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				protocols <- r.ProtoMajor
				source(w, r)
			})
			transport := trusting(t, "127.0.0.1", s)
			transport.ForceAttemptHTTP2 = http2
			closed := make(chan struct{}, 2)
			dial := transport.DialContext
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &closeNoter{conn, sync.OnceValue(func() error {
					closed <- struct{}{}
					return conn.Close()
				})}, nil
			}
			for range 2 {
				if _, err := Ask(t.Context(), transport, s.URL); err != nil {
					t.Fatal(err)
				}
				if (<-protocols == 2) != http2 {
					t.Error("the service was asked in the other protocol")
				}
				<-closed // or the test never ends
			}
		})
	}
}

func TestAskRefuses(t *testing.T) {
	elsewhere := serve(t, says("text/plain", "203.0.113.7"))
	tests := []struct {
		name    string
		handler http.HandlerFunc
		message string
	}{
		{"a redirect to a login page", http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP, "it answered 302, a redirect, which is not followed"},
		{"a permanent redirect", http.RedirectHandler("/ip", http.StatusPermanentRedirect).ServeHTTP, "it answered 308"},
		{"a login page", says("text/html", "<html><form>203.0.113.7 "+strings.Repeat("<b>", 1000)), "captive portal"},
		{"too much", says("text/plain", "203.0.113.7"+strings.Repeat(" ", maxBody)), "longer than 65536"},
		{"without end", func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := io.WriteString(w, strings.Repeat("1", 4096)); err != nil {
					return
				}
			}
		}, "longer than 65536"},
		{"an error with an address in it", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "203.0.113.7", http.StatusTooManyRequests)
		}, "it answered 429 Too Many Requests instead of 200"},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "it answered 204"},
		{"another success", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, "203.0.113.7")
		}, "it answered 202"},
		{"an answer that ends too early", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "203.0.113.7")
		}, "read its answer"},
		{"compressed, although not asked for", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "\x1f\x8b\x08\x00\x00\x00\x00\x00")
		}, "not an address"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, test.handler)
			got, err := Ask(t.Context(), trusting(t, "127.0.0.1", s, elsewhere), s.URL+"/ip?key=hunter2")
			if err == nil || got.IsValid() {
				t.Fatalf("got %s, %v", got, err)
			}
			if !strings.HasPrefix(err.Error(), "ask "+s.URL+"/ip: ") || !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %q does not contain %q", err, test.message)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q contains the key", err)
			}
			checkMessage(t, err)
		})
	}
}

func TestAskTrustsNobodyElse(t *testing.T) {
	s, portal := serve(t, source), serve(t, source)
	transport := trusting(t, "127.0.0.1") // no roots
	if _, err := Ask(t.Context(), transport, portal.URL); !errors.As(err, new(*tls.CertificateVerificationError)) {
		t.Errorf("got %v", err)
	}
	for _, service := range []string{"", "http://203.0.113.7/", "https://user:hunter2@a.example/"} {
		if _, err := Ask(t.Context(), transport, service); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v", service, err)
		}
	}
	if _, err := Ask(t.Context(), nil, s.URL); err == nil {
		t.Error("asked through nothing")
	}
}

func TestAskWhenTheServiceIsDown(t *testing.T) {
	s := serve(t, source)
	s.Close()
	if _, err := Ask(t.Context(), trusting(t, "127.0.0.1"), s.URL); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}

// TestAskOfWhatIsNotHTTP: net/http's error repeats the whole line; ours doesn't.
func TestAskOfWhatIsNotHTTP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	serving.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, strings.Repeat("\u202e203.0.113.7\x1b", 2000)+"\r\n\r\n")
	})
	_, err = Ask(t.Context(), trusting(t, "127.0.0.1"), "http://"+listener.Addr().String())
	if err == nil {
		t.Fatal("got an address")
	}
	checkMessage(t, err)
}

// TestAskOfAHostileTransport: what another transport's error repeats as it came
// changes no terminal, and can still be told apart.
func TestAskOfAHostileTransport(t *testing.T) {
	_, err := Ask(t.Context(), roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("\x1b[2J\u202e\n\xff: %w", io.ErrUnexpectedEOF)
	}), "https://a.example/")
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	checkMessage(t, err)
}

// roundTripper is a transport that is a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// silent never answers.
func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// inMemory returns a transport whose every connection leads to a server of h,
// without a network.
func inMemory(t *testing.T, h http.HandlerFunc) *http.Transport {
	connections := make(listener)
	server := &http.Server{Handler: h}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(connections) })
	t.Cleanup(func() { server.Close(); serving.Wait() })
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		client, served := net.Pipe()
		connections <- served
		return client, nil
	}}
}

type listener chan net.Conn

func (l listener) Accept() (net.Conn, error) {
	if conn, ok := <-l; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (l listener) Close() error   { close(l); return nil }
func (l listener) Addr() net.Addr { return &net.TCPAddr{} }

func TestAskTakesTenSecondsAtMost(t *testing.T) {
	drip := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
		}
	}
	tests := map[string]func(*testing.T) http.RoundTripper{
		"silent":            func(*testing.T) http.RoundTripper { return roundTripper(silent) },
		"one byte a second": func(t *testing.T) http.RoundTripper { return inMemory(t, drip) },
	}
	for name, transport := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				through, started := transport(t), time.Now()
				_, err := Ask(t.Context(), through, "http://127.0.0.1/")
				if took := time.Since(started); took != askTimeout {
					t.Errorf("it took %s", took)
				}
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no whole answer within 10s") {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		_, err := Ask(ctx, roundTripper(silent), "http://127.0.0.1/")
		if took := time.Since(started); took != time.Second || !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "within 10s") {
			t.Errorf("got %v after %s", err, took)
		}
	})
}
