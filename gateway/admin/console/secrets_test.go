package console_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jiragate/gateway/admin/signin"
)

// tokens are what the gateway makes itself: tokens of clients, and of invitations.
var tokens = regexp.MustCompile(`jg[ci]_[A-Za-z0-9_-]{20,}`)

// What is secret comes in, and out again only where it is shown once.
func TestSecretsStayInside(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "admin")
	made := map[string]bool{}
	var shown []string // in each answer
	keep := func(what string, a answer, once bool) {
		t.Helper()
		all := a.body
		for name, values := range a.Header {
			if name != "Set-Cookie" {
				all += name + ": " + strings.Join(values, " ") + "\n"
			}
		}
		if strings.Contains(all, canary) {
			t.Errorf("%s: a secret is in the answer:\n%s", what, all)
		}
		found := tokens.FindAllString(all, -1)
		if (len(found) > 0) != once {
			t.Errorf("%s: the tokens %q are shown", what, found)
		}
		for _, token := range found {
			if made[token] {
				t.Errorf("%s: the token is shown again", what)
			}
			made[token] = true
		}
		shown = append(shown, all)
	}
	kinds := []struct {
		kind   string
		fields []string
		once   bool
	}{
		{"cloud", []string{"site_url", "https://c.atlassian.net"}, true},
		{"datacenter-basic", []string{"username", "u", "password", canary + "-1"}, false},
		{"datacenter-pat", []string{"token", canary + "-2"}, false},
		{"datacenter-oauth2", []string{"client_id", "id", "client_secret", canary + "-3"}, true},
		{"datacenter-oauth1", []string{"consumer_key", "key"}, true},
	}
	for _, k := range kinds {
		fields := append([]string{"kind", k.kind, "id", "x-" + k.kind}, k.fields...)
		if k.kind != "cloud" {
			fields = append(fields, "base_url", "https://"+k.kind+".example.com")
		}
		a := b.post("/console/connect", fields...)
		if a.StatusCode != http.StatusCreated && a.StatusCode != http.StatusSeeOther {
			t.Fatalf("adding %s: %s\n%s", k.kind, a.Status, a.body)
		}
		keep("adding "+k.kind, a, k.once)
		again := b.post("/console/connect", fields...)
		if again.StatusCode != http.StatusConflict {
			t.Errorf("adding %s again: %s", k.kind, again.Status)
		}
		keep("adding "+k.kind+" again", again, false)
		for i := 4; i < len(fields); i += 2 { // each of the fields is refused in turn, and those that aren't secret come back
			wrong := append([]string{}, fields...)
			wrong[3], wrong[i+1] = "y-"+k.kind, "\x01"+canary
			if fields[i] == "password" || fields[i] == "token" || fields[i] == "client_secret" {
				keep("adding "+k.kind+" with a bad "+fields[i], b.post("/console/connect", wrong...), false)
			}
		}
		bad := append([]string{}, fields...)
		bad[3] = "NOT AN ID"
		a = b.post("/console/connect", bad...)
		if a.StatusCode != http.StatusBadRequest || a.value("id") != "NOT AN ID" {
			t.Errorf("a bad form of %s: %s, with id %q", k.kind, a.Status, a.value("id"))
		}
		for _, name := range []string{"password", "token", "client_secret"} {
			if v := a.value(name); v != "" {
				t.Errorf("the %s comes back in the form as %q", name, v)
			}
		}
		keep("a bad form of "+k.kind, a, false)
		keep("the page of "+k.kind, b.get("/console/connections/x-"+k.kind), false)
	}
	keep("a link", b.post("/console/connections/acme/consent"), true)
	keep("replacing a password", b.post("/console/connections/basic/credential", "username", "u", "password", canary+"-4"), false)
	keep("replacing a token", b.post("/console/connections/pat/credential", "token", canary+"-5"), false)
	keep("replacing by a bad one", b.post("/console/connections/pat/credential", "token", canary+"\x01"), false)
	keep("replacing a grant", b.post("/console/connections/acme/credential", "token", canary+"-6", "client_secret", canary), false)
	keep("replacing nothing", b.post("/console/connections/none/credential", "password", canary+"-7"), false)
	keep("a viewer's", h.as(t, "viewer").post("/console/connections/basic/credential", "username", "u", "password", canary+"-8"), false)
	keep("no form of the session's", b.send("/console/connections/basic/credential", "username", "u", "password", canary+"-9"), false)
	keep("a new client", b.post("/console/add-client", "name", "n1", "connections", "acme"), true)
	keep("a new token", b.post("/console/clients/n1/rotate"), true)
	s := h.stranger(t)
	keep("a wrong admin token", s.send(signin.Path, "token", canary+"-wrong", "form", s.get(signin.Path).value("form")), false)
	keep("an admin token without a form", s.send(signin.Path, "token", adminToken), false)
	keep("the admin token", s.send(signin.Path, "token", adminToken, "form", s.get(signin.Path).value("form")), false)
	keep("a secret in an address", b.get("/console/connect?kind=datacenter-pat&token=jgc_x"), false)
	for _, page := range pages {
		keep(page, b.get(page), false)
	}
	keep("a report", b.post("/console/reports", "connection", "basic", "month", "2026-01", "format", "json"), false)
	if len(made) < 6 {
		t.Errorf("only %d tokens were made", len(made))
	}

	elsewhere := h.said.String()
	must(t, filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var content []byte
			content, err = os.ReadFile(path)
			elsewhere += string(content)
		}
		return err
	}))
	if !strings.Contains(elsewhere, "connection added") || !strings.Contains(elsewhere, "admin.client.rotate") {
		t.Fatal("neither log was read")
	}
	session := b.cookie("jiragate-session")
	for _, secret := range []string{canary, "PRIVATE KEY", session, b.csrf} {
		if strings.Contains(elsewhere, secret) {
			t.Errorf("a log holds %q", secret)
		}
	}
	for token := range made {
		if strings.Contains(elsewhere, token) {
			t.Errorf("a log holds %q", token)
		}
	}
	for _, a := range shown {
		if strings.Contains(a, session) || strings.Contains(a, "PRIVATE KEY") || strings.Contains(a, oidcSecret) {
			t.Error("an answer holds the key of the session, or a private key")
		}
	}
}

// What is shown once isn't made again by loading the page again: that says that it is
// there already, and what to do.
func TestShownOnce(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "admin")
	made := b.post("/console/add-client", "name", "fresh", "connections", "acme, basic")
	token := made.text("client-token")
	if made.StatusCode != http.StatusCreated || !tokens.MatchString(token) {
		t.Fatalf("%s, token %q", made.Status, token)
	}
	sum := func() [32]byte { c, _ := h.store.Directory().Client("fresh"); return c.TokenSHA256 }
	before := sum()
	again := b.post("/console/add-client", "name", "fresh", "connections", "acme, basic")
	if again.StatusCode != http.StatusConflict || tokens.MatchString(again.body) || !strings.Contains(again.body, "exists already") || !strings.Contains(again.body, "rotate fresh gives it a new token") {
		t.Errorf("again: %s\n%s", again.Status, again.body)
	}
	if sum() != before {
		t.Error("the token is another now")
	}
	if again.value("name") != "fresh" || again.value("connections") != "acme, basic" {
		t.Errorf("the form has lost %q %q", again.value("name"), again.value("connections"))
	}
	link := b.post("/console/connections/acme/consent").text("consent-link")
	if !strings.HasPrefix(link, h.server.URL+"/oauth/") {
		t.Errorf("the link is %q", link)
	}
	if a := b.get("/console/connections/acme"); a.text("consent-link") != "" {
		t.Error("the link is shown again")
	}
	done := b.post("/console/connections/basic/disable")
	if a := b.get(done.Header.Get("Location")); !strings.Contains(a.body, `<p class="notice good" role="status">The connection is disabled`) {
		t.Errorf("what was done isn't told:\n%s", a.body)
	}
	if a := b.post("/console/connections/basic/remove", "confirm", "basics"); a.StatusCode != http.StatusBadRequest {
		t.Errorf("removed without its id: %s", a.Status)
	}
	if _, there := h.store.Directory().Connection("basic"); !there {
		t.Error("it is removed")
	}
}
