package gateway_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/privacy"
	"jiragate/internal/jirasim"
	"jiragate/tokenstore"
	"jiragate/tokenstore/keyset"
)

// Identifiers of these tests, and the address that their clients call from: nothing
// else on this machine has it.
const (
	project    = "ACME" // the simulator knows it
	issueKey   = "LEAKY-4711"
	issueID    = "98765432101"
	clientHost = "127.0.0.77"
)

// talkative is a store whose errors name issues.
type talkative struct{ gateway.Issues }

func (talkative) RecordIssue(_ context.Context, i tokenstore.PublishedIssue) error {
	return fmt.Errorf("recording issue %s: %w", i.Key, fmt.Errorf("%s is not of the form PROJECT-123", i.Key))
}

func (talkative) IssuePublished(_ context.Context, _, idOrKey string) (bool, error) {
	return false, fmt.Errorf("looking up %s: %w", idOrKey, fs.ErrClosed)
}

// private is a world with identifiers and addresses in that mode.
func private(t *testing.T, mode privacy.Mode) *world {
	keys := must(keyset.New())(t)
	return newWorld(t, change{gateway: func(w *world, o *gateway.Options) {
		o.Privacy = must(privacy.Open(privacy.Options{
			Identifiers: mode, ClientAddr: mode, Path: filepath.Join(w.dir, "audit-pseudonyms.json"), Sealer: keys,
		}))(t)
		o.Issues = talkative{o.Issues}
	}})
}

// far dials the proxy from the address of these tests.
func far(t *testing.T, w *world) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientHost)}}
	conn, err := d.Dial("tcp", w.proxy)
	if err != nil {
		t.Skipf("this machine has no %s: %v", clientHost, err)
	}
	return conn
}

// exerciseEveryDoor makes calls of each kind that name the identifiers.
func exerciseEveryDoor(t *testing.T, w *world) {
	t.Helper()
	client := w.billing()
	client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) { return far(t, w), nil }
	cloud, dc := "https://acme.atlassian.net/rest/api/3", w.sim.DataCenterURL()+"/rest/api/2"
	for _, c := range []struct{ method, url, body string }{
		{"GET", cloud + "/project/" + project, ""}, // allowed
		{"GET", cloud + "/project/%41CME", ""},     // the same
		{"GET", dc + "/project/" + project, ""},
		{"POST", cloud + "/issue", `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10001"},"summary":"x"}}`},
		{"DELETE", cloud + "/issue/" + issueKey, ""}, // the store fails
		{"DELETE", cloud + "/issue/" + issueID, ""},
		{"GET", cloud + "/issue/" + issueKey, ""},                    // method not documented
		{"GET", cloud + "/project/" + project + "?evil=1", ""},       // query not documented
		{"GET", cloud + "/issue/" + issueKey + "/comment", ""},       // not documented
		{"GET", cloud + "//issue/" + issueKey, ""},                   // malformed
		{"GET", cloud + "/issue;x=" + issueKey, ""},                  // malformed
		{"GET", cloud + "/issue%2F" + issueKey, ""},                  // malformed
		{"GET", cloud + "/search?jql=key=" + issueKey, ""},           // in a value
		{"GET", "https://acme.atlassian.net/browse/" + issueKey, ""}, // outside the API
		{"GET", w.sim.DataCenterURL() + "x/rest/api/2/issue/" + issueKey, ""},
	} {
		_, _ = w.try(client, c.method, c.url, c.body)
	}
	auth := "\r\nProxy-Authorization: " + basic("billing", w.token)
	for _, message := range []string{
		"GET http://unknown.example/rest/api/3/issue/" + issueKey + " HTTP/1.1\r\nHost: unknown.example" + auth,
		"GET http://u:" + issueKey + "@acme.atlassian.net/rest/api/3/issue/" + issueKey + " HTTP/1.1\r\nHost: acme.atlassian.net" + auth,
		"GET http://acme.atlassian.net/rest/api/3/issue/" + issueKey + " HTTP/1.1\r\nHost: acme.atlassian.net", // nobody
		"GET /c/acme/rest/api/3/issue/" + issueKey + " HTTP/1.1\r\nHost: x" + auth,
		"GET /c/nobody/rest/api/3/issue/" + issueKey + " HTTP/1.1\r\nHost: x" + auth,
		"GET /" + issueKey + "#" + issueKey + " HTTP/1.1\r\nHost: x" + auth,
		"GET http:" + issueKey + " HTTP/1.1\r\nHost: x" + auth,
		"CONNECT " + issueKey + " HTTP/1.1\r\nHost: x" + auth,
		"CONNECT unknown.example:443 HTTP/1.1\r\nHost: x" + auth,
		"GET /rest/api/3/issue/" + issueKey + "/%zz HTTP/1.1\r\nHost: x" + auth,
		"GET /" + strings.Repeat(issueKey+"/", 300) + " HTTP/1.1\r\nHost: x" + auth,
	} {
		conn := far(t, w)
		exchange(t, conn, message+"\r\nConnection: close\r\n\r\n")
		_ = conn.Close()
	}
	// A tunnel whose client does not trust the gateway: the error names addresses.
	for _, early := range []string{"", "\x16\x03\x01"} {
		conn := far(t, w)
		_, _ = io.WriteString(conn, "CONNECT acme.atlassian.net:443 HTTP/1.1\r\nHost: acme.atlassian.net"+auth+"\r\n\r\n"+early)
		if early == "" {
			_ = tls.Client(conn, &tls.Config{ServerName: "acme.atlassian.net"}).Handshake()
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, which the error says of which addresses
		}
		_ = conn.Close()
	}
	w.record(func(r audit.Record) bool { return r.Code == "tunnel_handshake_failed" })
	probe := must(w.gateway.Probe(t.Context(), "dc"))(t)
	if probe.Status != 200 {
		t.Errorf("probe: %+v", probe)
	}
}

// written is all that a gateway has written about calls: the folder of the audit log
// with its journals, the program's log, and the spans.
func (w *world) written() map[string]string {
	w.t.Helper()
	all := map[string]string{"log": w.log.String(), "spans": string(must(json.Marshal(w.spans.GetSpans()))(w.t))}
	err := filepath.WalkDir(filepath.Join(w.dir, "audit"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all[filepath.Base(path)] = string(must(os.ReadFile(path))(w.t))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// writtenDuringACall is written while a call is under way, so that a journal has its intent.
func (w *world) writtenDuringACall() (all map[string]string) {
	w.t.Helper()
	defer w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: 500 * time.Millisecond})()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = w.try(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/project/"+project, "")
	}()
	defer func() { <-over }()
	for {
		all = w.written()
		for name, text := range all {
			if strings.HasSuffix(name, ".journal") && strings.Contains(text, "project.get") {
				return all
			}
		}
		select {
		case <-over:
			return all
		case <-time.After(time.Millisecond):
		}
	}
}

func TestNoIdentifierIsLeft(t *testing.T) {
	for _, mode := range []privacy.Mode{privacy.Pseudonymise, privacy.Drop} {
		t.Run(string(mode), func(t *testing.T) {
			w := private(t, mode)
			exerciseEveryDoor(t, w)
			written, journal := w.writtenDuringACall(), false
			for name, text := range written {
				for _, identifier := range []string{project, issueKey, issueID, "LEAKY", clientHost} {
					if i := strings.Index(text, identifier); i >= 0 {
						t.Errorf("%s holds %s: …%s…", name, identifier, text[max(0, i-200):min(len(text), i+80)])
					}
				}
				journal = journal || strings.HasSuffix(name, ".journal") && strings.Contains(text, "project.get")
			}
			if !journal {
				t.Error("no journal with an intent was looked at")
			}
			for _, want := range []string{"/rest/api/3/project/", "http://unknown.example/rest/api/", "unknown.example:443"} {
				if !contains(w.records(), want) {
					t.Errorf("no record has %s", want)
				}
			}
		})
	}
}

// What net/http says of a connection quotes the address of its client.
func TestNoAddressInWhatTheServerSays(t *testing.T) {
	for _, mode := range []privacy.Mode{privacy.Pseudonymise, privacy.Drop, privacy.Keep} {
		t.Run(string(mode), func(t *testing.T) {
			w := private(t, mode)
			conn := w.tunnelOn(far(t, w), "acme.atlassian.net:443", "acme.atlassian.net", "h2")
			exchange(t, conn, "this is not what a client of HTTP/2 begins with")
			said := ""
			for range 500 {
				if said = w.log.String(); strings.Contains(said, "bogus greeting") {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if !strings.Contains(said, "bogus greeting") || strings.Contains(said, clientHost) != (mode == privacy.Keep) {
				t.Errorf("the log is %s", said)
			}
		})
	}
}

// The same calls show that the test above would see what is left.
func TestIdentifiersAreKeptUnlessToldOtherwise(t *testing.T) {
	w := private(t, privacy.Keep)
	exerciseEveryDoor(t, w)
	written := w.written()
	for name, wants := range map[string][]string{
		"log": {issueKey, clientHost}, "spans": {project, issueKey, clientHost},
	} {
		for _, want := range wants {
			if !strings.Contains(written[name], want) {
				t.Errorf("%s does not hold %s", name, want)
			}
		}
	}
	for _, want := range []string{"/rest/api/3/project/ACME", "/rest/api/3/issue/" + issueKey, "/rest/api/3/issue/" + issueID} {
		if !contains(w.records(), want) {
			t.Errorf("no record has %s", want)
		}
	}
}

// One issue has one pseudonym however it was spelled and whatever came of the call,
// and another one at another connection.
func TestPseudonymsOfCalls(t *testing.T) {
	w := private(t, privacy.Pseudonymise)
	client := w.billing()
	for _, url := range []string{
		"https://acme.atlassian.net/rest/api/3/project/ACME",
		"https://acme.atlassian.net/rest/api/3/project/%41CME",
		"https://acme.atlassian.net/rest/api/3/project/ACME?evil=1",
		"https://acme.atlassian.net/rest/api/3/project/ACME/components/1",
		w.sim.DataCenterURL() + "/rest/api/2/project/ACME",
	} {
		w.call(client, "GET", url, "")
	}
	pseudonyms := map[string]map[string]bool{"acme": {}, "dc": {}}
	addresses := map[string]bool{}
	for _, r := range w.records() {
		segments := strings.Split(r.Path, "/")
		pseudonyms[r.Connection][segments[5]] = true
		addresses[r.ClientAddr] = true
	}
	if len(pseudonyms["acme"]) != 1 || len(pseudonyms["dc"]) != 1 || len(addresses) != 1 {
		t.Errorf("pseudonyms %v, addresses %v", pseudonyms, addresses)
	}
	for p := range pseudonyms["acme"] {
		if pseudonyms["dc"][p] || !strings.HasPrefix(p, "~") {
			t.Errorf("both connections have %s", p)
		}
		w.eventuallySpan(p)
	}
}

// eventuallySpan waits for a span with the text: the server span ends after the
// answer.
func (w *world) eventuallySpan(text string) {
	w.t.Helper()
	for range 200 {
		for _, span := range w.spans.GetSpans() {
			for _, a := range span.Attributes {
				if a.Key == "url.path" && strings.Contains(a.Value.AsString(), text) {
					return
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Errorf("no span has %s", text)
}

func contains(records []audit.Record, path string) bool {
	for _, r := range records {
		if strings.HasPrefix(r.Path, path) {
			return true
		}
	}
	return false
}
