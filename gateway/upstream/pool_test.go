package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// Calls beyond the bound wait for a connection, in their order; who leaves makes room
// for the next.
func TestWaitingForAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(_ int, c *said) { c.answer(hello) })
		client := s.client()
		var holding []*http.Response
		for range 4 {
			response, err := client.send(t.Context(), "GET", "")
			if err != nil {
				t.Fatal(err)
			}
			holding = append(holding, response)
		}
		var order []int
		var calls sync.WaitGroup
		gone, leave := context.WithCancel(t.Context())
		for i := range 6 {
			calls.Go(func() {
				ctx := t.Context()
				if i == 1 {
					ctx = gone
				}
				response, err := client.send(ctx, "GET", "")
				if i == 1 {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("who left: %v", err)
					}
					return
				}
				if err != nil {
					t.Errorf("call %d: %v", i, err)
					return
				}
				order = append(order, i)
				io.Copy(io.Discard, response.Body)
			})
			synctest.Wait()
		}
		leave()
		synctest.Wait()
		if len(order) > 0 {
			t.Errorf("%v have a connection", order)
		}
		io.Copy(io.Discard, holding[0].Body)
		calls.Wait()
		if want := []int{0, 2, 3, 4, 5}; !slices.Equal(order, want) || s.dials.Load() != 4 {
			t.Errorf("order %v, %d connections", order, s.dials.Load())
		}
		// One that is closed makes room, too.
		for _, response := range holding[1:] {
			response.Body.(*exchange).fail(errClosed)
		}
		if status, _, err := client.call("GET", ""); status != 200 || err != nil {
			t.Errorf("%d, %v", status, err)
		}
		client.CloseIdleConnections()
		s.stop()
	})
}

// Who has waited too long is told that all are busy.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(_ int, c *said) { c.answer("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n") })
		client := s.client(func(o *Options) { o.MaxConns = 1 })
		holding, err := client.send(t.Context(), "GET", "")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, _, err := client.call("GET", ""); !errors.Is(err, ErrBusy) || time.Since(began) != 25*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		holding.Body.Close()
		s.stop()
	})
}

// So many are kept idle, the latest ones, for so long; then none is left though nobody
// calls.
func TestIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(_ int, c *said) { c.answer(hello) })
		client := s.client()
		open := func(want int64) {
			t.Helper()
			synctest.Wait()
			if n := s.open.Load(); n != want {
				t.Errorf("%d connections are open, not %d", n, want)
			}
		}
		burst := func(n int) {
			t.Helper()
			var all []*http.Response
			for range n {
				response, err := client.send(t.Context(), "GET", "")
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, response)
			}
			for _, response := range all {
				io.Copy(io.Discard, response.Body)
			}
		}
		burst(4)
		open(2)
		time.Sleep(60 * time.Second)
		burst(1) // the latest one
		time.Sleep(29 * time.Second)
		open(2)
		time.Sleep(2 * time.Second)
		open(1)
		time.Sleep(60 * time.Second)
		open(0)
		burst(1)
		open(1)
		client.CloseIdleConnections()
		open(0)
		if n := s.dials.Load(); n != 5 {
			t.Errorf("%d connections were opened", n)
		}

		response, err := client.send(t.Context(), "GET", "")
		if err != nil {
			t.Fatal(err)
		}
		client.CloseIdleConnections()
		open(1) // a call uses it
		io.Copy(io.Discard, response.Body)
		open(0) // and nobody does
		burst(1)
		open(1) // but there is a call again
		client.CloseIdleConnections()
		s.stop()
	})
}

// A dial goes on when the call that needed it has left: the next one is glad of it.
func TestDialOutlivesItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(_ int, c *said) { c.answer(hello) })
		s.dial = func(context.Context) error { time.Sleep(5 * time.Second); return nil }
		client := s.client()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := client.send(ctx, "GET", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.Sleep(10 * time.Second)
		if status, _, err := client.call("POST", "x"); status != 200 || err != nil || s.dials.Load() != 1 {
			t.Errorf("%d, %v, by %d dials", status, err, s.dials.Load())
		}
		client.CloseIdleConnections()
		s.stop()
	})
}

// While a server can't be reached each call is told so after its own attempt, though
// they waited for the first one's: nobody waits for a whole queue of attempts.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(_ int, c *said) { c.answer(hello) })
		refused := &net.OpError{Op: "dial", Err: errors.New("refused")}
		s.dial = func(context.Context) error { time.Sleep(10 * time.Second); return refused }
		client := s.client(func(o *Options) { o.MaxConns = 100 })
		var calls sync.WaitGroup
		began := time.Now()
		for i := range 20 {
			calls.Go(func() {
				if _, _, err := client.call("GET", ""); !errors.Is(err, refused) || time.Since(began) > 20*time.Second {
					t.Errorf("call %d after %s: %v", i, time.Since(began), err)
				}
			})
		}
		calls.Wait()
		if n := s.dials.Load(); n != 20 {
			t.Errorf("%d dials", n)
		}
		s.dial = nil
		if status, _, err := client.call("GET", ""); status != 200 || err != nil {
			t.Errorf("%d, %v", status, err)
		}
		client.CloseIdleConnections()
		s.stop()
	})
}

// Another server is called by other connections.
func TestAnotherServer(t *testing.T) {
	var asked []string
	o := newServer(t, nil).options()
	o.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
		asked = append(asked, address)
		return nil, errors.New("not reached")
	}
	client := New(o)
	for _, authority := range []string{"one.example", "one.example", "two.example:8443", "[::1]"} {
		r := request(t, "GET", "")
		r.URL.Host = authority
		client.RoundTrip(t.Context(), r, ignore)
	}
	if want := []string{"one.example:443", "one.example:443", "two.example:8443", "[::1]:443"}; !slices.Equal(asked, want) {
		t.Errorf("dialled %v", asked)
	}
}

// Whatever calls do, and in whatever order, there are never more sockets than may be,
// and in the end there is none.
func TestSocketsAreBounded(t *testing.T) {
	type act struct {
		Leave  time.Duration // 0: never
		Answer int           // which
		Read   int           // how
		Pause  time.Duration
	}
	answers := []string{
		hello, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
		hello + hello, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "nonsense\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	}
	rapid.Check(t, func(rt *rapid.T) {
		acts := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) act {
			return act{
				Leave:  time.Duration(rapid.IntRange(0, 30).Draw(rt, "leave")) * 100 * time.Millisecond,
				Answer: rapid.IntRange(0, len(answers)-1).Draw(rt, "answer"),
				Read:   rapid.IntRange(0, 2).Draw(rt, "read"),
				Pause:  time.Duration(rapid.IntRange(0, 20).Draw(rt, "pause")) * 100 * time.Millisecond,
			}
		}), 1, 30).Draw(rt, "acts")
		latency := time.Duration(rapid.IntRange(0, 10).Draw(rt, "latency")) * 100 * time.Millisecond
		failing := rapid.IntRange(0, 5).Draw(rt, "failing")
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, func(_ int, c *said) {
				for {
					r, _, err := c.request()
					if err != nil {
						return
					}
					time.Sleep(latency)
					var which int
					fmt.Sscan(r.Header.Get("Accept"), &which)
					io.WriteString(c, answers[which])
				}
			})
			s.dial = func(context.Context) error {
				time.Sleep(latency)
				if n := s.dials.Load(); failing > 0 && int(n)%5 == failing-1 {
					return errors.New("refused")
				}
				return nil
			}
			client := s.client()
			var calls sync.WaitGroup
			for _, a := range acts {
				calls.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), a.Leave)
					if a.Leave == 0 {
						ctx, cancel = context.WithCancel(t.Context())
					}
					defer cancel()
					r := request(t, "POST", "")
					r.Header.Set("Accept", fmt.Sprint(a.Answer))
					response, err := client.RoundTrip(ctx, r, ignore)
					if err != nil {
						return
					}
					response.Body.(Body).SetReadDeadline(time.Now().Add(time.Second))
					switch a.Read {
					case 1:
						response.Body.Read(make([]byte, 2))
					case 2:
						if b, err := io.ReadAll(response.Body); err == nil && string(b) != "hello" && a.Answer != 1 {
							t.Errorf("read %q", b)
						}
					}
					time.Sleep(a.Pause / 10)
					response.Body.Close()
				})
				time.Sleep(a.Pause)
			}
			calls.Wait()
			if most := s.most.Load(); most > 4 {
				t.Errorf("%d sockets at a time", most)
			}
			client.CloseIdleConnections()
			time.Sleep(time.Minute)
			synctest.Wait()
			p := client.pool.Load()
			if open := s.open.Load(); open != 0 || p.open != 0 || p.waiters.Len() != 0 || len(p.dials) != 0 {
				t.Errorf("%d sockets are open, %d counted, %d wait, %d dials", open, p.open, p.waiters.Len(), len(p.dials))
			}
			s.stop()
		})
		if t.Failed() {
			rt.FailNow()
		}
	})
}
