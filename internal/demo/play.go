package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"jiragate/gateway/audit"
	"jiragate/internal/jirasim"
)

// outcome is what came of a step: what its client saw, and its record.
type outcome struct {
	status  int
	body    []byte
	elapsed time.Duration
	record  audit.Record
	reached bool // Jira saw it
}

// play makes all calls, printing a row for each, and returns how many did not
// do what they should.
func (s *stage) play(ctx context.Context) (failed int, err error) {
	row := func(mark, operation, edition, decision, status, egress, elapsed string) {
		fmt.Fprintf(s.out, "%-2s %-24s %-11s %-32s %6s  %-15s %9s\n", mark, operation, edition, decision, status, egress, elapsed)
	}
	created := ""
	tell := func(st step) error {
		o, err := s.make(ctx, st, created)
		if err != nil {
			return fmt.Errorf("%s %s: %w", st.method, st.operation, err)
		}
		mark, decision := "ok", o.record.Decision
		if problem := st.problem(o); problem != "" {
			failed++
			mark, decision = "!!", problem
		} else if o.record.Code != "" {
			decision += " " + o.record.Code
		}
		if st.operation == "issue.create" {
			created = createdKey(o.body)
		}
		egress := o.record.EgressIP
		if egress == "" {
			egress = "-"
		}
		row(mark, st.operation, st.edition, decision, fmt.Sprint(o.status), egress, fmt.Sprintf("%.1f ms", float64(o.elapsed.Microseconds())/1000))
		return nil
	}
	fmt.Fprintf(s.out, "The %d documented operations, through the proxy. The published egress addresses are bound to\naddresses of this machine's loopback here.\n\n", len(documented))
	row("", "OPERATION", "EDITION", "DECISION", "STATUS", "EGRESS", "TIME")
	for _, st := range documented {
		if err := tell(st); err != nil {
			return failed, err
		}
	}
	fmt.Fprintf(s.out, "\n%d calls that must be refused:\n\n", len(refused))
	row("", "CALL", "EDITION", "DECISION", "STATUS", "EGRESS", "TIME")
	for _, st := range refused {
		if err := tell(st); err != nil {
			return failed, err
		}
	}
	return failed, nil
}

// problem says what of an outcome is not as it should be, or "".
func (st step) problem(o outcome) string {
	want := "allow"
	if st.code != "" {
		want = "deny"
	}
	switch {
	case o.status != st.status:
		return fmt.Sprintf("status %d, want %d", o.status, st.status)
	case o.record.Decision != want || o.record.Code != st.code:
		return fmt.Sprintf("%s %s, want %s %s", o.record.Decision, o.record.Code, want, st.code)
	case want == "allow" && o.record.Operation != st.operation:
		return "taken for " + o.record.Operation
	case o.reached != (want == "allow"):
		return fmt.Sprintf("reached Jira: %v", o.reached)
	}
	return ""
}

// make makes one call, by a client of its own, and finds its record.
func (s *stage) make(ctx context.Context, st step, created string) (o outcome, err error) {
	client, err := s.client(st.outsider)
	if err != nil {
		return o, err
	}
	defer client.CloseIdleConnections()
	target := strings.NewReplacer("SITE", s.sim.SiteURL(), "BASE", s.sim.DataCenterURL(), "CREATED", created).Replace(st.path)
	request, err := http.NewRequestWithContext(ctx, st.method, target, strings.NewReader(st.body))
	if err != nil {
		return o, err
	}
	if st.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, values := range st.header {
		request.Header[name] = values
	}
	s.sim.Reset()
	begun := time.Now()
	response, err := client.Do(request)
	o.elapsed = time.Since(begun)
	var refusedAtConnect *connectRefused
	switch {
	case errors.As(err, &refusedAtConnect):
		o.status = refusedAtConnect.status
	case err != nil:
		return o, err
	default:
		defer response.Body.Close()
		o.status = response.StatusCode
		if o.body, err = io.ReadAll(response.Body); err != nil {
			return o, err
		}
	}
	for _, r := range s.sim.Requests() {
		o.reached = o.reached || r.Origin != jirasim.AuthServer
	}
	o.record, err = s.newest()
	return o, err
}

// connectRefused is a refusal of the tunnel itself.
type connectRefused struct{ status int }

func (e *connectRefused) Error() string { return fmt.Sprintf("CONNECT was answered with %d", e.status) }

// client is the demo's client, or somebody with its name and no token.
func (s *stage) client(outsider bool) (*http.Client, error) {
	if outsider {
		return s.clientOf("demo", "wrong")
	}
	return s.clientOf("demo", s.token)
}

// clientOf is an HTTPS client as any program may have: a proxy, and a CA to trust.
func (s *stage) clientOf(name, token string) (*http.Client, error) {
	pem, err := os.ReadFile(filepath.Join(s.dir, "data", "ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	proxy := &url.URL{Scheme: "http", User: url.UserPassword(name, token), Host: s.server.ProxyAddr()}
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			Proxy:           http.ProxyURL(proxy),
			TLSClientConfig: &tls.Config{RootCAs: roots},
			OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
				if response.StatusCode != http.StatusOK {
					return &connectRefused{response.StatusCode}
				}
				return nil
			},
		},
	}, nil
}

// newest is the newest call record: the demo's client makes one call at a time.
func (s *stage) newest() (r audit.Record, err error) {
	for entry, err := range audit.Query(filepath.Join(s.dir, "data", "audit"), audit.Filter{Limit: 1}) {
		if err != nil {
			return r, err
		}
		r = entry.Record
	}
	return r, nil
}

func createdKey(body []byte) string {
	var issue struct{ Key string }
	if json.Unmarshal(body, &issue) != nil {
		return ""
	}
	return issue.Key
}
