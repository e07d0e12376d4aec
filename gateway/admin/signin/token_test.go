package signin_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/admin/signin"
	"jiragate/tokenstore/secret"
)

func TestSignInByToken(t *testing.T) {
	h := newHouse(t, nil)
	b := h.browser()
	if a := b.token("canary-wrong"); a.StatusCode != http.StatusForbidden || a.page.Code != signin.CodeTokenWrong || b.signedIn() {
		t.Fatalf("a wrong token: %s %+v", a.Status, a.page)
	}
	if a := b.token(""); a.page.Code != signin.CodeTokenWrong || b.signedIn() {
		t.Fatalf("no token: %s %+v", a.Status, a.page)
	}
	a := b.token(" " + adminToken + "\n")
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/console/" || !b.signedIn() {
		t.Fatalf("the token: %s %+v", a.Status, a.page)
	}
	if s := h.shown(); s.Caller.Actor.Name != admin.AdminTokenActor || s.Caller.Role != admin.RoleAdmin {
		t.Errorf("signed in as %+v", s)
	}
	all := h.records()
	if len(all) != 2 || all[0].Code != signin.CodeTokenWrong || all[0].Decision != "deny" || all[1].Client != admin.AdminTokenActor || all[1].Decision != "allow" {
		t.Errorf("records %+v", all)
	}
	if strings.Contains(fmt.Sprint(h.said, all), canary) {
		t.Errorf("a token shows in %s %+v", h.said, all)
	}
}

// A foreign page can send a form, but it knows no value that goes with the cookie.
func TestFormsOfOthers(t *testing.T) {
	h := newHouse(t, nil)
	ada, eve := h.browser(), h.browser()
	eves := eve.get(signin.Path).page.Form
	for name, form := range map[string]string{"none": "", "Eve's": eves, "without a cookie": eves} {
		if a := ada.post(signin.Path, signin.FieldForm, form, signin.FieldToken, adminToken); a.StatusCode != http.StatusForbidden || a.page.Code != signin.CodeFormExpired || ada.signedIn() {
			t.Errorf("%s: %s %+v", name, a.Status, a.page)
		}
		ada.get(signin.Path) // has a cookie from now on
	}
}

func TestSignOutNeedsTheSessionsForm(t *testing.T) {
	h := newHouse(t, nil)
	ada, eve := h.browser(), h.browser()
	for _, b := range []*browser{eve, ada} { // Ada's session is shown last
		b.token(adminToken)
		b.signedIn()
	}
	adas := h.shown().CSRF
	eve.signedIn()
	for name, csrf := range map[string]string{"none": "", "Eve's": h.shown().CSRF, "cut": adas[1:]} {
		if a := ada.post(signin.SignOutPath, signin.FieldCSRF, csrf); a.StatusCode != http.StatusForbidden || a.page.Code != signin.CodeCSRF || !ada.signedIn() {
			t.Errorf("%s: %s", name, a.Status)
		}
	}
	if a := ada.post(signin.SignOutPath+"?csrf="+adas, "x", "y"); a.StatusCode != http.StatusForbidden {
		t.Errorf("in the query: %s", a.Status)
	}
	old := ada.cookie("__Host-jiragate-session")
	if a := ada.post(signin.SignOutPath, signin.FieldCSRF, adas); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != signin.Path {
		t.Errorf("Ada's own: %s", a.Status)
	}
	if ada.cookie("__Host-jiragate-session") != "" {
		t.Error("the browser still has the cookie")
	}
	req, _ := http.NewRequest(http.MethodGet, h.server.URL+"/console/", nil)
	req.Header.Set("Cookie", "__Host-jiragate-session="+old)
	if a := h.browser().do(req); a.StatusCode == http.StatusOK {
		t.Error("whoever kept the cookie is still signed in")
	}
	if !eve.signedIn() {
		t.Error("another session has ended, too")
	}
	if a := ada.post(signin.SignOutPath); a.StatusCode != http.StatusSeeOther {
		t.Errorf("signed out already: %s", a.Status)
	}
}

// The key of a session is new at each sign-in, and the one before is worth nothing.
func TestNoFixation(t *testing.T) {
	h := newHouse(t, nil)
	b := h.browser()
	const name = "__Host-jiragate-session"
	keys := map[string]bool{}
	var before string
	for range 3 {
		form := b.get(signin.Path + "?x").page.Form
		if form == "" { // signed in already: the form comes from another tab
			form = h.browserForm(b)
		}
		b.post(signin.Path, signin.FieldForm, form, signin.FieldToken, adminToken)
		now := b.cookie(name)
		if now == "" || keys[now] {
			t.Fatalf("the key is %q", now)
		}
		keys[now] = true
		if before != "" {
			req, _ := http.NewRequest(http.MethodGet, h.server.URL+"/console/", nil)
			req.AddCookie(&http.Cookie{Name: name, Value: before})
			if a := h.browser().do(req); a.StatusCode == http.StatusOK {
				t.Error("the session before hasn't ended")
			}
		}
		before = now
	}
}

// browserForm gets a form for a browser that is signed in: one whose session is hidden.
func (h *house) browserForm(b *browser) string {
	h.t.Helper()
	req, _ := http.NewRequest(http.MethodPost, h.server.URL+signin.Path, strings.NewReader("token=x"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(req).page.Form
}

func TestCookies(t *testing.T) {
	for _, secure := range []bool{true, false} {
		h := newHouse(t, nil, func(o *signin.Options) { o.Secure = secure })
		b := h.browser()
		page := b.get(signin.Path)
		done := b.post(signin.Path, signin.FieldForm, page.page.Form, signin.FieldToken, adminToken)
		prefix := ""
		if secure {
			prefix = "__Host-"
		}
		seen := map[string]int{}
		for _, c := range append(page.Cookies(), done.Cookies()...) {
			if !c.HttpOnly || c.Secure != secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || !strings.HasPrefix(c.Name, prefix+"jiragate-") {
				t.Errorf("secure %v: cookie %s", secure, c.Raw)
			}
			seen[strings.TrimPrefix(c.Name, prefix)] = c.MaxAge
		}
		// The one for the way is removed, that of the session goes with the browser.
		if want := map[string]int{"jiragate-signin": -1, "jiragate-session": 0, "jiragate-known": 30 * 24 * 3600}; fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("secure %v: cookies %v, want %v", secure, seen, want)
		}
	}
}

func TestGuessing(t *testing.T) {
	h := newHouse(t, nil)
	known := h.browser()
	known.token(adminToken)
	known.signedIn()
	known.post(signin.SignOutPath, signin.FieldCSRF, h.shown().CSRF)

	eve := h.browser()
	for i := range 10 {
		if a := eve.token("wrong"); a.page.Code != signin.CodeTokenWrong {
			t.Fatalf("try %d: %s %+v", i, a.Status, a.page)
		}
	}
	a := eve.token(adminToken) // even the right one
	wait, _ := strconv.Atoi(a.Header.Get("Retry-After"))
	if a.StatusCode != http.StatusTooManyRequests || a.page.Code != signin.CodeTooManyTries || wait < 1 || wait > 10 {
		t.Fatalf("%s %+v, Retry-After %d", a.Status, a.page, wait)
	}
	if a := h.browser().token("wrong"); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("another browser of the address: %s", a.Status)
	}
	if a := known.token(adminToken); a.StatusCode != http.StatusSeeOther {
		t.Errorf("a browser that had the token before: %s", a.Status)
	}
	h.clock.advance(time.Duration(wait) * time.Second)
	if a := eve.token("wrong"); a.page.Code != signin.CodeTokenWrong {
		t.Errorf("after waiting: %s", a.Status)
	}
	if a := eve.token("wrong"); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("and again: %s", a.Status)
	}
	h.clock.advance(10 * time.Second)
	if a := eve.token(adminToken); a.StatusCode != http.StatusSeeOther {
		t.Errorf("the right one, after waiting: %s", a.Status)
	}
	refused := 0
	for _, r := range h.records() {
		if r.Decision == "deny" {
			refused++
		}
	}
	if n := strings.Count(h.said.String(), "refused"); refused != 1 || n > 4 {
		t.Errorf("of a crowd of refusals there are %d records and %d lines", refused, n)
	}
}

// A sign-in that can't be recorded isn't one. Signing out is, all the same.
func TestWithoutRecords(t *testing.T) {
	full := false
	h := newHouse(t, nil, func(o *signin.Options) {
		open := o.Acts.Open
		o.Acts.Open = func() (act.Recorder, error) {
			if full {
				return nil, errors.New("no space left on device")
			}
			return open()
		}
	})
	ada, bob := h.browser(), h.browser()
	ada.token(adminToken)
	if !ada.signedIn() {
		t.Fatal("not signed in")
	}
	full = true
	if a := bob.token(adminToken); a.StatusCode != http.StatusServiceUnavailable || a.page.Code != signin.CodeRecordUnavailable || bob.signedIn() {
		t.Errorf("%s %+v", a.Status, a.page)
	}
	if ada.post(signin.SignOutPath, signin.FieldCSRF, h.shown().CSRF); ada.signedIn() {
		t.Error("still signed in")
	}
	if said := h.said.String(); !strings.Contains(said, "admin.signout") || !strings.Contains(said, "no space left") {
		t.Errorf("the log says %s", said)
	}
}

func TestDoorsThatAreShut(t *testing.T) {
	h := newHouse(t, nil)
	if a := h.browser().get(signin.OIDCPath); a.StatusCode != http.StatusNotFound {
		t.Errorf("OIDC without a provider: %s", a.Status)
	}
	p := newProvider(t)
	h = newHouse(t, p, func(o *signin.Options) { o.Token = secret.Secret{} })
	b := h.browser()
	page := b.get(signin.Path).page
	if page.Token || page.Provider == "" {
		t.Errorf("the page offers %+v", page)
	}
	for _, token := range []string{"", adminToken} {
		if a := b.post(signin.Path, signin.FieldForm, page.Form, signin.FieldToken, token); a.StatusCode != http.StatusMethodNotAllowed || b.signedIn() {
			t.Errorf("the token without one: %s", a.Status)
		}
	}
}
