package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"jiragate/tokenstore/secret"
)

// readable checks what is said of a request that is refused: it fits on a page, steers no
// terminal, and is a refusal of the API's own.
func readable(t *testing.T, err error) {
	t.Helper()
	p, ok := errors.AsType[*Problem](err)
	if !ok || p.Status < 400 || p.Status > 499 {
		t.Fatalf("no refusal of the request: %v", err)
	}
	if says := p.Error(); len(says) > 500 || !utf8.ValidString(says) || strings.ContainsFunc(says, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("the refusal has %d bytes: %.600q", len(says), says)
	}
}

// FuzzDecode: what is taken is one JSON object, in which encoding/json finds the same; a
// value is never repeated, since it may be a credential.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{"connection":"acme","month":"2026-11","sha256":"00"}`, `{"connection":"acme"} `, `{"connection":"acme"}}`, `{"connection":"acme"}]`, `{}{}`, `[]`, `null`, ``,
		`{"connection":17}`, `{"secret":"S3cret"}`, `{"S3cret":1}`, `{"` + strings.Repeat("x", 5000) + `":1}`, "{\"\\u001b[31m\":1}", "{\"connection\":\"\xff\"}", `{"Connection":"a","connection":"b"}`,
	} {
		f.Add(body, "application/json")
	}
	f.Add(`{}`, "application/json; charset=utf-8")
	f.Add(`{}`, "text/plain")
	f.Add(`{}`, "application/json;;")
	type body struct {
		Connection string `json:"connection"`
		Month      string `json:"month"`
		Number     int    `json:"number"`
	}
	f.Fuzz(func(t *testing.T, text, contentType string) {
		const value = "S3cretValue"
		text = strings.ReplaceAll(text, "S3cret", value)
		r := &http.Request{Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(text))}
		var read, want body
		if err := decode(httptest.NewRecorder(), r, &read); err != nil {
			readable(t, err)
			if strings.Contains(err.Error(), value) && !strings.Contains(err.Error(), "member") {
				t.Errorf("it repeats a value: %v", err)
			}
			return
		}
		if err := json.Unmarshal([]byte(text), &want); err != nil || read != want {
			t.Errorf("%q is %+v, and for encoding/json %+v: %v", text, read, want, err)
		}
		if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "application/json") {
			t.Errorf("a body of type %q was taken", contentType)
		}
	})
}

func TestUnknownMembersAreCutShort(t *testing.T) {
	for name, want := range map[string]string{
		"monht":                   `the body has an unknown member "monht"`,
		`\u001b[31m`:              `the body has an unknown member "\x1b[31m"`,
		strings.Repeat("x", 5000): `the body has an unknown member "` + strings.Repeat("x", 40) + `\u2026"`,
	} {
		r := &http.Request{Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(`{"` + name + `":1}`))}
		var body struct{}
		if err := decode(httptest.NewRecorder(), r, &body); err == nil || err.Error() != want {
			t.Errorf("%.20s: %v", name, err)
		}
	}
}

// FuzzParams: of a query that is taken each name is known and there once, and its value,
// of bounded length, is what net/url reads.
func FuzzParams(f *testing.F) {
	for _, query := range []string{
		"", "limit=10&after=acme", "limit=0", "limit=+5", "limit=18446744073709551616", "since=24h&until=2026-11-01", "since=soon", "decision=allow", "decision=maybe",
		"limit=", "limit=1&limit=2", "limit=1;after=x", "after=%ff", "after=%", "%1b[31m=1", strings.Repeat("x", 300) + "=1", "after=" + strings.Repeat("x", 300), "a%0ab=1",
	} {
		f.Add(query)
	}
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	names := []string{"after", "decision", "limit", "since", "until"}
	f.Fuzz(func(t *testing.T, query string) {
		p := paramsOf(&http.Request{URL: &url.URL{RawQuery: query}}, names...)
		var after, decision string
		var limit uint64
		var since time.Time
		if p.err == nil { // as a route does, which looks at the error once, at the end
			after, decision = p.text("after"), oneOf(p, "decision", "allow", "deny")
			limit, since = p.number("limit", 1, MaxPage, MaxPage), p.time("since", now, now)
		}
		if p.err != nil {
			readable(t, p.err)
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		for name, list := range values {
			if !slices.Contains(names, name) || len(list) != 1 || len(list[0]) > maxParam {
				t.Errorf("%q was taken: %q", query, name)
			}
		}
		if after != values.Get("after") || decision != values.Get("decision") || limit < 1 || limit > MaxPage || since.Location() != time.UTC {
			t.Errorf("%q: after %q, decision %q, limit %d, since %v", query, after, decision, limit, since)
		}
	})
}

// FuzzRefersTo: what names a record leads to a bounded part of the log.
func FuzzRefersTo(f *testing.F) {
	for _, ref := range []string{
		"1", "0", "-1", "007", "18446744073709551615", "9223372036854775807", "0199d3a0-7c11-7abc-8def-0123456789ab", "0199D3A0-7C11-7ABC-8DEF-0123456789AB",
		"{0199d3a0-7c11-7abc-8def-0123456789ab}", "ffffffff-ffff-7fff-bfff-ffffffffffff", "00000000-0000-4000-8000-000000000000",
	} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		filter, is, err := refersTo(ref)
		if err != nil {
			readable(t, err)
			return
		}
		bySeq := filter.Before > 1 && filter.Limit > 0
		byID := len(filter.Text) == 36 && strings.EqualFold(filter.Text, ref) && filter.Until.Sub(filter.Since) == beforeID+afterID
		if bySeq == byID || is == nil {
			t.Errorf("%q is %+v", ref, filter)
		}
	})
}

// FuzzHost: under a name that nobody gave the listener, no page of a foreign site reaches it.
func FuzzHost(f *testing.F) {
	for _, host := range []string{
		"localhost", "LOCALHOST:8081", "127.0.0.1", "127.0.0.2:1", "[::1]:8081", "::1", "gate.example:443", "GATE.example", "gate.example.", "gate.example.evil.example",
		"192.0.2.7", "[::ffff:127.0.0.1]", "localhost:80:80", "[localhost]", "2130706433", "127.1", "", "[::1%25lo]:1",
	} {
		f.Add(host)
	}
	g := Guard{Hosts: []string{"gate.example", "192.0.2.7"}}
	f.Fuzz(func(t *testing.T, host string) {
		if !g.hostAllowed(host) {
			return
		}
		if anywhere := (Guard{Hosts: g.Hosts, AnyAddress: true}); !anywhere.hostAllowed(host) {
			t.Errorf("%q is allowed, but not where each address is", host)
		}
		u, err := url.Parse("http://" + host + "/") // as a browser would read it
		if err != nil || u.Hostname() == "" {
			return // no browser sends it
		}
		name := strings.ToLower(u.Hostname())
		if name != "localhost" && !slices.Contains(g.Hosts, name) && !onThisMachine(name) {
			t.Errorf("%q is allowed, which is %q", host, name)
		}
	})
}

func onThisMachine(host string) bool {
	return strings.HasPrefix(host, "127.") || host == "::1" || strings.HasPrefix(host, "::1%") || strings.HasPrefix(host, "::ffff:127.") || strings.HasPrefix(host, "::ffff:7f") ||
		strings.HasSuffix(host, ":1") && strings.Trim(host, "0:1") == ""
}

// FuzzBearer: the API opens to its token alone, as one field says it.
func FuzzBearer(f *testing.F) {
	token := secret.New("jga_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
	for _, field := range []string{"Bearer " + token.Reveal(), "bearer " + token.Reveal(), "Bearer  " + token.Reveal(), "Basic " + token.Reveal(), token.Reveal(), "Bearer", ""} {
		f.Add(field)
	}
	want := digestOf(token)
	f.Fuzz(func(t *testing.T, field string) {
		r := &http.Request{Header: http.Header{"Authorization": {field}}}
		scheme, shown, _ := strings.Cut(field, " ")
		if right := strings.EqualFold(scheme, "Bearer") && shown == token.Reveal(); want.matches(r).right != right {
			t.Errorf("%q: the token is right: %v", field, right)
		}
		r.Header["Authorization"] = []string{field, field}
		if want.matches(r).right {
			t.Errorf("%q twice is taken", field)
		}
		if s := secret.New(field); CheckToken(s) == nil && (len(field) < MinToken || len(field) > MaxToken || strings.ContainsFunc(field, func(c rune) bool { return c <= ' ' || c > '~' })) {
			t.Errorf("%q can be a token", field)
		}
	})
}
