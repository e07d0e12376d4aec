package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// pipe serves one end of a connection in memory by handle, and returns the other one.
func pipe(handle http.HandlerFunc) (client net.Conn, x *http1Conn, done chan struct{}) {
	client, server := net.Pipe()
	x = newHTTP1Conn(newFramedConn(server, &origin{tunnel: &tunnel{}}, "marker"), slog.New(slog.DiscardHandler), handle)
	done = make(chan struct{})
	go func() {
		defer close(done)
		x.run(readHeadTimeout)
	}()
	return client, x, done
}

// converse sends input and returns all that comes back until the connection closes.
func converse(t *testing.T, input string, handle http.HandlerFunc) string {
	t.Helper()
	client, _, done := pipe(handle)
	go func() { _, _ = io.WriteString(client, input) }()
	out, err := io.ReadAll(client)
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	<-done
	return string(out)
}

// The head of an answer says truly how it ends, and whether the connection goes on.
func TestAnswersOfTunnels(t *testing.T) {
	const get, last = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	whole := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "hello")
	}
	pieces := func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hel")
		w.(http.Flusher).Flush()
		io.WriteString(w, "lo")
	}
	status := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(n)
			io.WriteString(w, "hello")
		}
	}
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, tt := range map[string]struct {
		in     string
		handle http.HandlerFunc
		want   string
	}{
		"known length":          {last, whole, ok + "Content-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"unknown length":        {last, pieces, ok + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"},
		"two":                   {get + last, whole, ok + "Content-Length: 5\r\n\r\nhello" + ok + "Content-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"HEAD":                  {"HEAD" + last[3:], whole, ok + "Content-Length: 5\r\nConnection: close\r\n\r\n"},
		"HEAD, unknown length":  {"HEAD" + last[3:], pieces, ok + "Connection: close\r\n\r\n"},
		"no content":            {last, status(204), "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"},
		"not modified":          {last, status(304), "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"},
		"nothing":               {last, func(http.ResponseWriter, *http.Request) {}, ok + "Content-Length: 0\r\nConnection: close\r\n\r\n"},
		"1.0":                   {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", whole, ok + "Content-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"1.0, unknown length":   {"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", pieces, ok + "Connection: close\r\n\r\nhello"},
		"1.0, kept, then not":   {"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" + last, whole, ok + "Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello" + ok + "Content-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"closed by the handler": {get + get, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close"); whole(w, r) }, ok + "Content-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"less than promised": {get + get, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "hel")
		}, ok + "Content-Length: 5\r\n\r\nhel"},
		"more than promised": {last, func(w http.ResponseWriter, r *http.Request) {
			whole(w, r)
			if _, err := io.WriteString(w, "!"); !errors.Is(err, http.ErrContentLength) {
				t.Errorf("writing more than was promised: %v", err)
			}
		}, ok + "Content-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"given up": {get + get, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "hel")
			w.(http.Flusher).Flush()
			io.WriteString(w, "lo")
			panic(http.ErrAbortHandler)
		}, ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"},
		"panic before the head": {get + get, func(http.ResponseWriter, *http.Request) { panic("a bug") }, ""},
		"a line in a value": {last, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["A"] = []string{"b\r\nEvil: c", "d"}
			w.Header()["E vil"] = []string{"e"}
			whole(w, r)
		}, ok + "A: b  Evil: c\r\nA: d\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"framing is the server's": {last, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Transfer-Encoding", "gzip")
			whole(w, r)
		}, ok + "Content-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"body unread": {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbodyGET / HTTP/1.1\r\n\r\n", whole, ok + "Content-Length: 5\r\nConnection: close\r\n\r\nhello"},
	} {
		t.Run(name, func(t *testing.T) {
			got := converse(t, tt.in, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Date"] = []string{"then"}
				tt.handle(w, r)
			})
			if got = strings.ReplaceAll(got, "Date: then\r\n", ""); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestAnswersOfTunnelsAreDated(t *testing.T) {
	got := converse(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", func(http.ResponseWriter, *http.Request) {})
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err != nil || time.Since(date) > time.Minute {
		t.Errorf("dated %q", response.Header["Date"])
	}
}

// The end of a connection may come together with the last bytes of a body, which is whole
// all the same.
func TestBodyThatEndsWithItsConnection(t *testing.T) {
	body := strings.Repeat("x", 3*smallHead)
	for name, in := range map[string]string{
		"length":  fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"chunked": fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body),
	} {
		t.Run(name, func(t *testing.T) {
			var got []seen
			c := &recordedConn{in: iotest.DataErrReader(strings.NewReader(in))}
			newHTTP1Conn(newFramedConn(c, &origin{tunnel: &tunnel{}}, "marker"), slog.New(slog.DiscardHandler), func(_ http.ResponseWriter, r *http.Request) {
				got = append(got, look(r))
			}).run(time.Minute)
			if len(got) != 1 || got[0].Failed || got[0].Body != body {
				t.Errorf("read %d requests: %+v", len(got), got)
			}
		})
	}
}

// A client that waits to be told sends its body only if somebody reads it. Otherwise
// the connection ends, since nobody knows whether the body comes all the same.
func TestExpectationsInTunnels(t *testing.T) {
	const in = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
	for name, reads := range map[string]bool{"read": true, "not read": false} {
		t.Run(name, func(t *testing.T) {
			client, _, done := pipe(func(w http.ResponseWriter, r *http.Request) {
				if reads {
					_, _ = io.Copy(w, r.Body)
				}
			})
			defer func() { client.Close(); <-done }()
			go func() { _, _ = io.WriteString(client, in) }()
			r := bufio.NewReader(client)
			response, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !reads {
				if response.StatusCode != 200 || !response.Close {
					t.Errorf("answered with %s, close: %v", response.Status, response.Close)
				}
				return
			}
			if response.StatusCode != http.StatusContinue {
				t.Fatalf("first %s", response.Status)
			}
			go func() { _, _ = io.WriteString(client, "body") }()
			if response, err = http.ReadResponse(r, nil); err != nil || response.Close {
				t.Fatalf("then %v, %v", response, err)
			}
			if body, err := io.ReadAll(response.Body); string(body) != "body" || err != nil {
				t.Errorf("read %q, %v", body, err)
			}
		})
	}
}

// Who leaves during a call ends it; who sends the next request does not, and gets that
// answered, too.
func TestClientsAreWatchedDuringCalls(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		client, _, done := pipe(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			ended <- r.Context().Err()
		})
		_, _ = io.WriteString(client, request)
		synctest.Wait()
		client.Close()
		<-done
		if err := <-ended; err == nil {
			t.Error("the call has not noticed")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		client, _, done := pipe(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			if r.Context().Err() != nil {
				t.Error("a call was ended whose client is there")
			}
			w.Header().Set("Content-Length", "0")
		})
		_, _ = io.WriteString(client, request)
		go func() {
			time.Sleep(100 * time.Millisecond)
			_, _ = io.WriteString(client, request)
		}()
		r := bufio.NewReader(client)
		for range 2 {
			if response, err := http.ReadResponse(r, nil); err != nil || response.StatusCode != 200 {
				t.Fatal(response, err)
			}
		}
		client.Close()
		<-done
	})
}

// A connection ends when it is idle for too long, when a head takes too long, and holds no
// buffer in between.
func TestWaitsOfTunnels(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, tt := range map[string]struct {
		send string // at once, after a call
		then string // byte by byte, one each ten seconds
		want time.Duration
	}{
		"idle":                         {"", "", idleTimeout},
		"a head that comes no further": {"GET / HTTP", "", readHeadTimeout},
		"a head in drips":              {"GE", "T / HTTP/1.1\r\nHost: a", readHeadTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, x, done := pipe(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") })
				_, _ = io.WriteString(client, request)
				if _, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if tt.send != "" {
					_, _ = io.WriteString(client, tt.send)
				}
				var dripping sync.WaitGroup
				dripping.Go(func() {
					for _, c := range []byte(tt.then) {
						time.Sleep(10 * time.Second)
						_, _ = client.Write([]byte{c})
					}
				})
				<-done
				// It may be a second less: deadlines are not set anew for that.
				if took := time.Since(began); took > tt.want || took < tt.want-time.Second {
					t.Errorf("ended after %v, want %v", took, tt.want)
				}
				if tt.send == "" && (cap(x.framed.buf) > smallHead || x.framed.room != nil || x.answer.out != nil || len(x.request.header) > 0) {
					t.Error("a connection that waited held something of its last request")
				}
				client.Close()
				dripping.Wait()
			})
		})
	}
}

// A client is watched from watchAfter on after its request was read, whatever went before,
// and a call that is over by then is not disturbed.
func TestClientIsWatched(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, before := range map[string]time.Duration{"at first": 0, "after a call": watchAfter * 3 / 4, "long after": 5 * watchAfter} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var began time.Time
				noticed := time.Duration(-1)
				calls := 0
				client, _, done := pipe(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Length", "0")
					if calls++; calls == 1 && before > 0 {
						return
					}
					began = time.Now()
					<-r.Context().Done()
					noticed = time.Since(began)
				})
				if before > 0 {
					_, _ = io.WriteString(client, request)
					if _, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil {
						t.Fatal(err)
					}
					time.Sleep(before)
				}
				_, _ = io.WriteString(client, request)
				client.Close()
				<-done
				if noticed != watchAfter {
					t.Errorf("noticed after %v, want %v", noticed, watchAfter)
				}
			})
		})
	}
}

// seen is what a handler sees of a request.
type seen struct {
	Method, URL, Target, Proto, Host string
	Header                           http.Header
	Length                           int64
	Coding                           []string
	Body                             string
	Failed                           bool
}

func look(r *http.Request) seen {
	body, err := io.ReadAll(r.Body)
	s := seen{r.Method, r.URL.String(), r.RequestURI, r.Proto, r.Host, r.Header.Clone(), r.ContentLength, r.TransferEncoding, string(body), err != nil}
	s.Header.Del("Trailer") // net/http moves it
	return s
}

// FuzzHTTP1 holds the loop of tunnels to net/http's: from the same bytes behind the same
// framing check, handlers see the same requests, and clients as many answers.
func FuzzHTTP1(f *testing.F) {
	for _, s := range framingSeeds {
		f.Add([]byte(s))
	}
	f.Add([]byte("POST /a?b HTTP/1.1\r\nhost: A.b:1\r\nx: 1\r\nX: 2\r\nConnection: keep-alive\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\nGET * HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("CONNECT a:1 HTTP/1.1\r\nHost: b\r\n\r\nPOST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhiGET //x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var ours, theirs []seen
		handler := func(to *[]seen) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				*to = append(*to, look(r))
				w.Header().Set("Content-Length", "2")
				_, _ = io.WriteString(w, "ok")
			}
		}
		// The framing check reads a CONNECT inside a tunnel like any other request.
		framed := func() (*framedConn, *recordedConn) {
			c := &recordedConn{in: bytes.NewReader(in)}
			return newFramedConn(c, &origin{tunnel: &tunnel{}}, "marker"), c
		}
		a, mine := framed()
		newHTTP1Conn(a, slog.New(slog.DiscardHandler), handler(&ours)).run(time.Minute)

		b, other := framed()
		feed := newFeed()
		server := &http.Server{Handler: handler(&theirs), DisableGeneralOptionsHandler: true, MaxHeaderBytes: maxHeadBytes, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
		ended := make(chan struct{})
		server.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				close(ended)
			}
		}
		go func() { _ = server.Serve(feed) }()
		feed.give(b)
		<-ended
		_ = server.Close()

		if !reflect.DeepEqual(ours, theirs) {
			t.Fatalf("of %q\nwe read       %+v\nnet/http reads %+v", in, ours, theirs)
		}
		if slices.ContainsFunc(ours, func(s seen) bool { return s.Failed || s.Proto == "HTTP/1.0" }) {
			return // net/http does not always say then that it closes, and takes more for keep-alive
		}
		if m, o := answersIn(mine.out.String()), answersIn(other.out.String()); m != o {
			t.Fatalf("of %q\nour answers  %s\nof net/http %s", in, m, o)
		}
	})
}

// answersIn are the answers, as far as they must be the same.
func answersIn(out string) string {
	var all strings.Builder
	r := bufio.NewReader(strings.NewReader(out))
	for {
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			return all.String()
		}
		body, err := io.ReadAll(response.Body)
		fmt.Fprintln(&all, response.StatusCode, response.ContentLength, response.Close, string(body), err)
	}
}

// recordedConn is a connection whose client has sent all that it sends, and records
// what it gets.
type recordedConn struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (c *recordedConn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *recordedConn) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *recordedConn) Close() error                     { return nil }
func (c *recordedConn) SetDeadline(time.Time) error      { return nil }
func (c *recordedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *recordedConn) SetWriteDeadline(time.Time) error { return nil }
func (c *recordedConn) LocalAddr() net.Addr              { return feedAddr{} }
func (c *recordedConn) RemoteAddr() net.Addr             { return feedAddr{} }
