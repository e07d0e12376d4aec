package page

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"
)

func set(t *testing.T) *Set {
	t.Helper()
	s, err := New(fstest.MapFS{
		"layout.html":  {Data: []byte(`<link rel="stylesheet" href="{{asset "style.css"}}">{{block "content" .}}{{end}}{{template "sign" .}}`)},
		"_parts.html":  {Data: []byte(`{{define "sign"}}<p>{{.}}</p>{{end}}`)},
		"first.html":   {Data: []byte(`{{define "content"}}first {{number 1234567}}{{end}}`)},
		"second.html":  {Data: []byte(`{{define "content"}}second{{end}}`)},
		"failing.html": {Data: []byte(`{{define "content"}}half {{.Nothing}}{{end}}`)},
	}, "/console/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWrite(t *testing.T) {
	s := set(t)
	w := httptest.NewRecorder()
	if err := s.Write(w, http.StatusForbidden, "first", "<script>"); err != nil {
		t.Fatal(err)
	}
	body := w.Body.String()
	for _, want := range []string{"first 1,234,567", "&lt;script&gt;", `href="/console/assets/style.css?v=`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not hold %q:\n%s", want, body)
		}
	}
	if strings.Contains(body, "second") {
		t.Error("the page holds another's content")
	}
	if w.Code != http.StatusForbidden || w.Header().Get("Cache-Control") != "no-store" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// Half a page is never written.
// Whatever was sent, what is shown is UTF-8, as the page says.
func TestRenderIsText(t *testing.T) {
	body, err := set(t).Render("second", "a\xffb\x00c\xe2\x28")
	if err != nil || !utf8.Valid(body) || !strings.Contains(string(body), "<p>a\ufffdb\ufffdc\ufffd(</p>") {
		t.Errorf("%q %v", body, err)
	}
}

func TestWriteFails(t *testing.T) {
	for _, name := range []string{"failing", "none"} {
		w := httptest.NewRecorder()
		if err := set(t).Write(w, http.StatusOK, name, "x"); err == nil {
			t.Errorf("%s: no error", name)
		}
		if w.Body.Len() > 0 || len(w.Header()) > 0 {
			t.Errorf("%s: %q %v was written", name, w.Body, w.Header())
		}
	}
}

func TestSecure(t *testing.T) {
	h := http.Header{}
	Secure(h)
	policy := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %q", want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
		t.Errorf("the policy lets too much through: %s", policy)
	}
}

func TestAssets(t *testing.T) {
	s := set(t)
	get := func(method, target string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.Assets().ServeHTTP(w, httptest.NewRequest(method, target, nil))
		return w
	}
	versioned := s.assets.url("page.js")
	for target, want := range map[string]string{
		versioned:                             "public, max-age=31536000, immutable",
		"/console/assets/page.js":             "no-store",
		"/console/assets/page.js?v=yesterday": "no-store",
	} {
		w := get("GET", target)
		if got := w.Header().Get("Cache-Control"); w.Code != 200 || got != want {
			t.Errorf("%s: %d, %q, want %q", target, w.Code, got, want)
		}
		if got := w.Header().Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: sniffing is allowed", target)
		}
	}
	for name, kind := range map[string]string{"style.css": "text/css", "page.js": "text/javascript", "uplot.js": "text/javascript", "uplot.LICENSE": "text/plain"} {
		if got := get("GET", "/console/assets/"+name).Header().Get("Content-Type"); !strings.HasPrefix(got, kind) {
			t.Errorf("%s is %q, want %s", name, got, kind)
		}
	}
	if got := get("GET", "/console/assets/../assets.go").Code; got != 404 {
		t.Errorf("a file that is none of the assets: %d", got)
	}
	if got := get("POST", versioned).Code; got != 405 {
		t.Errorf("POST: %d", got)
	}
}

// What a page loads loads nothing from elsewhere, and makes no markup of text.
func TestAssetsAreSelfContained(t *testing.T) {
	own := embedded("")
	foreign := regexp.MustCompile(`(?i)(url\(|@import|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|import\()`)
	for name, content := range own.content {
		if strings.HasSuffix(name, ".LICENSE") {
			continue
		}
		if found := foreign.FindString(string(content)); found != "" {
			t.Errorf("%s has %q", name, found)
		}
	}
	if len(own.content) < 4 {
		t.Errorf("only %d assets", len(own.content))
	}
}

func TestFunctions(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct{ got, want string }{
		{number(0), "0"}, {number(999), "999"}, {number(1000), "1,000"}, {number(-1234567), "-1,234,567"},
		{millis(0.5), "0.50 ms"}, {millis(12.34), "12.3 ms"}, {millis(1234.5), "1,235 ms"}, {millis(61000), "61.0 s"},
		{size(0), "0 B"}, {size(1536), "1.5 KiB"}, {size(3 << 20), "3.0 MiB"},
		{stamp(now), "2026-11-27T12:00:00Z"}, {date(now), "27 Nov 2026 12:00:00 UTC"}, {clock(now), "27 Nov 12:00 UTC"}, {day(now), "27 Nov 2026"}, {minute(now), "27 Nov 12:00"},
		{words("needs_reauthorisation"), "needs reauthorisation"},
		{short("0123456789abcdef"), "0123456789ab"}, {short("01"), "01"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}
