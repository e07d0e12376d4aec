package public_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html/atom"

	"jiragate/gateway/admin/public"
)

const (
	markup = "text/html; charset=utf-8"
	plain  = "text/plain; charset=utf-8"
)

func TestRoutes(t *testing.T) {
	for _, base := range []string{"/", "/public/", "/trust/jira/"} {
		h := pinned().handler(t, base)
		for _, test := range []struct {
			path, kind, download string
			open                 bool // to other origins
		}{
			{"", markup, "", false},
			{"files/index.html", markup, "", true},
			{"files/egress.json", "application/json", "", true},
			{"files/egress.csv", "text/csv; charset=utf-8", "egress.csv", true},
			{"files/egress.txt", plain, "", true},
			{"files/egress.nft", plain, "egress.nft", true},
			{"files/egress-iptables.sh", plain, "egress-iptables.sh", true},
			{"files/egress-nginx.conf", plain, "egress-nginx.conf", true},
			{"files/egress-aws-security-group.json", "application/json", "", true},
			{"files/egress-cloudflare.json", "application/json", "", true},
			{"files/egress-atlassian-allowlist.txt", plain, "", true},
			{"files/SHA256SUMS", plain, "", true},
			{"files/SHA256SUMS.note", plain, "SHA256SUMS.note", true},
			{"audit/audit-key.txt", plain, "", true},
			{"audit/audit-key.pem", plain, "audit-key.pem", true},
			{"audit/latest.checkpoint", plain, "latest.checkpoint", true},
		} {
			get, head := ask(h, "GET", base+test.path), ask(h, "HEAD", base+test.path)
			body, _ := io.ReadAll(get.Body)
			none, _ := io.ReadAll(head.Body)
			if get.StatusCode != http.StatusOK || head.StatusCode != http.StatusOK || len(body) == 0 || len(none) > 0 {
				t.Errorf("%s%s: GET %d with %d bytes, HEAD %d with %d", base, test.path, get.StatusCode, len(body), head.StatusCode, len(none))
			}
			want := map[string]string{
				"Content-Type": test.kind, "Cache-Control": "public, max-age=60", "Content-Disposition": "",
				"Access-Control-Allow-Origin": "", "Cross-Origin-Resource-Policy": "same-origin",
			}
			if test.open {
				want["Access-Control-Allow-Origin"], want["Cross-Origin-Resource-Policy"] = "*", "cross-origin"
			}
			if test.download != "" {
				want["Content-Disposition"] = `attachment; filename="` + test.download + `"`
			}
			if csp := get.Header.Get("Content-Security-Policy"); strings.HasSuffix(csp, "; sandbox") != (test.open && test.kind != markup) {
				t.Errorf("%s%s: the policy is %q", base, test.path, csp)
			}
			for _, answer := range []*http.Response{get, head} {
				for name, value := range want {
					if got := answer.Header.Get(name); got != value {
						t.Errorf("%s %s%s: %s is %q, want %q", answer.Request.Method, base, test.path, name, got, value)
					}
				}
				if answer.Header.Get("ETag") == "" || answer.Header.Get("Last-Modified") == "" {
					t.Errorf("%s%s has no ETag or time", base, test.path)
				}
			}
		}
	}
}

func TestElsewhereThereIsNothing(t *testing.T) {
	for _, test := range []struct {
		base, path string
		status     int
	}{
		{"/public/", "/public/nothing", 404},
		{"/public/", "/public/files/", 404},
		{"/public/", "/public/files/nothing", 404},
		{"/public/", "/public/files/../files/egress.json", 404},
		{"/public/", "/public/audit/", 404},
		{"/public/", "/public/assets/nothing.js", 404},
		{"/public/", "/public/assets/deeper/style.css", 404},
		{"/public/", "/public/index.html", 404},
		{"/public/", "/elsewhere", 404},
		{"/public/", "/", 404},
		{"/public/", "/public", 301},
		{"/", "/nothing", 404},
		{"/", "//", 404},
		{"/", "/public/", 404},
	} {
		h := pinned().handler(t, test.base)
		answer := ask(h, "GET", "http://gateway.example"+test.path)
		if answer.StatusCode != test.status {
			t.Errorf("%s below %s: %d, want %d", test.path, test.base, answer.StatusCode, test.status)
		}
		if answer.StatusCode == 301 && answer.Header.Get("Location") != test.base {
			t.Errorf("%s leads to %s", test.path, answer.Header.Get("Location"))
		}
		if !strings.Contains(answer.Header.Get("Cache-Control"), "no-store") && !strings.Contains(test.path, "/assets/") {
			t.Errorf("%s may be kept: %s", test.path, answer.Header.Get("Cache-Control"))
		}
	}
}

func TestServes(t *testing.T) {
	for _, test := range []struct {
		base, path string
		want       bool
	}{
		{"/public/", "/public/", true},
		{"/public/", "/public", true},
		{"/public/", "/public/files/egress.json", true},
		{"/public/", "/publicity", false},
		{"/public/", "/", false},
		{"/public/", "/v1/policy", false},
		{"/", "/", true},
		{"/", "/files/egress.json", true},
	} {
		if got := pinned().handler(t, test.base).Serves(test.path); got != test.want {
			t.Errorf("below %s, %s: %v", test.base, test.path, got)
		}
	}
}

func TestOnlyForReading(t *testing.T) {
	g := pinned()
	h := g.handler(t, "/")
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "BREW"} {
		for _, path := range []string{"/", "/files/egress.json", "/assets/style.css", "/nothing"} {
			answer := ask(h, method, path)
			if answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", method, path, answer.StatusCode, answer.Header.Get("Allow"))
			}
		}
	}
	if g.documents > 0 {
		t.Error("a page was made for what is refused")
	}
}

// Whatever the answer is, browsers keep it from being more than read, and there is no
// cookie.
func TestEveryAnswerIsStrict(t *testing.T) {
	broken := pinned()
	broken.failing = errOut
	for _, test := range []struct {
		g            *gateway
		method, path string
		status       int
	}{
		{pinned(), "GET", "/", 200},
		{pinned(), "GET", "/files/egress.json", 200},
		{pinned(), "GET", "/files/index.html", 200},
		{pinned(), "GET", "/audit/latest.checkpoint", 200},
		{pinned(), "GET", "/assets/style.css", 200},
		{pinned(), "GET", "/nothing", 404},
		{pinned(), "POST", "/", 405},
		{broken, "GET", "/", 503},
	} {
		answer := ask(test.g.handler(t, "/"), test.method, test.path, "Cookie", "a=b", "Origin", "https://evil.example")
		if answer.StatusCode != test.status {
			t.Fatalf("%s %s: %d", test.method, test.path, answer.StatusCode)
		}
		csp := answer.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s %s: the policy is %q, without %s", test.method, test.path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || answer.Header.Get("X-Content-Type-Options") != "nosniff" || answer.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s %s: %v", test.method, test.path, answer.Header)
		}
		if len(answer.Header.Values("Set-Cookie")) > 0 || answer.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s %s: %v", test.method, test.path, answer.Header)
		}
	}
}

// The page of the publication has a style of its own, which its policy lets through,
// and nothing else.
func TestPublishedPageKeepsItsStyle(t *testing.T) {
	for _, g := range []*gateway{pinned(), unpinned()} {
		h := g.handler(t, "/")
		styles := elements(parsed(t, read(t, h, "/files/index.html")), atom.Style)
		sum := sha256.Sum256([]byte(styles[0].FirstChild.Data))
		want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
		if csp := ask(h, "GET", "/files/index.html").Header.Get("Content-Security-Policy"); len(styles) != 1 || !strings.Contains(csp, want) || strings.Contains(csp, "script-src") {
			t.Errorf("%d styles; the policy is %q, want %s", len(styles), csp, want)
		}
	}
}

func TestUnchangedFilesAreNotSentAgain(t *testing.T) {
	g := pinned()
	h := g.handler(t, "/")
	for _, path := range []string{"/files/egress.json", "/audit/audit-key.pem", "/"} {
		before := ask(h, "GET", path)
		for name, value := range map[string]string{"If-None-Match": before.Header.Get("ETag"), "If-Modified-Since": before.Header.Get("Last-Modified")} {
			if answer := ask(h, "GET", path, name, value); answer.StatusCode != http.StatusNotModified || answer.Header.Get("Cache-Control") == "no-store" {
				t.Errorf("%s, %s: %d", path, name, answer.StatusCode)
			}
		}
	}
	before := ask(h, "GET", "/files/egress.json")
	g.advance(10 * time.Minute)
	if after := ask(h, "GET", "/files/egress.json"); after.Header.Get("Last-Modified") != before.Header.Get("Last-Modified") {
		t.Error("a file that stayed the same counts as changed")
	}
	g.locked(func() { g.document.SyncToken = "1795761001" })
	g.advance(public.Every)
	answer := ask(h, "GET", "/files/egress.json", "If-None-Match", before.Header.Get("ETag"))
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Last-Modified") == before.Header.Get("Last-Modified") {
		t.Errorf("a changed file: %d, %s", answer.StatusCode, answer.Header.Get("Last-Modified"))
	}
}

func TestNewRefuses(t *testing.T) {
	for base, says := range map[string]string{"public/": "base", "/public": "base", "//": "base", "/a//b/": "base", "/../": "base", `/"x"/`: "base"} {
		o := pinned().options(base)
		if _, err := public.New(o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", base, err)
		}
	}
	o := pinned().options("")
	if _, err := public.New(o); err != nil {
		t.Error(err)
	}
	o.Document = nil
	if _, err := public.New(o); err == nil || !strings.Contains(err.Error(), "document") {
		t.Error(err)
	}
}

func TestServerHasEveryLimit(t *testing.T) {
	var logged bytes.Buffer
	s := public.NewServer(pinned().handler(t, "/"), log.New(&logged, "", 0))
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("%+v", s)
	}
	if s.ErrorLog.Print("broken"); !strings.Contains(logged.String(), "broken") {
		t.Error("what goes wrong is not logged")
	}
}
