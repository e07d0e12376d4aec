package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What breaks before an answer begins is sent again where that can do no harm, and
// never else.
func TestSendingAgain(t *testing.T) {
	cut := func(c *said) { c.NetConn().Close() }
	for _, tt := range []struct {
		name, method, body string
		kept               bool        // the connection was used before
		breaks             func(*said) // once the request was read
		again              bool
	}{
		{"a read by a kept connection", "GET", "", true, cut, true},
		{"a read by one that says goodbye", "GET", "", true, func(c *said) { c.Close() }, true},
		{"HEAD", "HEAD", "", true, cut, true},
		{"a read by a new connection", "GET", "", false, cut, false},
		{"a read with a body", "GET", "x", true, cut, false},
		{"POST", "POST", "x", true, cut, false},
		{"POST without a body", "POST", "", true, cut, false},
		{"PUT", "PUT", "x", true, cut, false},
		{"DELETE", "DELETE", "", true, cut, false},
		{"an answer that has begun", "GET", "", true, func(c *said) { io.WriteString(c, "H"); c.Close() }, false},
		{"nonsense for an answer", "GET", "", true, func(c *said) { io.WriteString(c, "nonsense\r\n\r\n"); c.Close() }, false},
		{"no answer in time", "GET", "", true, func(c *said) { time.Sleep(2 * time.Minute); cut(c) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent atomic.Int64
				s := newServer(t, func(n int, c *said) {
					if n == 1 && tt.kept {
						c.request()
						io.WriteString(c, hello)
					}
					if n == 1 {
						if _, _, err := c.request(); err != nil {
							return
						}
						sent.Add(1)
						tt.breaks(c)
						return
					}
					if _, _, err := c.request(); err == nil {
						sent.Add(1)
						io.WriteString(c, hello)
					}
				})
				client := s.client()
				if tt.kept {
					if _, _, err := client.call("GET", ""); err != nil {
						t.Fatal(err)
					}
				}
				status, _, err := client.call(tt.method, tt.body)
				if again := sent.Load() == 2; again != tt.again || again != (status == 200) || again == (err != nil) {
					t.Errorf("sent %d times: %d, %v", sent.Load(), status, err)
				}
				s.stop()
			})
		})
	}
}

// A server that ends each connection after one answer is not asked for ever.
func TestSendingAgainEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		s := newServer(t, func(_ int, c *said) {
			c.request()
			io.WriteString(c, hello)
			c.request()
			sent.Add(1)
		})
		client := s.client(func(o *Options) { o.MaxConns, o.MaxIdle = 20, 20 })
		var kept []*http.Response
		for range 10 {
			response, err := client.send(t.Context(), "GET", "")
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, response)
		}
		for _, response := range kept {
			io.Copy(io.Discard, response.Body)
		}
		if _, _, err := client.call("GET", ""); err == nil || sent.Load() != maxTries {
			t.Errorf("sent %d times: %v", sent.Load(), err)
		}
		client.CloseIdleConnections()
		s.stop()
	})
}

// A server that answers before it has read the whole request is heard, and its
// connection not used again.
func TestEarlyAnswers(t *testing.T) {
	const large = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge"
	for name, script := range map[string]func(*said){
		"and stays":  func(c *said) { io.WriteString(c, large); time.Sleep(time.Hour) },
		"and leaves": func(c *said) { io.WriteString(c, large); c.NetConn().Close() },
	} {
		for _, size := range []int{1, 1000, oneRecord, 1 << 20} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newServer(t, func(n int, c *said) {
						if n > 1 {
							c.answer(hello)
							return
						}
						if _, err := c.r.ReadByte(); err == nil {
							script(c)
						}
					})
					client := s.client()
					if status, body, err := client.call("POST", strings.Repeat("x", size)); status != 413 || body != "large" || err != nil {
						t.Errorf("%d bytes: %d %q %v", size, status, body, err)
					}
					if status, _, err := client.call("POST", "x"); size == 1<<20 && (status != 200 || err != nil) {
						t.Errorf("the next call: %d %v", status, err)
					}
					client.CloseIdleConnections()
					s.stop()
				})
			})
		}
	}
}

// A long request is written whole, and its connection used again.
func TestLongRequests(t *testing.T) {
	for _, size := range []int{oneRecord - 200, oneRecord, 3*oneRecord + 1, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
			s := newServer(t, func(_ int, c *said) {
				for {
					_, got, err := c.request()
					if err != nil {
						return
					}
					if got != body {
						t.Errorf("of %d bytes %d came", len(body), len(got))
					}
					synctest.Wait() // for what has written it
					io.WriteString(c, hello)
				}
			})
			client := s.client()
			for range 3 {
				if status, _, err := client.call("POST", body); status != 200 || err != nil {
					t.Errorf("%d bytes: %d, %v", size, status, err)
				}
			}
			if n := s.dials.Load(); n != 1 {
				t.Errorf("%d bytes: %d connections", size, n)
			}
			client.CloseIdleConnections()
			s.stop()
		})
	}
}

// Whatever a call waits for ends in its time, or when the caller leaves.
func TestWaitsEnd(t *testing.T) {
	type way struct {
		name   string
		within time.Duration // without the caller leaving
		script func(*said)
		adjust func(*server)
		body   string
	}
	stay := func(*said) { time.Sleep(time.Hour) }
	for _, tt := range []way{
		{name: "the socket", within: 25 * time.Second, adjust: func(s *server) {
			s.dial = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		}},
		{name: "the handshake", within: 10 * time.Second, adjust: func(s *server) {
			s.config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { time.Sleep(time.Hour); return nil, nil }
		}},
		{name: "the server to read", within: 60 * time.Second, script: stay, body: strings.Repeat("x", 1<<20)},
		{name: "the answer", within: 60 * time.Second, script: func(c *said) { c.request(); stay(c) }},
		{name: "half a head", within: 60 * time.Second, script: func(c *said) { c.request(); io.WriteString(c, "HTTP/1.1 200 OK\r\nX:"); stay(c) }},
		{name: "an answer after 1xx", within: 60 * time.Second, script: func(c *said) { c.request(); io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n"); stay(c) }},
		{name: "the body", within: 30 * time.Second, script: func(c *said) { c.request(); io.WriteString(c, hello[:len(hello)-1]); stay(c) }},
	} {
		for _, leave := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newServer(t, func(_ int, c *said) { tt.script(c) })
					if tt.adjust != nil {
						tt.adjust(s)
					}
					client := s.client()
					left := errors.New("the caller left")
					ctx, leaving := context.WithCancelCause(t.Context())
					defer leaving(nil)
					within := tt.within
					if leave {
						within = 5 * time.Second
						time.AfterFunc(within, func() { leaving(left) })
					}
					began := time.Now()
					response, err := client.RoundTrip(ctx, request(t, "POST", tt.body), ignore)
					if err == nil {
						response.Body.(Body).SetReadDeadline(time.Now().Add(30 * time.Second))
						_, err = io.ReadAll(response.Body)
					}
					var timeout net.Error
					if took := time.Since(began); took != within {
						t.Errorf("it took %s, not %s", took, within)
					}
					switch {
					case leave && !errors.Is(err, left):
						t.Errorf("who leaves is told %v", err)
					case !leave && !errors.Is(err, ErrBusy) && !(errors.As(err, &timeout) && timeout.Timeout()):
						t.Errorf("%v is no timeout", err)
					}
					client.CloseIdleConnections()
					synctest.Wait()
					if n := s.open.Load(); n != 0 {
						t.Errorf("%d connections are open", n)
					}
					s.stop()
				})
			})
		}
	}
}

// Each piece of a body has its own time; what is there already needs none.
func TestBodyDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(_ int, c *said) {
			c.request()
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01")
			for i := 2; i < 10; i++ {
				time.Sleep(50 * time.Second)
				io.WriteString(c, string(rune('0'+i)))
			}
		})
		client := s.client()
		response, err := client.send(t.Context(), "GET", "")
		if err != nil {
			t.Fatal(err)
		}
		body := response.Body.(Body)
		body.SetReadDeadline(time.Now().Add(-time.Second))
		got := make([]byte, 2)
		if _, err := io.ReadFull(body, got); err != nil {
			t.Errorf("what is there: %v", err)
		}
		for err == nil {
			body.SetReadDeadline(time.Now().Add(time.Minute))
			b := make([]byte, 1)
			_, err = body.Read(b)
			got = append(got, b...)
		}
		if err != io.EOF || string(got) != "0123456789" {
			t.Errorf("%q, %v", got, err)
		}
		client.CloseIdleConnections()
		s.stop()
	})
}

// Who is told of late ends an answer as well as the one it was asked with.
func TestEndWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(_ int, c *said) {
			c.request()
			io.WriteString(c, hello[:len(hello)-1])
			time.Sleep(time.Hour)
		})
		client := s.client()
		response, err := client.send(context.WithoutCancel(t.Context()), "GET", "")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		response.Body.(Body).EndWith(ctx)
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		if _, err := io.ReadAll(response.Body); !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if n := s.open.Load(); n != 0 {
			t.Errorf("%d connections are open", n)
		}
		client.CloseIdleConnections()
		s.stop()
	})
}

// Who leaves between two reads is not forgotten, nor is it where nothing has to be read
// any more: what ends the call may still be at work on the connection.
func TestLeavingBetweenReads(t *testing.T) {
	for answer, failing := range map[string]bool{hello: false, hello[:len(hello)-1]: true} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, func(_ int, c *said) {
				c.request()
				io.WriteString(c, answer)
				time.Sleep(time.Hour)
			})
			client := s.client()
			ctx, leave := context.WithCancel(t.Context())
			response, err := client.send(ctx, "GET", "")
			if err != nil {
				t.Fatal(err)
			}
			leave()
			synctest.Wait()
			began := time.Now()
			response.Body.(Body).SetReadDeadline(began.Add(time.Minute))
			if _, err := io.ReadAll(response.Body); errors.Is(err, context.Canceled) != failing || time.Since(began) > 0 {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
			if n := s.open.Load(); n != 0 {
				t.Errorf("%d connections are open", n)
			}
			s.stop()
		})
	}
}
