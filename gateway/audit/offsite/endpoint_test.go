package offsite

import (
	"bytes"
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
	"strings"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"jiragate/tokenstore/secret"
)

// token is the bearer token of the tests.
const token = mark + "-token=="

// serveTLS puts h behind TLS on this machine.
func serveTLS(t *testing.T, h http.HandlerFunc, change ...func(*httptest.Server)) (string, *x509.CertPool) {
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
	return server.URL + "/" + mark + "?key=" + mark, roots
}

// postTo makes one attempt.
func postTo(t *testing.T, url string, roots *x509.CertPool) error {
	t.Helper()
	c := mustNew(t, url, Options{Roots: roots, Token: secret.New(token)})
	return c.routes[0].way.carry(t.Context(), at(t, 7))
}

func mustNew(t *testing.T, places string, o Options) *Courier {
	t.Helper()
	var err error
	if o.Places, err = ParsePlaces(places); err != nil {
		t.Fatal(err)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPosts(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for _, with := range []string{token, "\n" + token + "\n", ""} {
			t.Run(fmt.Sprintf("HTTP/2 %v, token %q", h2, with), func(t *testing.T) {
				var got []string
				url, roots := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					got = append(got, fmt.Sprint(r.ProtoMajor, " ", r.Method, " ", r.RequestURI, " ", r.Header.Get("Content-Type"), " ", r.Header.Get("User-Agent"), " ", r.Header["Authorization"], " ", string(body)))
				}, func(s *httptest.Server) { s.EnableHTTP2 = h2 })
				c := mustNew(t, url, Options{Roots: roots, Token: secret.New(with)})
				mustCarry(t, c.routes[0].way, at(t, 7))
				authorization := "[]"
				if with != "" {
					authorization = "[Bearer " + token + "]"
				}
				want := fmt.Sprint(map[bool]int{false: 1, true: 2}[h2], " POST /S3cret?key=S3cret text/plain; charset=utf-8 jiragate ", authorization, " ", string(signed(t, 7)))
				if len(got) != 1 || got[0] != want {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			})
		}
	}
}

// At one delivery a minute an old connection would often be gone.
func TestEachDeliveryHasItsOwnConnection(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		from := map[string]bool{}
		url, roots := serveTLS(t, func(_ http.ResponseWriter, r *http.Request) { from[r.RemoteAddr] = true },
			func(s *httptest.Server) { s.EnableHTTP2 = h2 })
		c := mustNew(t, url, Options{Roots: roots})
		for range 2 {
			mustCarry(t, c.routes[0].way, at(t, 7))
		}
		if len(from) != 2 {
			t.Errorf("HTTP/2 %v: two deliveries came from %v", h2, from)
		}
	}
}

func TestPlainHTTPStaysOnThisMachine(t *testing.T) {
	got := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got++ }))
	t.Cleanup(server.Close)
	if err := postTo(t, server.URL, nil); err != nil || got != 1 {
		t.Errorf("%d arrived, %v", got, err)
	}
	for address, want := range map[string]error{
		"127.0.0.1:80": nil, "[::1]:80": nil, "[::ffff:127.0.0.1]:80": nil,
		"10.0.0.1:80": errElsewhere, "[2001:db8::1]:80": errElsewhere, "nonsense": errElsewhere,
	} {
		if err := refuseElsewhere("tcp", address, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The name of a place may lead elsewhere by the time it is dialled. 192.0.2.1 is
// nobody's (RFC 5737), and nothing is sent even there.
func TestPlainHTTPDialsNowhereElse(t *testing.T) {
	c := mustNew(t, "http://localhost/", Options{})
	transport := c.routes[0].way.(*endpoint).transport.(*http.Transport)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // ends a dial that should not be
	defer cancel()
	conn, err := transport.DialContext(ctx, "tcp", "192.0.2.1:9")
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, errElsewhere) {
		t.Errorf("got %v, want %v", err, errElsewhere)
	}
}

// HTTPS_PROXY of the gateway's environment is nothing for a checkpoint.
func TestProxiesAreNotUsed(t *testing.T) {
	if newTransport(Place{}, nil).Proxy != nil {
		t.Error("it uses a proxy")
	}
}

func TestAnswers(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, r.Header.Get("Authorization"))
		}
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		for block := make([]byte, 64<<10); r.Context().Err() == nil; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   string // of the error; empty for delivered
	}{
		{"200", answer(200), ""},
		{"204", answer(204), ""},
		{"299", answer(299), ""},
		{"200 with an endless body", endless, ""},
		{"500 with an endless body", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); endless(w, r) }, "it answers 500"},
		{"redirect", answer(308), "not followed"},
		{"see other", answer(303), "not followed"},
		{"bad request", answer(400), "it answers 400"},
		{"unauthorized", answer(401), "check the token"},
		{"conflict", answer(409), "another checkpoint"},
		{"too many", answer(429), "it answers 429"},
		{"unavailable", answer(503), "it answers 503"},
		{"breaks off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "broke off"},
		{"endless head", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat(mark, maxAnswerHead)) }, "no HTTP"},
	} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", test.name, h2), func(t *testing.T) {
				url, roots := serveTLS(t, test.answer, func(s *httptest.Server) { s.EnableHTTP2 = h2 })
				err := postTo(t, url, roots)
				if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), mark)) {
					t.Errorf("got %v, want %q", err, test.want)
				}
			})
		}
	}
}

// What keeps a checkpoint from being sent at all is said in words of our own.
func TestNoWay(t *testing.T) {
	refuse := func(http.ResponseWriter, *http.Request) { t.Error("it arrived") }
	url, roots := serveTLS(t, refuse)
	old, oldRoots := serveTLS(t, refuse, func(s *httptest.Server) { s.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} })
	plain := httptest.NewServer(http.HandlerFunc(refuse))
	t.Cleanup(plain.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "https://" + listener.Addr().String()
	listener.Close()
	for _, test := range []struct {
		name, url string
		roots     *x509.CertPool
		want      string
	}{
		{"unknown authority", url, x509.NewCertPool(), "certificate can't be verified"},
		{"another name", strings.Replace(url, "127.0.0.1", "localhost", 1), roots, "certificate can't be verified"},
		{"TLS 1.1", old, oldRoots, "TLS failed"},
		{"no TLS", "https" + strings.TrimPrefix(plain.URL, "http"), roots, "TLS failed"},
		{"nobody listens", closed, roots, "can't be connected to"},
	} {
		if err := postTo(t, test.url, test.roots); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), mark) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{&net.DNSError{Err: mark, Name: mark, IsNotFound: true}, "resolved"},
		{fmt.Errorf("%s: %w", mark, context.DeadlineExceeded), "within 10s"},
		{fmt.Errorf("%s: %w", mark, context.Canceled), "given up"},
		{&net.OpError{Op: "dial", Err: errElsewhere}, "another machine"},
	} {
		if got := withoutAnswer(test.err); !strings.Contains(got.Error(), test.want) || strings.Contains(got.Error(), mark) {
			t.Errorf("%v: %v, want %q", test.err, got, test.want)
		}
	}
}

func TestRefusesTokens(t *testing.T) {
	for _, bad := range []string{mark + " " + mark, mark + "\r\nX: y", mark + "é", strings.Repeat(mark, maxToken)} {
		if _, err := New(Options{Token: secret.New(bad)}); err == nil || strings.Contains(err.Error(), mark) {
			t.Errorf("%q: %v", bad[:10], err)
		}
	}
}

// Whatever happens: neither the token nor what is in a URL nor what an endpoint
// says comes out in the log, the status, the metrics, or the Courier's print.
func TestNothingSecretIsWritten(t *testing.T) {
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			all := r.Header.Get("Authorization") + " " + r.RequestURI
			for _, name := range []string{"Location", "Retry-After", "Content-Type", "X-Echo"} {
				w.Header().Set(name, all)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, all)
		}
	}
	malformed := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n", r.Header.Get("Authorization"))
	}
	for name, h := range map[string]http.HandlerFunc{
		"delivered": echo(200), "redirect": echo(302), "refused": echo(403), "conflict": echo(409), "broken": echo(500), "malformed": malformed,
	} {
		t.Run(name, func(t *testing.T) {
			url, roots := serveTLS(t, h, func(s *httptest.Server) { s.EnableHTTP2 = false })
			var written logBuffer
			reader := sdkmetric.NewManualReader()
			c := mustNew(t, url, Options{Roots: roots, Token: secret.New(token), Logger: written.logger(),
				Meter: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")})
			c.Offer(signed(t, 7), 7)
			c.routes[0].attempt(t.Context(), c.newest.Load())
			wantResult := "failed"
			if name == "delivered" {
				wantResult = "delivered"
			}
			var metrics metricdata.ResourceMetrics
			if err := reader.Collect(context.Background(), &metrics); err != nil {
				t.Fatal(err)
			}
			measured := fmt.Sprintf("%+v", metrics)
			status := fmt.Sprintf("%v %+v %#v", c.Status(), c.Status(), c.Status())
			for _, want := range []string{wantResult, "jiragate.place.kind", "endpoint", "jiragate.place.index"} {
				if !strings.Contains(measured, want) {
					t.Errorf("no %s in the metrics %s", want, measured)
				}
			}
			if name != "delivered" && written.count("level=WARN") != 1 {
				t.Errorf("log: %s", written.String())
			}
			all := written.String() + measured + status + fmt.Sprintf("%+v %#v", c.routes[0].way, c.routes[0].way)
			if i := strings.Index(all, mark); i >= 0 {
				t.Errorf("a secret came out: …%s", all[max(0, i-200):i+10])
			}
		})
	}
}

// A Courier as a whole, with all kinds of places at once.
func TestEveryKindOfPlace(t *testing.T) {
	arrived := make(chan []byte, 1)
	url, roots := serveTLS(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- body
	})
	dir := t.TempDir()
	var stdout bytes.Buffer
	c := mustNew(t, dir+",stdout,"+url, Options{Roots: roots, Stdout: &stdout})
	stop := start(t, c)
	c.Offer(signed(t, 7), 7)
	if got := <-arrived; !bytes.Equal(got, signed(t, 7)) {
		t.Errorf("the endpoint got %q", got)
	}
	stop()
	wantFiles(t, dir, map[string]string{at(t, 7).fileName(1): string(signed(t, 7))})
	if !strings.Contains(stdout.String(), `"size":7,`) {
		t.Errorf("standard output: %s", stdout.String())
	}
	for i, s := range c.Status() {
		if s.Size != 7 || s.Problem != "" {
			t.Errorf("place %d: %+v", i, s)
		}
	}
}
