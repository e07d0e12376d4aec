package consent_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"jiragate/gateway/admin/consent"
	"jiragate/gateway/audit"
	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/storetest"
)

func TestConsent(t *testing.T) {
	h := newHarness(t)
	h.addCloud(t, "acme", acmeSite)
	link := h.invite(t, "acme")
	b := h.browser()
	h.browser().get(t, link) // a mail scanner, which doesn't use the link up
	v := b.get(t, callback(b.start(t, link)))
	wantText(t, v, 200, "Your Jira is connected", "Ada <b>Admin</b>", acmeSite, "read:jira-work", "offline_access", "close this window", "acme")
	h.wantRecord(t, v, audit.DecisionAllow, "")
	c, _ := h.store.Directory().Connection("acme")
	if c.State != tokenstore.StateActive || c.CloudID != acmeID {
		t.Errorf("the connection is %s, cloud id %s", c.State, c.CloudID)
	}
	if _, err := h.store.Invitation(t.Context(), "acme"); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("the invitation is still there (%v)", err)
	}
	wantText(t, b.get(t, link), 404, "This link is not good (any more)", "there is nothing to do")
}

func TestDataCenter(t *testing.T) {
	h := newHarness(t)
	h.addDataCenter(t, "globex")
	h.sites = nil
	b := h.browser()
	v := b.get(t, callback(b.start(t, h.invite(t, "globex"))))
	wantText(t, v, 200, "Your Jira is connected", "https://jira.globex.com/jira")
	if strings.Contains(v.text, "read:jira-work") {
		t.Error("the page names scopes of Cloud")
	}
}

// A new consent for a connection that works takes the place of the old one.
func TestConsentAgain(t *testing.T) {
	h := newHarness(t)
	h.addCloud(t, "acme", acmeSite)
	for range 2 {
		b := h.browser()
		wantText(t, b.get(t, callback(b.start(t, h.invite(t, "acme")))), 200, "Your Jira is connected")
	}
}

func TestCookie(t *testing.T) {
	for _, tt := range []struct {
		redirect, name string
		secure         bool
	}{
		{redirectURL, "__Host-jiragate-consent", true},
		{"http://127.0.0.1:8081/oauth/callback", "jiragate-consent", false},
	} {
		h := newHarness(t, func(o *consent.Options) { o.RedirectURL = tt.redirect })
		h.addCloud(t, "acme", acmeSite)
		v := h.browser().get(t, h.invite(t, "acme"))
		cookies := (&http.Response{Header: v.header}).Cookies()
		if len(cookies) != 1 {
			t.Fatalf("%d cookies", len(cookies))
		}
		c := cookies[0]
		if c.Name != tt.name || c.Secure != tt.secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge <= 0 {
			t.Errorf("cookie %+v", c)
		}
	}
}

// Every error of the consenter ends on a page that says so.
func TestEndings(t *testing.T) {
	wrapped := func(err error) error { return fmt.Errorf("oauth: connection acme: %w", err) }
	sites := []oauth.Site{{ID: otherID, URL: "https://evil<script>alert(1)</script>.example", Name: "x"}}
	for _, tt := range []struct {
		name, connection string
		err              error
		status           int
		code             string
		texts            []string
		given            bool // the access may have been given
	}{
		{"denied", "acme", oauth.ErrConsentDenied, 403, "consent_denied", []string{"You did not give access", "Atlassian says", "still good"}, false},
		{"scopes missing and extra", "acme", &oauth.ScopeError{Missing: []string{"write:jira-work"}, Extra: []string{"manage:jira-configuration"}}, 403, "scopes", []string{"Missing write:jira-work", "Not asked for manage:jira-configuration"}, true},
		{"scopes of Data Center", "globex", &oauth.ScopeError{Missing: []string{"WRITE"}}, 403, "scopes", []string{"Missing WRITE", `"Write"`}, true},
		{"wrong site", "acme", &oauth.SiteError{Wanted: acmeSite, Found: sites}, 409, "wrong_site", []string{"another Jira site", "Wanted " + acmeSite, "https://evil<script>"}, true},
		{"no site", "acme", oauth.ErrNoSites, 409, "no_site", []string{"no Jira site"}, true},
		{"no refresh token", "acme", oauth.ErrNoRefreshToken, 502, "no_refresh_token", []string{"would end within hours"}, true},
		{"code refused", "acme", oauth.ErrCodeRefused, 400, "code_refused", []string{"took too long", "still good"}, false},
		{"not its state", "acme", oauth.ErrStateMismatch, 400, "state_unknown", []string{"can't be used (again)"}, false},
		{"unreachable", "acme", oauth.ErrUnavailable, 503, "provider_unavailable", []string{"gets no answer", "in a few minutes"}, false},
		{"unreachable Data Center", "globex", oauth.ErrUnavailable, 503, "provider_unavailable", []string{"Your Jira at jira.globex.com"}, false},
		{"too slow", "acme", context.DeadlineExceeded, 503, "provider_unavailable", []string{"gets no answer"}, false},
		{"clock", "globex", fmt.Errorf("%w: %w", oauth.ErrUnavailable, applink.ErrClock), 502, "clock", []string{"The clocks differ", "NTP"}, false},
		{"link refused", "globex", fmt.Errorf("%w, %w: %w", oauth.ErrNotConfigured, oauth.ErrClientRejected, applink.ErrConsumer), 502, "link_refused", []string{"does not accept the application link", "client id"}, false},
		{"key unusable", "globex", fmt.Errorf("%w: %w", oauth.ErrNotConfigured, applink.ErrKey), 503, "not_configured", []string{"not set up for this"}, false},
		{"client refused", "acme", fmt.Errorf("%w, %w", oauth.ErrNotConfigured, oauth.ErrClientRejected), 503, "not_configured", []string{"not set up for this", "nothing that you could mend"}, false},
		{"other region", "acme", oauth.ErrNotServed, 421, "other_region", []string{"another region"}, false},
		{"replaced", "acme", oauth.ErrReplaced, 410, "connection_removed", []string{"not there any more"}, true},
		{"removed", "acme", tokenstore.ErrNotFound, 410, "connection_removed", []string{"not there any more"}, true},
		{"bug", "acme", errors.New("S3cret cause, for the log at most"), 500, "internal", []string{"went wrong at the gateway", "still good"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t)
			h.addCloud(t, "acme", acmeSite)
			h.addDataCenter(t, "globex")
			link := h.invite(t, tt.connection)
			b := h.browser()
			state := b.start(t, link)
			h.finishErr = wrapped(tt.err)
			v := b.get(t, callback(state))
			wantText(t, v, tt.status, tt.texts...)
			decision := audit.DecisionDeny
			if tt.status >= 500 {
				decision = audit.DecisionAllow
			}
			h.wantRecord(t, v, decision, tt.code)
			if h.connected != 0 {
				t.Error("it was connected")
			}
			if back := strings.Contains(v.text, "take back the access"); back != tt.given {
				t.Errorf("the page tells how to take the access back: %t", back)
			}
			if tt.code == "internal" {
				h.log.Reset() // it holds the cause, as it should
			}

			// The same error at the beginning: the same page, a refusal. And the link is
			// good for another try.
			h.finishErr, h.beginErr = nil, tt.err
			v = b.get(t, link)
			wantText(t, v, tt.status, tt.texts...)
			h.wantRecord(t, v, audit.DecisionDeny, tt.code)
			if tt.code == "internal" {
				h.log.Reset()
			}
			h.beginErr = nil
			b.start(t, link)
		})
	}
}

func TestLinks(t *testing.T) {
	h := newHarness(t)
	h.addCloud(t, "acme", acmeSite)
	h.addCloud(t, "other", acmeSite)
	link := h.invite(t, "acme")
	_, token, _ := strings.Cut(link, "~")
	replaced := h.invite(t, "other")
	h.invite(t, "other")
	for name, target := range map[string]string{
		"no invitation":           "/oauth/start",
		"empty":                   "/oauth/start?invitation=",
		"cut off":                 link[:len(link)-1],
		"a character more":        link + "A",
		"another last character":  link[:len(link)-1] + "_",
		"of another connection":   "/oauth/start?invitation=other~" + token,
		"of an unknown one":       "/oauth/start?invitation=nobody~" + token,
		"twice":                   link + "&" + strings.TrimPrefix(link, "/oauth/start?"),
		"replaced by a newer one": replaced,
		"bad escape":              link + "%",
		"semicolon":               link + ";a=b",
		"endless":                 link + "&x=" + strings.Repeat("x", 10_000),
		"id that is none":         "/oauth/start?invitation=../acme~" + token,
	} {
		t.Run(name, func(t *testing.T) {
			v := h.browser().get(t, target)
			wantText(t, v, 404, "This link is not good (any more)", "Ask whoever sent you the link")
			if strings.Contains(v.text, "acme") {
				t.Error("the page tells a stranger which connections there are")
			}
		})
	}
	if n := len(h.records(t)); n > 0 {
		t.Errorf("strangers have made %d records", n)
	}
	if h.serial > 0 {
		t.Error("consent was asked for")
	}

	h.advance(7*24*time.Hour - time.Second)
	h.browser().start(t, link)
	h.advance(time.Second)
	v := h.browser().get(t, link)
	wantText(t, v, 410, "This link has expired", "for a new one")
	if n := len(h.records(t)); n > 0 {
		t.Errorf("whoever holds a link that has expired has made %d records", n)
	}
	if !strings.Contains(h.log.String(), "link_expired") {
		t.Error("the log doesn't tell of the link that has expired")
	}
	if err := storetest.Remove(t.Context(), h.store, "acme"); err != nil {
		t.Fatal(err)
	}
	wantText(t, h.browser().get(t, link), 404, "not good")
}

func TestNotConfigured(t *testing.T) {
	for name, change := range map[string]func(*consent.Options){
		"no consenter":    func(o *consent.Options) { o.Consenter = nil },
		"no redirect URL": func(o *consent.Options) { o.RedirectURL = "" },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, change)
			h.addCloud(t, "acme", acmeSite)
			v := h.browser().get(t, h.invite(t, "acme"))
			wantText(t, v, 503, "not set up for this yet")
			h.wantRecord(t, v, audit.DecisionDeny, "not_configured")
		})
	}
}

func TestRedirectURL(t *testing.T) {
	for _, bad := range []string{"gate.example/oauth/callback", "https:///oauth/callback", "https://gate.example/callback", "ftp://gate.example/oauth/callback", "https://gate.example/oauth/callback?x=y", "\x7f"} {
		if _, err := consent.New(consent.Options{RedirectURL: bad}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestHostileCallbacks(t *testing.T) {
	type edit = func(*http.Request)
	for _, tt := range []struct {
		name   string
		target func(state string) string
		edits  []edit
		status int
		code   string // in a record; empty if there is none
		text   string
		dead   bool // the state is good no more
	}{
		{"no state", func(string) string { return "/oauth/callback?code=" + code }, nil, 400, "", "can't be used", false},
		{"empty state", func(string) string { return "/oauth/callback?state=&code=" + code }, nil, 400, "", "can't be used", false},
		{"unknown state", func(string) string { return callback("guess") }, nil, 400, "", "can't be used", false},
		{"half of the state", func(s string) string { return callback(s[:len(s)-1]) }, nil, 400, "", "can't be used", false},
		{"state as a request token", func(s string) string { return "/oauth/callback?oauth_token=" + s + "&oauth_verifier=x" }, nil, 400, "", "can't be used", false},
		{"state twice", func(s string) string { return callback(s) + "&state=" + s }, nil, 400, "", "can't be used", false},
		{"code twice", func(s string) string { return callback(s) + "&code=S3cretOther" }, nil, 400, "", "can't be used", false},
		{"bad escape", func(s string) string { return callback(s) + "%zz" }, nil, 400, "", "can't be used", false},
		{"too long", func(s string) string { return callback(s) + "&x=" + strings.Repeat("x", 10_000) }, nil, 400, "", "can't be used", false},
		{"HEAD", callback, []edit{func(r *http.Request) { r.Method = "HEAD" }}, 405, "", "another use", false},
		{"POST", callback, []edit{func(r *http.Request) { r.Method = "POST"; r.Header.Set("Sec-Fetch-Site", "same-origin") }}, 405, "", "another use", false},
		{"foreign browser", callback, []edit{func(r *http.Request) { r.Header.Del("Cookie") }}, 403, "foreign_browser", "in the browser where you began", true},
		{"cookie of another browser", callback, []edit{func(r *http.Request) {
			r.Header.Set("Cookie", "__Host-jiragate-consent="+strings.Repeat("A", 43))
		}}, 403, "foreign_browser", "ask them why", true},
		{"cookie that is none", callback, []edit{func(r *http.Request) { r.Header.Set("Cookie", "__Host-jiragate-consent=x") }}, 403, "foreign_browser", "in the browser where you began", true},
		{"cookie without its prefix", callback, []edit{func(r *http.Request) {
			r.Header.Set("Cookie", strings.TrimPrefix(r.Header.Get("Cookie"), "__Host-"))
		}}, 403, "foreign_browser", "in the browser where you began", true},
		{"an error and a code", func(s string) string { return callback(s) + "&error=access_denied" }, nil, 403, "consent_denied", "You did not give access", true},
		{"markup in a parameter", func(s string) string { return callback(s) + "&error=access_denied&error_description=<script>" }, nil, 403, "consent_denied", "You did not give access", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t)
			h.addCloud(t, "acme", acmeSite)
			b := h.browser()
			state := b.start(t, h.invite(t, "acme"))
			v := b.do(t, http.MethodGet, tt.target(state), nil, tt.edits...)
			wantText(t, v, tt.status, tt.text)
			if tt.code != "" {
				h.wantRecord(t, v, audit.DecisionDeny, tt.code)
			} else if n := len(h.records(t)); n > 0 {
				t.Errorf("a stranger has made %d records", n)
			}
			if h.connected > 0 {
				t.Fatal("it was connected")
			}
			// Whoever began can go on, unless their state was seen.
			after := b.get(t, callback(state))
			if ok := after.status == 200; ok == tt.dead {
				t.Errorf("afterwards: %d", after.status)
			}
		})
	}
}

func TestStateIsGoodOnceAndForTenMinutes(t *testing.T) {
	h := newHarness(t)
	h.addCloud(t, "acme", acmeSite)
	link := h.invite(t, "acme")
	b := h.browser()
	late, good := b.start(t, link), ""
	h.advance(time.Second)
	good = b.start(t, link)
	h.advance(10*time.Minute - time.Second)
	wantText(t, b.get(t, callback(late)), 400, "within ten minutes")
	wantText(t, b.get(t, callback(good)), 200, "connected")
	wantText(t, b.get(t, callback(good)), 400, "all is well")
	if h.connected != 1 {
		t.Errorf("connected %d times", h.connected)
	}
}

// A state leads to the connection that it was made for, and no other.
func TestTwoConnectionsInOneBrowser(t *testing.T) {
	h := newHarness(t)
	h.addCloud(t, "acme", acmeSite)
	h.addCloud(t, "other", "https://other.atlassian.net")
	b := h.browser()
	first, second := b.start(t, h.invite(t, "acme")), b.start(t, h.invite(t, "other"))
	v := b.get(t, callback(second))
	wantText(t, v, 409, "another Jira site", "Wanted https://other.atlassian.net", "Found "+acmeSite)
	wantText(t, b.get(t, callback(first)), 200, "connected")
	if c, _ := h.store.Directory().Connection("other"); c.State != tokenstore.StateNeedsReauthorisation {
		t.Errorf("other is %s", c.State)
	}
}

// Of two that race with one link, one connects, at the last moment at which the
// other could have.
func TestTwoBrowsersRace(t *testing.T) {
	h := newHarness(t)
	h.addCloud(t, "acme", acmeSite)
	link := h.invite(t, "acme")
	var both sync.WaitGroup
	both.Add(2)
	h.finishing = func() { both.Done(); both.Wait() }
	views := make([]view, 2)
	var done sync.WaitGroup
	for i := range views {
		b := h.browser()
		state := b.start(t, link)
		done.Go(func() { views[i] = b.get(t, callback(state)) })
	}
	done.Wait()
	if views[0].status != 200 {
		views[0], views[1] = views[1], views[0]
	}
	wantText(t, views[0], 200, "connected")
	wantText(t, views[1], 409, "used by somebody else", "take back the access")
	h.wantRecord(t, views[1], audit.DecisionDeny, "link_used")
	if h.connected != 1 {
		t.Errorf("connected %d times", h.connected)
	}
}

// One state that comes from the right browser twice at once.
func TestOneStateRace(t *testing.T) {
	h := newHarness(t)
	h.addCloud(t, "acme", acmeSite)
	b := h.browser()
	state := b.start(t, h.invite(t, "acme"))
	var ok, refused int
	var mu sync.Mutex
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			twin := &browser{h: h, cookies: map[string]string{"__Host-jiragate-consent": b.cookies["__Host-jiragate-consent"]}}
			v := twin.get(t, callback(state))
			mu.Lock()
			defer mu.Unlock()
			if v.status == 200 {
				ok++
			} else if v.status == 400 {
				refused++
			}
		})
	}
	done.Wait()
	if ok != 1 || refused != 7 {
		t.Errorf("%d connected, %d refused", ok, refused)
	}
}

func TestConnectionRemovedMeanwhile(t *testing.T) {
	h := newHarness(t)
	h.addCloud(t, "acme", acmeSite)
	for _, again := range []bool{false, true} {
		b := h.browser()
		if again {
			h.addCloud(t, "acme", acmeSite)
		}
		state := b.start(t, h.invite(t, "acme"))
		if err := storetest.Remove(t.Context(), h.store, "acme"); err != nil {
			t.Fatal(err)
		}
		if again { // another connection of the same id is none of the visitor's business
			h.addCloud(t, "acme", acmeSite)
		}
		wantText(t, b.get(t, callback(state)), 410, "not there any more", "take back the access")
	}
	if h.connected != 0 {
		t.Error("it was connected")
	}
}

// A failure that is ours costs no link; and brings none back that another has ended.
func TestConnectFails(t *testing.T) {
	for _, tt := range []struct {
		name      string
		meanwhile func(t *testing.T, h *harness)
		good      bool
	}{
		{"nothing else", func(*testing.T, *harness) {}, true},
		{"an operator makes a newer link", func(t *testing.T, h *harness) { h.invite(t, "acme") }, false},
		{"the connection is another", func(t *testing.T, h *harness) {
			if err := storetest.Remove(t.Context(), h.store, "acme"); err != nil {
				t.Error(err)
			}
			h.addCloud(t, "acme", acmeSite)
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t)
			h.addCloud(t, "acme", acmeSite)
			link := h.invite(t, "acme")
			h.connect = func(*oauth.Granted, oauth.Site) error {
				tt.meanwhile(t, h)
				return errors.New("disk gone")
			}
			b := h.browser()
			v := b.get(t, callback(b.start(t, link)))
			wantText(t, v, 500, "went wrong at the gateway", "take back the access")
			h.wantRecord(t, v, audit.DecisionAllow, "internal")
			h.connect = nil
			if !tt.good {
				wantText(t, b.get(t, link), 404, "not good")
				return
			}
			wantText(t, b.get(t, callback(b.start(t, link))), 200, "connected")
		})
	}
}

func TestNothingWithoutRecord(t *testing.T) {
	h := newHarness(t)
	h.addCloud(t, "acme", acmeSite)
	link := h.invite(t, "acme")
	b := h.browser()
	state := b.start(t, link)
	h.auditErr = audit.ErrUnavailable
	wantText(t, b.get(t, callback(state)), 503, "can't keep a record", "still good")
	if len(h.answers) > 0 || h.connected > 0 {
		t.Error("the code was exchanged without a record")
	}
	h.auditErr = nil
	wantText(t, b.get(t, callback(b.start(t, link))), 200, "connected")
}

func TestFirstCallFails(t *testing.T) {
	h := newHarness(t)
	h.addCloud(t, "acme", acmeSite)
	h.tested = consent.Tested{Reason: "Jira answered <script>403</script>\u202e"}
	b := h.browser()
	v := b.get(t, callback(b.start(t, h.invite(t, "acme"))))
	wantText(t, v, 200, "the first call did not work", "Jira answered <script>403</script>", "you need not consent again")
	h.wantRecord(t, v, audit.DecisionAllow, "")

	if err := h.store.SetState(t.Context(), "acme", tokenstore.StateDisabled, "by an operator"); err != nil {
		t.Fatal(err)
	}
	wantText(t, b.get(t, callback(b.start(t, h.invite(t, "acme")))), 200, "switched off")
}

func TestBusy(t *testing.T) {
	h := newHarness(t)
	h.addCloud(t, "acme", acmeSite)
	h.addCloud(t, "other", acmeSite)
	link := h.invite(t, "acme")
	var in, done sync.WaitGroup
	release := make(chan struct{})
	in.Add(4)
	h.finishing = func() { in.Done(); <-release }
	for range 4 {
		b := h.browser()
		state := b.start(t, link)
		done.Go(func() { b.get(t, callback(state)) })
	}
	in.Wait()
	v := h.browser().get(t, link)
	wantText(t, v, 503, "Too much at once")
	if v.header.Get("Retry-After") == "" {
		t.Error("the page says not when")
	}
	h.browser().start(t, h.invite(t, "other")) // one slow Jira is no other's business
	close(release)
	done.Wait()
	h.finishing = nil
	wantText(t, h.browser().get(t, link), 404, "not good") // one of the four has used it
}

func TestStyle(t *testing.T) {
	h := newHarness(t)
	for method, status := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405} {
		r, err := http.NewRequest(method, "/oauth/style.css", nil)
		if err != nil {
			t.Fatal(err)
		}
		w := newRecorder()
		h.flow.ServeHTTP(w, r)
		if w.Code != status || status == 200 && !strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
			t.Errorf("%s: %d %s", method, w.Code, w.Header().Get("Content-Type"))
		}
	}
	for path, serves := range map[string]bool{"/oauth/start": true, "/oauth/callback": true, "/oauth/site": true, "/oauth/style.css": true, "/oauth/": false, "/oauth/start/": false, "/v1/connections": false, "/oauth/../v1": false} {
		if h.flow.Serves(path) != serves {
			t.Errorf("Serves(%s) is %t", path, !serves)
		}
	}
}

func siteForm(token, site string) url.Values { return url.Values{"token": {token}, "site": {site}} }
