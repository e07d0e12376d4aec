package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// speaking is a server that speaks HTTP/2, HTTP/1.1, or the one after the other.
func speaking(t *testing.T, protocols func(handshake int64) []string, adjust ...func(*http.Server)) (*httptest.Server, *client, *server, *atomic.Int64) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Proto+" "+string(b))
	}))
	server.EnableHTTP2 = true
	for _, a := range adjust {
		a(server.Config)
	}
	var handshakes atomic.Int64
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}}
	server.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: protocols(handshakes.Add(1))}, nil
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	s := newServer(t, nil)
	return server, s.client(func(o *Options) {
		o.Dial = func(_ context.Context, network, _ string) (net.Conn, error) {
			s.opened()
			c, err := net.Dial(network, server.Listener.Addr().String())
			return &counted{Conn: c, s: s}, err
		}
	}), s, &handshakes
}

func only(protocol string) func(int64) []string {
	return func(int64) []string { return []string{protocol} }
}

// Calls that come at once share one socket where the server speaks HTTP/2, and have
// one each, up to the bound, where it doesn't.
func TestFirstCallsAtOnce(t *testing.T) {
	for _, tt := range []struct {
		protocol, want string
		sockets        int64
	}{{"h2", "HTTP/2.0 x", 1}, {"http/1.1", "HTTP/1.1 x", 4}} {
		t.Run(tt.protocol, func(t *testing.T) {
			_, client, _, handshakes := speaking(t, only(tt.protocol))
			for range 3 { // the second time it is known, and there is no connection
				handshakes.Store(0)
				var calls sync.WaitGroup
				for range 50 {
					calls.Go(func() {
						if _, body, err := client.call("POST", "x"); err != nil || body != tt.want {
							t.Errorf("%q, %v", body, err)
						}
					})
				}
				calls.Wait()
				if n := handshakes.Load(); n > tt.sockets {
					t.Errorf("%d sockets", n)
				}
				client.CloseIdleConnections()
			}
		})
	}
}

// A server may speak another protocol from one handshake to the next. No call is lost by
// that, and no body.
func TestProtocolChanges(t *testing.T) {
	for name, protocols := range map[string]func(int64) []string{
		"HTTP/1.1, then HTTP/2":  func(n int64) []string { return []string{[]string{"http/1.1", "h2"}[min(n-1, 1)]} },
		"HTTP/2, then HTTP/1.1":  func(n int64) []string { return []string{[]string{"h2", "http/1.1"}[min(n-1, 1)]} },
		"the one and the other":  func(n int64) []string { return []string{[]string{"h2", "http/1.1"}[n%2]} },
		"none that is agreed on": func(int64) []string { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			_, client, _, _ := speaking(t, protocols)
			for range 5 {
				var calls sync.WaitGroup
				for range 10 {
					calls.Go(func() {
						if status, body, err := client.call("POST", "x"); err != nil || status != 200 || body[len(body)-2:] != " x" {
							t.Errorf("%d %q, %v", status, body, err)
						}
					})
				}
				calls.Wait()
				client.CloseIdleConnections()
			}
		})
	}
}

// The socket that a call goes by is told, as it was dialled, whatever is spoken on it.
func TestGot(t *testing.T) {
	for _, protocol := range []string{"h2", "http/1.1"} {
		_, client, _, _ := speaking(t, only(protocol))
		for range 2 {
			var got net.Conn
			response, err := client.RoundTrip(t.Context(), request(t, "GET", ""), func(c net.Conn) { got = c })
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if _, ok := got.(*counted); !ok {
				t.Errorf("%s: got %T", protocol, got)
			}
		}
		client.CloseIdleConnections()
	}
}

// All streams of one socket taken, there are others, up to the bound.
func TestStreamsBeyondOneSocket(t *testing.T) {
	server, client, s, _ := speaking(t, only("h2"))
	release := make(chan struct{})
	var waiting atomic.Int64
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		waiting.Add(1)
		<-release
	})
	var calls sync.WaitGroup
	for range 300 { // net/http's server takes 250 streams of a connection
		calls.Go(func() {
			if status, _, err := client.call("GET", ""); err != nil || status != 200 {
				t.Errorf("%d, %v", status, err)
			}
		})
	}
	for waiting.Load() < 300 {
		if t.Failed() {
			break
		}
	}
	close(release)
	calls.Wait()
	if n := s.most.Load(); n < 2 || n > 4 {
		t.Errorf("%d sockets", n)
	}
}

// A call that finds no stream has that of the next call that ends.
func TestWaitingForAStream(t *testing.T) {
	server, client, s, _ := speaking(t, only("h2"))
	client.options.MaxConns = 1
	entered, release := make(chan struct{}), make(chan struct{})
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" {
			entered <- struct{}{}
			<-release
		}
	})
	if _, _, err := client.call("GET", ""); err != nil { // until the server has said how many it takes, it is 100
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for range 250 { // all that net/http's server takes
		calls.Go(func() {
			if status, _, err := client.call("PUT", ""); err != nil || status != 200 {
				t.Errorf("%d, %v", status, err)
			}
		})
	}
	for range 250 {
		<-entered
	}
	calls.Go(func() {
		if status, _, err := client.call("GET", ""); err != nil || status != 200 {
			t.Errorf("%d, %v", status, err)
		}
	})
	for waiting := 0; waiting == 0; {
		p := client.pool.Load()
		p.mu.Lock()
		waiting = p.waiters.Len()
		p.mu.Unlock()
	}
	close(release)
	calls.Wait()
	if n := s.most.Load(); n != 1 {
		t.Errorf("%d sockets", n)
	}
}

// A server that takes nothing more of a request is given up in the time that it has for
// its answer. One that takes it slowly is not, nor is one that has answered.
func TestServersThatTakeNothing(t *testing.T) {
	const patience = time.Second
	for name, tt := range map[string]struct {
		take  func(w http.ResponseWriter, r *http.Request, given <-chan struct{})
		fails error
	}{
		"nothing":           {take: func(_ http.ResponseWriter, _ *http.Request, given <-chan struct{}) { <-given }, fails: os.ErrDeadlineExceeded},
		"all of it, slowly": {take: func(_ http.ResponseWriter, r *http.Request, _ <-chan struct{}) { slowly(r.Body, patience/8) }},
		"the rest after its answer": {take: func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
			_ = http.NewResponseController(w).Flush()
			time.Sleep(patience * 3 / 2)
			slowly(r.Body, 0)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given := make(chan struct{})
			server, client, _, _ := speaking(t, only("h2"), func(s *http.Server) {
				s.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10, MaxReadFrameSize: 16 << 10}
				s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tt.take(w, r, given) })
			})
			defer server.Close()
			defer close(given)
			client.options.HeaderTimeout = patience
			status, _, err := client.call("POST", strings.Repeat("x", 640<<10))
			if !errors.Is(err, tt.fails) || err == nil && status != 200 {
				t.Errorf("%d, %v", status, err)
			}
		})
	}
}

// An answer that stalls ends when its time is over, or its client leaves, though the server
// has not taken all of the request.
func TestAnswersBeforeTheRequestIsTaken(t *testing.T) {
	for name, end := range map[string]func(Body, func()){
		"time is over":      func(b Body, _ func()) { b.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) },
		"the client leaves": func(_ Body, leave func()) { time.AfterFunc(50*time.Millisecond, leave) },
	} {
		t.Run(name, func(t *testing.T) {
			given := make(chan struct{})
			server, client, _, _ := speaking(t, only("h2"), func(s *http.Server) {
				s.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10, MaxReadFrameSize: 16 << 10}
				s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_ = http.NewResponseController(w).Flush()
					<-given
				})
			})
			defer server.Close()
			defer close(given)
			response, err := client.send(t.Context(), "POST", strings.Repeat("x", 640<<10))
			if err != nil {
				t.Fatal(err)
			}
			body := response.Body.(Body)
			defer body.Close()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			body.EndWith(ctx)
			end(body, leave)
			if n, err := body.Read(make([]byte, 10)); n != 0 || !errors.Is(err, context.Canceled) {
				t.Errorf("read %d bytes, %v", n, err)
			}
		})
	}
}

// slowly reads a body, a receive buffer at a time.
func slowly(body io.Reader, pause time.Duration) {
	for {
		time.Sleep(pause)
		if n, _ := io.CopyN(io.Discard, body, 64<<10); n == 0 {
			return
		}
	}
}
