package demo

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/internal/browser"
	"jiragate/internal/jirasim"
)

// Three clicks at most lead from the overview to yesterday's refused calls of one
// customer, on either way.
func findRefusedCalls(t *testing.T, f *faces) {
	const most = 3
	ways := map[string]func(tab *browser.Tab){
		"by the refused calls": func(tab *browser.Tab) {
			tab.Follow("nav a", "Refused calls")
			tab.Click("#connection")
			tab.Type("globex")
			tab.Follow("button", "Yesterday")
		},
		"by the customer": func(tab *browser.Tab) {
			tab.Follow("nav a", "Connections")
			tab.Follow("main th a", "globex")
			tab.Follow("main a", "Refused yesterday")
		},
	}
	tab := f.signedIn(t)
	for _, width := range []int{wide, narrow} {
		tab.Size(width, high)
		for name, way := range ways {
			clicks := f.overview(tab)
			begun := time.Now()
			way(tab)
			if n := clicks(); n > most {
				t.Errorf("%s: %d clicks, %d are enough", name, n, most)
			}
			if title := tab.Text("h1"); title != "Refused calls of globex" {
				t.Errorf("%s: the page is called %q", name, title)
			}
			got := browser.Eval[[]string](tab, shownNumbers)
			for browser.Eval[bool](tab, `!!document.querySelector("a[rel=next]")`) {
				tab.Follow("a[rel=next]")
				got = append(got, browser.Eval[[]string](tab, shownNumbers)...)
			}
			// The day may have changed meanwhile.
			want := f.refusedOn(t, begun)
			if !slices.Equal(got, want) && !slices.Equal(got, f.refusedOn(t, time.Now())) {
				t.Errorf("%s: %d records, %.40q…, want %d, %.40q…", name, len(got), got, len(want), want)
			}
			if len(got) < 100 && yesterdayIsStill(begun) {
				t.Errorf("%s: %d records, and yesterday globex had many", name, len(got))
			}
		}
	}
}

// refusedOn are the refused calls of globex on the day before now.
func (f *faces) refusedOn(t *testing.T, now time.Time) []string {
	t.Helper()
	since, until := yesterday(now)
	return numbers(f.records(t, audit.Filter{Connection: "globex", Decision: audit.DecisionDeny, Kind: audit.KindCall, Since: since, Until: until}))
}

// yesterdayIsStill reports whether the day has not changed since the demo was set up.
func yesterdayIsStill(begun time.Time) bool {
	return time.Now().UTC().Truncate(day).Equal(begun.UTC().Add(-10 * time.Minute).Truncate(day))
}

// Four clicks at most lead from the overview to the link for a new customer, copied.
func connectCustomer(t *testing.T, f *faces) {
	const most = 4
	tab := f.signedIn(t)
	tab.MayReadClipboard(f.origin)
	clicks := f.overview(tab)
	tab.Follow("main a", "Connect a customer")
	tab.Click("#id")
	tab.Type("sirius-cybernetics")
	tab.Follow("main button", "Make the link")
	tab.Click("main button.copy", "Copy")
	tab.Until(`[...document.querySelectorAll("main button.copy")].some((b) => b.textContent === "Copied")`)
	if n := clicks(); n > most {
		t.Errorf("%d clicks, %d are enough", n, most)
	}
	link := tab.Text("#consent-link")
	if !strings.HasPrefix(link, f.origin+"/oauth/") {
		t.Errorf("the link doesn't lead to %s", f.origin)
	}
	if copied := browser.Eval[string](tab, "navigator.clipboard.readText()"); copied != link {
		t.Error("what was copied is not the link")
	}
	tab.Open(f.origin+"/console/connections/sirius-cybernetics", http.StatusOK)
	if strings.Contains(browser.Eval[string](tab, "document.documentElement.outerHTML"), link) {
		t.Error("the link is shown again")
	}
}

// The administrator of the customer's Jira, who has another browser, opens the link and
// consents; then the connection can be used.
func consentInBrowser(t *testing.T, f *faces) {
	f.sim.SetConsent(jirasim.ConsentPage)
	console := f.signedIn(t)
	console.Open(f.origin+"/console/connections/acme-labs", http.StatusOK)
	if state := console.Text("h1 .badge"); state == "active" {
		t.Fatal("acme-labs has consented already")
	}
	console.Follow("main button", "Make a new link")
	link := console.Text("#consent-link")

	// The simulator's certificate is by no known authority.
	theirs := browser.Start(t, browser.Options{AnyCertificate: true}).Tab(t, f.origin, f.sim.AuthURL())
	theirs.Open(link, http.StatusOK)
	if at := theirs.Location(); !strings.HasPrefix(at, f.sim.AuthURL()+"/") {
		t.Fatalf("the link leads to %s", at)
	}
	theirs.Follow("button", "Accept")
	if at := theirs.Location(); !strings.HasPrefix(at, f.origin+"/oauth/callback") {
		t.Errorf("from the consent one comes back to %s", at)
	}
	for _, scheme := range []string{"light", "dark"} {
		theirs.Scheme(scheme)
		for _, v := range theirs.Violations() {
			t.Errorf("the page after the consent, %s: %s", scheme, v)
		}
	}

	console.Open(f.origin+"/console/connections/acme-labs", http.StatusOK)
	if state := console.Text("h1 .badge"); state != "active" {
		t.Errorf("after the consent the connection is %q", state)
	}
	console.Follow("main button", "Test")
	if got := console.Text("main .notice"); !strings.HasPrefix(got, "Jira answered") {
		t.Errorf("a test of the connection: %s", got)
	}
}
