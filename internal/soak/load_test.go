package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// callTimeout is how long a client waits: longer than any fault but hanging lasts.
const callTimeout = 25 * time.Second

// load is the traffic, and what happens to it.
type load struct {
	*stage
	ledger  *ledger
	trouble *trouble
	// gate is held for reading while anything is done to the gateway, and for writing
	// while all rests.
	gate sync.RWMutex

	mu   sync.Mutex
	idle []func() // close idle connections of clients
}

func newLoad(s *stage) *load {
	l := &load{stage: s, ledger: newLedger()}
	l.trouble = newTrouble(s.shaky)
	return l
}

// repeat does something again and again until ctx ends, but not while all rests.
func (l *load) repeat(ctx context.Context, random *rand.Rand, pause time.Duration, do func(context.Context, *rand.Rand)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(random.ExpFloat64() * float64(pause))):
		}
		l.gate.RLock()
		if ctx.Err() == nil {
			// What has begun may end: a call that the test itself cuts tells nothing.
			do(context.WithoutCancel(ctx), random)
		}
		l.gate.RUnlock()
	}
}

// A request is one call, and what must come of it.
type request struct {
	kind   string
	to     *target
	method string
	path   string // below the API's base
	body   string
	status int
	code   string // of a refusal
}

const (
	createBody     = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10002"},"summary":"soak"}}`
	transitionBody = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10002"},"summary":"x"},"transition":{"id":"31"}}`
)

var reads = map[string][]string{
	"cloud": {"/myself", "/project/search?maxResults=50&orderBy=name", "/project/ACME", "/project/ACME?expand=issueTypes", "/project/ACME/components",
		"/issue/createmeta?projectKeys=ACME&expand=projects.issuetypes.fields", "/user/picker?query=an", "/user/assignable/search?project=ACME", "/priority"},
	"datacenter": {"/myself", "/project", "/project/ACME", "/issue/createmeta/ACME/issuetypes", "/issue/createmeta/ACME/issuetypes/10002",
		"/project/ACME/components", "/user/picker?query=an", "/user/assignable/search?project=ACME", "/priority"},
}

var refusals = []request{
	{method: "GET", path: "/issue/ACME-1", code: "method_not_documented"},
	{method: "PUT", path: "/issue/ACME-1", body: createBody, code: "method_not_documented"},
	{method: "GET", path: "/search/jql?jql=project=ACME", code: "operation_not_documented"},
	{method: "GET", path: "/myself?os_authType=basic", code: "query_not_documented"},
	{method: "POST", path: "/issue", body: transitionBody, code: "body_not_allowed"},
	{method: "DELETE", path: "/issue/ACME-1", code: "issue_not_published"},
}

// caller is one program that calls through the gateway by one door.
type caller struct {
	*load
	name    string // of the client
	door    string
	client  *http.Client
	created map[string]string // the last issue by connection, not deleted yet
}

// newCaller makes a program with connections of its own.
func (l *load) newCaller(name, door string) *caller {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(l.rootPEM)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: new(http.Protocols), MaxIdleConnsPerHost: 4,
		// The port of a connection to the gateway, not a name, tells callers apart.
		DialContext: (&net.Dialer{Timeout: callTimeout}).DialContext,
	}
	transport.Protocols.SetHTTP1(door != "tunnels-h2")
	transport.Protocols.SetHTTP2(door == "tunnels-h2")
	if door != "base" {
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: l.proxy, User: url.UserPassword(name, l.tokens[name])})
	}
	l.mu.Lock()
	l.idle = append(l.idle, transport.CloseIdleConnections)
	l.mu.Unlock()
	return &caller{load: l, name: name, door: door, client: &http.Client{Transport: transport, Timeout: callTimeout}, created: map[string]string{}}
}

// call makes a call of the mix, at random.
func (c *caller) call(ctx context.Context, random *rand.Rand) {
	to := c.targets[random.IntN(len(c.targets))]
	r := request{to: to, kind: "read", method: "GET", path: reads[to.edition][random.IntN(len(reads[to.edition]))], status: 200}
	switch odds := random.Float64(); {
	case odds < 0.15 && c.created[to.connection] != "":
		r = request{to: to, kind: "delete", method: "DELETE", path: "/issue/" + c.created[to.connection], status: 204}
		delete(c.created, to.connection)
	case odds < 0.15:
		r = request{to: to, kind: "create", method: "POST", path: "/issue", body: createBody, status: 201}
	case odds < 0.25:
		r = refusals[random.IntN(len(refusals))]
		r.to, r.kind, r.status = to, "refused", 403
	case odds < 0.27: // tunnels are made anew now and then
		c.client.CloseIdleConnections()
	}
	o, body := c.do(ctx, r)
	if r.kind == "create" && o.status == 201 && o.err == nil {
		var issue struct{ Key string }
		if err := json.Unmarshal(body, &issue); err != nil || issue.Key == "" {
			c.ledger.violation("%s created an issue on %s that has no key: %s", c.name, to.connection, body)
			return
		}
		c.created[to.connection] = issue.Key
	}
}

// do makes a call, and judges what came of it.
func (c *caller) do(ctx context.Context, r request) (outcome, []byte) {
	id, traceparent := c.ledger.begin(false)
	began := time.Now()
	o, body := c.send(ctx, r, traceparent)
	c.ledger.end(id, r.kind, o)
	if o.err == nil && o.status == r.status && o.code == r.code {
		return o, body
	}
	if r.kind == "refused" {
		// It never gets as far as a fault.
		c.ledger.violation("%s by %s on %s: %s %s: %v, want %d %s", r.kind, c.door, r.to.connection, r.method, r.path, o, r.status, r.code)
		return o, body
	}
	fault := c.trouble.explains(r.to, began, o)
	if fault == "" {
		c.ledger.violation("%s by %s on %s: %s %s: %v after %v, want %d; no fault explains it (trace id %x): %.300s",
			r.kind, c.door, r.to.connection, r.method, r.path, o, time.Since(began).Round(time.Millisecond), r.status, id, body)
		return o, body
	}
	c.ledger.explain(fault)
	return o, body
}

// url is where a call goes by the caller's door.
func (c *caller) url(r request) string {
	version := "/rest/api/2"
	if r.to.cloud() {
		version = "/rest/api/3"
	}
	switch c.door {
	case "base":
		return "http://" + c.proxy + "/c/" + r.to.connection + version + r.path
	case "absolute":
		return "http://" + strings.TrimPrefix(r.to.url, "https://") + version + r.path
	}
	return r.to.url + version + r.path
}

func (c *caller) send(ctx context.Context, r request, traceparent string) (outcome, []byte) {
	q, err := http.NewRequestWithContext(ctx, r.method, c.url(r), strings.NewReader(r.body))
	if err != nil {
		return outcome{err: err}, nil
	}
	if r.body == "" {
		q.Body, q.GetBody, q.ContentLength = nil, nil, 0
	} else {
		q.Header.Set("Content-Type", "application/json")
	}
	q.Header.Set("Traceparent", traceparent)
	if c.door == "base" {
		q.SetBasicAuth(c.name, c.tokens[c.name])
		q.Header["Proxy-Authorization"] = q.Header["Authorization"]
		delete(q.Header, "Authorization")
	} else {
		q.Header.Set("Jira-Connection", r.to.connection)
	}
	response, err := c.client.Do(q)
	if err != nil {
		return outcome{err: errors.Unwrap(err)}, nil // without the URL
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	o := outcome{status: response.StatusCode, err: err}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/problem+json") {
		var p struct{ Code string }
		if json.NewDecoder(bytes.NewReader(body)).Decode(&p) != nil || p.Code == "" {
			o.err = fmt.Errorf("a refusal without a code: %s", body)
		}
		o.code = p.Code
	}
	return o, body
}

// rest stops everything until resume is called: no call is under way, nothing is made
// to fail, and no client keeps a connection.
func (l *load) rest() (resume func()) {
	l.gate.Lock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, closeIdle := range l.idle {
		closeIdle()
	}
	return l.gate.Unlock
}
