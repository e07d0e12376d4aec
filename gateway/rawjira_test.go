package gateway_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// rawJira is a Jira whose sockets tests have in hand. It says of each request what it
// was, so that a call that gets another one's answer is found out, and it reads with
// net/http, which is lenient, so that it sees a request in whatever could be taken for one.
type rawJira struct {
	t      testing.TB
	url    string
	pem    string
	config *tls.Config

	mu      sync.Mutex
	heard   []heard
	carried map[string]map[int]bool // sockets by credential, in all
	sockets int
	conns   []net.Conn
	// scripts answer the requests of a marker, instead of [echo]. One that returns false
	// has the socket closed.
	scripts map[string]func(c net.Conn, r *http.Request, body string) bool
	early   string                       // answers a head, whatever its body; and the socket closes
	streams func(socket int, c net.Conn) // serves sockets of HTTP/2
	served  sync.WaitGroup
}

// heard is a request as Jira has read it.
type heard struct {
	socket             int
	credential, target string
	said               string // method and marker
	body               string
}

func newRawJira(t testing.TB, protocols ...string) *rawJira {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	if len(protocols) == 0 {
		protocols = []string{"http/1.1"}
	}
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	j := &rawJira{
		t: t, url: "https://" + l.Addr().String(), pem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		config:  &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: protocols},
		carried: map[string]map[int]bool{},
		scripts: map[string]func(net.Conn, *http.Request, string) bool{},
	}
	j.served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			j.mu.Lock()
			j.conns = append(j.conns, c)
			j.sockets++
			n := j.sockets
			j.mu.Unlock()
			j.served.Go(func() { j.serve(n, tls.Server(c, j.config)) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		j.mu.Lock()
		for _, c := range j.conns {
			c.Close()
		}
		j.mu.Unlock()
		j.served.Wait()
	})
	return j
}

func (j *rawJira) serve(socket int, c *tls.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute)) // of a test that hangs
	if c.Handshake() != nil {
		return
	}
	if c.ConnectionState().NegotiatedProtocol == "h2" {
		j.streams(socket, c)
		return
	}
	for r := bufio.NewReader(c); ; {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		j.mu.Lock()
		early := j.early
		j.mu.Unlock()
		if early != "" {
			_, _ = io.WriteString(c, early)
			return
		}
		b, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		marker := markerOf(request, string(b))
		j.hear(socket, request, marker, string(b))
		j.mu.Lock()
		script := j.scripts[marker]
		j.mu.Unlock()
		if script == nil {
			script = echo
		}
		if !script(c, request, string(b)) {
			return
		}
	}
}

func (j *rawJira) hear(socket int, r *http.Request, marker, body string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	credential := r.Header.Get("Authorization")
	j.heard = append(j.heard, heard{socket, credential, r.RequestURI, r.Method + " " + marker, body})
	if j.carried[credential] == nil {
		j.carried[credential] = map[int]bool{}
	}
	j.carried[credential][socket] = true
}

// script has requests of a marker answered by f from now on.
func (j *rawJira) script(marker string, f func(c net.Conn, r *http.Request, body string) bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.scripts[marker] = f
}

// answersEarly has heads answered at once from now on; "" ends that.
func (j *rawJira) answersEarly(with string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.early = with
}

// requests are what was heard since the last time, but for those of markers that begin
// with except.
func (j *rawJira) requests(except string) (all []heard) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, h := range j.heard {
		if _, marker, _ := strings.Cut(h.said, " "); !strings.HasPrefix(marker, except) {
			all = append(all, h)
		}
	}
	j.heard = nil
	return all
}

// markerOf is what tells a request from others: what is searched for, or the summary of
// an issue.
func markerOf(r *http.Request, body string) string {
	if q := r.URL.Query(); q.Has("query") {
		return q.Get("query")
	}
	var issue struct{ Fields struct{ Summary string } }
	_ = json.Unmarshal([]byte(body), &issue)
	return issue.Fields.Summary
}

// echoed is the answer that belongs to a request.
func echoed(said string) string {
	b, _ := json.Marshal(map[string]string{"echo": said})
	return string(b)
}

func echo(c net.Conn, r *http.Request, body string) bool {
	_, err := io.WriteString(c, plainAnswer(echoed(r.Method+" "+markerOf(r, body))))
	return err == nil
}

func plainAnswer(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// connect adds a connection to j, and returns its credential.
func (j *rawJira) connect(w *world, id string) (authorization string) {
	w.t.Helper()
	token := "raw-jira-token-of-" + id
	w.addConnection(tokenstore.Connection{
		ID: id, Edition: policy.DataCenter, BaseURL: j.url, Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindPAT, UpstreamCA: j.pem,
	}, tokenstore.Credential{Kind: tokenstore.KindPAT, Token: secret.New(token)})
	w.secrets = append(w.secrets, token)
	return "Bearer " + token
}

// picker is the target of a read of a marker, and issueOf the body of a write of it.
func picker(marker string) string { return "/rest/api/2/user/picker?query=" + marker }

func issueOf(marker string) string {
	return `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10001"},"summary":"` + marker + `"}}`
}
