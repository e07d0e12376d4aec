package soak

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"jiragate/internal/jirasim"
)

// rude are clients that do what no client should. Each act is entered in the ledger
// as what the gateway must record of it.
type rude struct {
	*load
	serial atomic.Int64
}

// The projects of which the simulator is slow to tell, or tells endlessly.
const (
	lateProject  = "LATE"
	largeProject = "LARGE"
	largeSize    = 8 << 20 // more than what lies between takes up
)

// prepare has the simulator serve what rude clients ask for.
func (r *rude) prepare() {
	site := "/ex/jira/8c6f5b1e-2c3d-4e5f-9a6b-000000000000/rest/api/3/project/"
	r.shaky.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: 2 * time.Second, Origin: jirasim.CloudAPI, PathPrefix: site + lateProject})
	r.shaky.Fault(jirasim.Fault{Kind: jirasim.Endless, Count: largeSize / (16 << 10), Size: 16 << 10, Origin: jirasim.CloudAPI, PathPrefix: site + largeProject})
}

func (r *rude) dial() (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", r.proxy, callTimeout)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(callTimeout))
	}
	return conn, err
}

func basic(name, token string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+token))
}

func connectHead(authority, name, token, traceparent string) string {
	return "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\nProxy-Authorization: " + basic(name, token) +
		"\r\nTraceparent: " + traceparent + "\r\n\r\n"
}

// ask writes to a connection and reads the head of the answer.
func ask(conn net.Conn, text string) (int, error) {
	if _, err := io.WriteString(conn, text); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

const soakAuthority = "soak-0.atlassian.net:443"

// dialFromAnywhere connects from one of very many addresses of this machine. Of strangers
// at one address, the gateway answers nobody after a few wrong tokens, and records one
// refusal a second.
func (r *rude) dialFromAnywhere(ctx context.Context, random *rand.Rand) (net.Conn, error) {
	from := net.Dialer{Timeout: callTimeout, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1+byte(random.IntN(200)), byte(random.IntN(256)), 1+byte(random.IntN(254)))}}
	conn, err := from.DialContext(ctx, "tcp", r.proxy)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(callTimeout))
	}
	return conn, err
}

// outsider has a wrong token.
func (r *rude) outsider(ctx context.Context, random *rand.Rand) {
	id, traceparent := r.ledger.begin(false)
	conn, err := r.dialFromAnywhere(ctx, random)
	if err != nil {
		r.ledger.violation("an outsider cannot connect: %v", err)
		return
	}
	defer conn.Close()
	got, err := ask(conn, connectHead(soakAuthority, "base", strings.Repeat("x", 40), traceparent))
	r.ledger.end(id, "wrong token", outcome{status: got, err: err})
	if got != http.StatusProxyAuthRequired {
		r.ledger.violation("a wrong token: %d %v, want 407", got, err)
	}
}

// tunnel opens one for a client.
func (r *rude) tunnel(name, traceparent string) (net.Conn, error) {
	conn, err := r.dial()
	if err != nil {
		return nil, err
	}
	got, err := ask(conn, connectHead(soakAuthority, name, r.tokens[name], traceparent))
	if err == nil && got != http.StatusOK {
		err = fmt.Errorf("CONNECT: status %d", got)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// secure shakes hands inside a tunnel.
func (r *rude) secure(conn net.Conn) *tls.Conn {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.rootPEM)
	host, _, _ := strings.Cut(soakAuthority, ":")
	return tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: host})
}

// halfOpen opens a tunnel and doesn't use it. Only one that never came about is on
// record.
func (r *rude) halfOpen(ctx context.Context, random *rand.Rand) {
	how := random.IntN(4)
	id, traceparent := [16]byte{}, "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00"
	if how < 3 {
		id, traceparent = r.ledger.begin(true)
		defer func() { r.ledger.end(id, "half a tunnel", outcome{}) }()
	}
	conn, err := r.tunnel("half-open", traceparent)
	if err != nil {
		r.ledger.violation("half a tunnel: %v", err)
		return
	}
	defer conn.Close()
	switch how {
	case 0: // nothing
	case 1: // the beginning of TLS
		_, _ = conn.Write([]byte{22, 3, 1, 2, 0, 1})
	case 2: // no TLS
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: soak-0.atlassian.net\r\n\r\n")
	case 3: // TLS, and no call
		if err := r.secure(conn).HandshakeContext(ctx); err != nil {
			r.ledger.violation("half a tunnel, the handshake: %v", err)
		}
	}
	time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
}

// get writes a call to a tunnel of its own.
func (r *rude) get(ctx context.Context, name, project, traceparent string) (*tls.Conn, error) {
	conn, err := r.tunnel(name, "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00")
	if err != nil {
		return nil, err
	}
	inside := r.secure(conn)
	err = inside.HandshakeContext(ctx)
	if err == nil {
		_, err = io.WriteString(inside, "GET /rest/api/3/project/"+project+" HTTP/1.1\r\nHost: soak-0.atlassian.net\r\nJira-Connection: cloud-0\r\nTraceparent: "+traceparent+"\r\n\r\n")
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return inside, nil
}

// leave goes away when Jira has the call and before it answers.
func (r *rude) leave(ctx context.Context, random *rand.Rand) {
	id, traceparent := r.ledger.begin(true)
	defer func() { r.ledger.end(id, "left", outcome{}) }()
	project := lateProject + strconv.FormatInt(r.serial.Add(1), 10)
	conn, err := r.get(ctx, "leaver", project, traceparent)
	if err != nil {
		r.ledger.violation("a client that leaves cannot call: %v", err)
		return
	}
	defer conn.NetConn().Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// Where the refresh of the token fails, the call gets an answer and never arrives.
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = conn.Read(make([]byte, 1))
		cancel()
	}()
	_, _ = r.shaky.WaitRequest(ctx, func(q jirasim.Request) bool { return strings.HasSuffix(q.RequestURI, "/"+project) })
	if random.IntN(2) == 0 { // with a reset instead of an end
		if tcp, ok := conn.NetConn().(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	_ = conn.NetConn().Close()
	<-answered
}

// readSlowly takes a large answer in small pieces; half of the time it gives up.
func (r *rude) readSlowly(ctx context.Context, random *rand.Rand) {
	id, traceparent := r.ledger.begin(true)
	defer func() { r.ledger.end(id, "slow reader", outcome{}) }()
	conn, err := r.get(ctx, "slow", largeProject, traceparent)
	if err != nil {
		r.ledger.violation("a slow reader cannot call: %v", err)
		return
	}
	defer conn.Close()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		r.ledger.violation("a slow reader has no answer: %v", err)
		return
	}
	defer response.Body.Close()
	read, piece := 0, make([]byte, 4<<10)
	for pieces := 10 + random.IntN(20); pieces > 0; pieces-- {
		n, err := response.Body.Read(piece[:1+random.IntN(len(piece)-1)])
		if read += n; err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if random.IntN(2) == 0 || response.StatusCode != http.StatusOK { // it gives up, or was refused
		return
	}
	n, err := io.Copy(io.Discard, response.Body)
	if read += int(n); err != nil || read != largeSize {
		r.ledger.violation("a slow reader got %d bytes of %d: %v", read, largeSize, err)
	}
}

// Heads that have two readings or none, and what they get. They carry no trace id
// that the gateway could believe.
var malformedHeads = []struct {
	head   string
	status int
}{
	{"POST http://soak-0.atlassian.net/rest/api/3/issue HTTP/1.1\r\nHost: soak-0.atlassian.net\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"GET http://soak-0.atlassian.net/rest/api/3/myself HTTP/1.1\nHost: soak-0.atlassian.net\n\n", 400},
	{"GET http://soak-0.atlassian.net/rest/api/3/myself HTTP/1.1\r\nHost: soak-0.atlassian.net\r\nX: a\r\n b\r\n\r\n", 400},
	{"GET http://soak-0.atlassian.net/rest/api/3/myself HTTP/1.1\r\nHost: soak-0.atlassian.net\r\nX-Bomb: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", 431},
	{"GET http://soak-0.atlassian.net/rest/api/3/myself HTTP/1.1\r\nHost: soak-0.atlassian.net\r\n" + strings.Repeat("X: y\r\n", 200) + "\r\n", 431},
	{"GET http://soak-0.atlassian.net/" + strings.Repeat("x", 10<<10) + " HTTP/1.1\r\nHost: soak-0.atlassian.net\r\n\r\n", 414},
	{"GET http://soak-0.atlassian.net/rest/api/3/my", 0}, // and never the rest
}

func (r *rude) malformed(ctx context.Context, random *rand.Rand) {
	m := malformedHeads[random.IntN(len(malformedHeads))]
	conn, err := r.dialFromAnywhere(ctx, random)
	if err != nil {
		r.ledger.violation("a malformed head: %v", err)
		return
	}
	defer conn.Close()
	if m.status == 0 {
		_, _ = io.WriteString(conn, m.head)
		return
	}
	got, err := ask(conn, m.head)
	r.ledger.unknown("malformed", got)
	if got != m.status {
		r.ledger.violation("the head %.100q: %d %v, want %d", m.head, got, err, m.status)
	}
}
