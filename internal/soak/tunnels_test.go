package soak

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// idlers are the clients that tunnels are divided among; each may have 4,096.
const idlers = 4

// idleTimeout is the gateway's: after that an idle tunnel is closed.
const idleTimeout = 3 * time.Minute

// openers is how many tunnels are opened at a time.
const openers = 32

// idleTunnels is what was measured of some.
type idleTunnels struct {
	Protocol  string  `json:"protocol"`
	Tunnels   int     `json:"tunnels"`
	Opened    string  `json:"opened_in"`
	Before    holds   `json:"before"`
	Idle      holds   `json:"idle"`
	After     holds   `json:"after"`
	KBEach    float64 `json:"rss_kb_each"`
	HeapEach  float64 `json:"live_heap_kb_each"`
	Goroutine float64 `json:"goroutines_each"`
	Calls     int     `json:"calls_meanwhile"`
}

// Many tunnels with a call each that stay open and idle: they cost little, nobody else
// notices them, and when they are closed nothing is left of them.
func TestIdleTunnels(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := *soakTunnels
	if need := uint64(n + 1000); limit.Cur < need {
		t.Fatalf("%d tunnels need %d descriptors, for the gateway and for this process, and %d are allowed: ulimit -n", n, need, limit.Cur)
	}
	program := build(t)
	var all []idleTunnels
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(strings.ReplaceAll(protocol, "/", "-"), func(t *testing.T) {
			l := newLoad(setStage(t, program))
			// The second time takes no more than the first: what was closed is used again.
			first, second := l.idleTunnels(t, protocol, n), l.idleTunnels(t, protocol, n)
			if second.Idle.RSS > 1.25*first.Idle.RSS+(16<<20) {
				t.Errorf("with %d tunnels the gateway has an RSS of %.0f MiB, and when they are opened again %.0f MiB", n, first.Idle.RSS/(1<<20), second.Idle.RSS/(1<<20))
			}
			l.endsWell(t, &summary{})
			for _, v := range l.ledger.violations {
				t.Error(v)
			}
			for _, it := range []idleTunnels{first, second} {
				t.Log(it)
			}
			all = append(all, first, second)
		})
	}
	writeSummary(t, "tunnels.json", all)
}

func (it idleTunnels) String() string {
	return fmt.Sprintf("%d idle tunnels of %s, opened in %s: %.1f KB of RSS, %.1f KB of live heap and %.2f goroutines each; %d calls of others meanwhile; RSS %.0f MiB before, %.0f idle, %.0f after",
		it.Tunnels, it.Protocol, it.Opened, it.KBEach, it.HeapEach, it.Goroutine, it.Calls, it.Before.RSS/(1<<20), it.Idle.RSS/(1<<20), it.After.RSS/(1<<20))
}

func (l *load) idleTunnels(t *testing.T, protocol string, n int) idleTunnels {
	t.Helper()
	other := l.newCaller("base", "base")
	// What the first call opens is not the tunnels'.
	if o, _ := other.do(t.Context(), l.quietCall()); o.status != 200 {
		t.Fatalf("the first call: %v", o)
	}
	before := l.mustHold(t)
	result := idleTunnels{Protocol: protocol, Tunnels: n, Before: before}

	began := time.Now()
	open := make([]io.Closer, n)
	var next atomic.Int64
	var opening sync.WaitGroup
	for range openers {
		opening.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && !t.Failed(); i = next.Add(1) - 1 {
				var err error
				if open[i], err = l.idleTunnel(t.Context(), protocol, clients[i%idlers], int(i)); err != nil {
					t.Errorf("tunnel %d: %v", i, err)
				}
			}
		})
	}
	opening.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if time.Since(began) > idleTimeout-20*time.Second {
		t.Fatalf("opening %d tunnels took %v: the gateway closes the first again after %v without a call, so nothing can be told; take fewer, or a machine that has time", n, time.Since(began), idleTimeout)
	}
	result.Opened = time.Since(began).Round(100 * time.Millisecond).String()
	for range 100 {
		other.do(t.Context(), l.quietCall())
		result.Calls++
	}
	result.Idle = l.mustHold(t)
	each := func(of func(holds) float64) float64 { return (of(result.Idle) - of(before)) / float64(n) }
	result.KBEach = each(func(h holds) float64 { return h.RSS }) / 1024
	result.HeapEach = each(func(h holds) float64 { return h.Heap }) / 1024
	result.Goroutine = each(func(h holds) float64 { return h.Goroutines })
	// A connection to Jira may have ended meanwhile.
	if held := result.Idle.Descriptors - before.Descriptors; held < float64(n)-10 {
		t.Errorf("with %d idle tunnels the gateway has %v more descriptors: some were closed", n, held)
	}

	for _, c := range open {
		_ = c.Close()
	}
	other.client.CloseIdleConnections()
	quiet := func(h holds) bool {
		return h.Goroutines <= before.Goroutines+20 && h.Descriptors <= before.Descriptors+20 && h.Tunnels <= 0
	}
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if result.After = l.mustHold(t); quiet(result.After) {
			return result
		}
		if time.Now().After(end) {
			t.Errorf("after %d tunnels were closed, the gateway holds %+v; before them it was %+v", n, result.After, before)
			return result
		}
	}
}

func (l *load) quietCall() request {
	return request{kind: "meanwhile", to: l.target("dc-calm"), method: "GET", path: "/myself", status: 200}
}

func (l *load) mustHold(t *testing.T) holds {
	t.Helper()
	h, err := l.holds()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// idleTunnel opens a tunnel and makes one call in it. Each client has an address of
// its own, so that there are ports enough.
func (l *load) idleTunnel(ctx context.Context, protocol, client string, serial int) (io.Closer, error) {
	to := l.target("dc-calm")
	host := strings.TrimPrefix(to.url, "https://")
	authority, _, _ := strings.Cut(host, "/")
	dialer := net.Dialer{Timeout: callTimeout, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+serial%idlers))}}
	conn, err := dialer.DialContext(ctx, "tcp", l.proxy)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (io.Closer, error) { return nil, errors.Join(err, conn.Close()) }
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return fail(err)
	}
	if got, err := ask(conn, connectHead(authority, client, l.tokens[client], "")); err != nil || got != http.StatusOK {
		return fail(fmt.Errorf("CONNECT: status %d, %w", got, err))
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(l.rootPEM)
	name, _, _ := net.SplitHostPort(authority)
	inside := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: name, NextProtos: []string{protocol}})
	if err := inside.HandshakeContext(ctx); err != nil {
		return fail(err)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, to.url+"/rest/api/2/myself", nil)
	if err != nil {
		return fail(err)
	}
	id, traceparent := l.ledger.begin(false)
	q.Header.Set("Traceparent", traceparent)
	q.Header.Set("Jira-Connection", to.connection)
	holder, response, err := callInside(inside, protocol, q)
	if err != nil {
		return fail(err)
	}
	_, err = io.Copy(io.Discard, response.Body)
	l.ledger.end(id, "in an idle tunnel", outcome{status: response.StatusCode, err: err})
	if err = errors.Join(err, response.Body.Close(), conn.SetDeadline(time.Time{})); err != nil || response.StatusCode != http.StatusOK {
		return fail(fmt.Errorf("the call: status %d, %w", response.StatusCode, err))
	}
	return holder, nil
}

// callInside makes a call in a tunnel that stays open until the closer closes it. A
// transport might close one of HTTP/1.1 by itself, where this process has no time.
func callInside(inside net.Conn, protocol string, q *http.Request) (io.Closer, *http.Response, error) {
	if protocol != "h2" {
		if err := q.Write(inside); err != nil {
			return nil, nil, err
		}
		response, err := http.ReadResponse(bufio.NewReader(inside), q)
		return inside, response, err
	}
	transport := &http.Transport{Protocols: new(http.Protocols), DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return inside, nil }}
	transport.Protocols.SetHTTP2(true)
	response, err := transport.RoundTrip(q)
	return idleConnection{transport}, response, err
}

// idleConnection is the one connection of a transport.
type idleConnection struct{ transport *http.Transport }

func (c idleConnection) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}
