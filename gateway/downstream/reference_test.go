package downstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// ours is a server of this package on loopback, with the certificate of net/http's.
func ours(t testing.TB, conf Config, handle http.HandlerFunc) (address string) {
	t.Helper()
	reference := httptest.NewUnstartedServer(nil)
	reference.EnableHTTP2 = true
	reference.StartTLS()
	config := reference.TLS.Clone()
	reference.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	server := New(conf)
	var accepting, open sync.WaitGroup
	var all []net.Conn // a client may keep one that is not idle yet when it closes those
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all = append(all, c)
			if c.(*tls.Conn).Handshake() != nil {
				continue
			}
			open.Add(1)
			if server.Serve(c, nil, handle, open.Done) != nil {
				open.Done()
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		accepting.Wait()
		server.Close()
		for _, c := range all {
			c.Close()
		}
		open.Wait()
	})
	return l.Addr().String()
}

func theirs(t testing.TB, handle http.HandlerFunc) (address string) {
	t.Helper()
	server := httptest.NewUnstartedServer(handle)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// caller calls a server by net/http's client, over HTTP/2.
func caller(t testing.TB, address string) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, ExpectContinueTimeout: 10 * time.Second,
		DialTLSContext: func(_ context.Context, network, _ string) (net.Conn, error) {
			c, err := tls.Dial(network, address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			if err != nil {
				return nil, err
			}
			return c, nil
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// seen is what a handler sees of a request.
func seen(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	delete(r.Header, "Expect") // which net/http has taken away before
	b, _ := json.Marshal(map[string]any{
		"method": r.Method, "url": r.URL.String(), "uri": r.RequestURI, "host": r.Host, "proto": r.Proto, "major": r.ProtoMajor, "minor": r.ProtoMinor,
		"header": r.Header, "length": r.ContentLength, "coding": r.TransferEncoding, "trailer": r.Trailer, "body": string(body), "error": fmt.Sprint(err),
		"none": r.Body == http.NoBody && r.ContentLength > 0,
	})
	return string(b)
}

// Handlers see the same requests as net/http's server would show them, and clients the
// same answers.
func TestLikeNetHTTP(t *testing.T) {
	long := strings.Repeat("0123456789", 30000)
	for _, tt := range []struct {
		name   string
		method string
		path   string
		header http.Header
		body   func() io.Reader
		adjust func(*http.Request)
		answer func(http.ResponseWriter)
	}{
		{name: "GET", method: "GET", path: "/rest/api/2/myself?expand=groups&x=%2F"},
		{name: "fields", method: "GET", path: "/", header: http.Header{"Accept": {"a/b", "c/d"}, "X-Own-Field": {"1"}, "Cookie": {"a=1", "b=2"}, "Te": {"trailers"}}},
		{name: "POST", method: "POST", path: "/a//b/../c", body: func() io.Reader { return strings.NewReader("hello") }},
		{name: "POST of nothing", method: "POST", path: "/", body: func() io.Reader { return http.NoBody }},
		{name: "of no announced length", method: "PUT", path: "/", body: func() io.Reader { return io.MultiReader(strings.NewReader("hello")) }},
		{name: "a long body", method: "POST", path: "/", body: func() io.Reader { return strings.NewReader(long) }},
		{name: "with trailers", method: "POST", path: "/", body: func() io.Reader { return io.MultiReader(strings.NewReader("hello")) },
			adjust: func(r *http.Request) { r.Trailer = http.Header{"X-Sum": {"7"}} }},
		{name: "waiting to send", method: "POST", path: "/", header: http.Header{"Expect": {"100-continue"}}, body: func() io.Reader { return strings.NewReader("hello") }},
		{name: "another host", method: "GET", path: "/", adjust: func(r *http.Request) { r.Host = "acme.example:8443" }},
		{name: "HEAD", method: "HEAD", path: "/"},
		{name: "a long answer", method: "GET", path: "/", answer: func(w http.ResponseWriter) { io.WriteString(w, long) }},
		{name: "a long answer in pieces", method: "GET", path: "/", answer: func(w http.ResponseWriter) {
			for i := range 300 {
				io.WriteString(w, long[i*1000:(i+1)*1000])
				if i%50 == 0 {
					w.(http.Flusher).Flush()
				}
			}
		}},
		{name: "a status", method: "DELETE", path: "/", answer: func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }},
		{name: "not modified", method: "GET", path: "/", answer: func(w http.ResponseWriter) {
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(http.StatusNotModified)
		}},
		{name: "many fields", method: "GET", path: "/", answer: func(w http.ResponseWriter) {
			for i := range 100 {
				w.Header().Add("X-Field", strings.Repeat("~", i*10))
			}
		}},
		{name: "a bad length", method: "GET", path: "/", answer: func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "five")
			io.WriteString(w, "hello")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var saw, answers [2]string
			handler := func(i int) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					saw[i] = seen(r)
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
					if tt.answer != nil {
						tt.answer(w)
					}
				}
			}
			for i, address := range []string{ours(t, config(), handler(0)), theirs(t, handler(1))} {
				var body io.Reader
				if tt.body != nil {
					body = tt.body()
				}
				r, err := http.NewRequest(tt.method, "https://jira.example"+tt.path, body)
				if err != nil {
					t.Fatal(err)
				}
				r.Header = tt.header.Clone()
				if r.Header == nil {
					r.Header = http.Header{}
				}
				if tt.adjust != nil {
					tt.adjust(r)
				}
				response, err := caller(t, address).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				_, err = got.ReadFrom(response.Body)
				response.Body.Close()
				answers[i] = fmt.Sprint(response.Proto, response.Status, response.Header, response.ContentLength, response.Trailer, got.String(), err)
			}
			if saw[0] != saw[1] {
				t.Errorf("our handler saw\n\t%s\nnet/http's\n\t%s", saw[0], saw[1])
			}
			if answers[0] != answers[1] {
				t.Errorf("our client saw\n\t%.500s\nnet/http's\n\t%.500s", answers[0], answers[1])
			}
		})
	}
}
