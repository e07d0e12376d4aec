package demo

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/internal/browser"
)

// faces is the demo's world with a browser in front of it.
type faces struct {
	*stage
	browser *browser.Browser
	origin  string       // of the console and of the public page
	token   string       // of the admin
	session *browser.Tab // where the admin is signed in
}

// What people do with the two faces of the gateway, the console and the public page, in
// a real browser. Each tab also fails its test if a page asks another host for
// anything, writes an error to the console or does what its own policy forbids.
func TestFaces(t *testing.T) {
	f := &faces{browser: browser.Start(t, browser.Options{})}
	f.stage = set(t, listeners{free("127.0.0.1:0"), free("127.0.0.1:0")})
	f.origin = "http://" + f.server.AdminAddr()
	token, err := os.ReadFile(filepath.Join(f.dir, "data", "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	f.token = strings.TrimSpace(string(token))
	f.session = f.tab(t)
	f.signIn(f.session)
	for _, part := range []struct {
		name string
		test func(*testing.T, *faces)
	}{
		{"every page", everyPage},
		{"keyboard", keyboard},
		{"find yesterday's refused calls", findRefusedCalls},
		{"connect a customer", connectCustomer},
		{"consent", consentInBrowser},
		{"live calls", liveCalls},
		{"text from outside", textFromOutside},
		{"without scripts", withoutScripts},
		{"charts", drawnCharts},
		{"local time", localTimes},
		{"downloads", downloads},
		{"print", printed},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, f) })
	}
}

// tab is one in which nobody is signed in.
func (f *faces) tab(t *testing.T) *browser.Tab {
	t.Helper()
	return f.browser.Tab(t, f.origin)
}

// signedIn is a new tab of the admin's.
func (f *faces) signedIn(t *testing.T) *browser.Tab {
	t.Helper()
	return f.session.Beside(t)
}

func (f *faces) signIn(tab *browser.Tab) {
	tab.Open(f.origin+"/console/", http.StatusOK)
	tab.Click("#token")
	tab.Type(f.token)
	tab.Follow("button[type=submit]", "Sign in")
}

// overview opens the first page, and counts clicks from there.
func (f *faces) overview(tab *browser.Tab) (clicks func() int) {
	tab.Open(f.origin+"/console/", http.StatusOK)
	before := tab.Clicks()
	return func() int { return tab.Clicks() - before }
}

// records are those in the log, newest first.
func (f *faces) records(t *testing.T, filter audit.Filter) (list []audit.Record) {
	t.Helper()
	for entry, err := range audit.Query(filepath.Join(f.dir, "data", "audit"), filter) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, entry.Record)
	}
	slices.Reverse(list)
	return list
}

// numbers are those that records are known by.
func numbers(records []audit.Record) (list []string) {
	for _, r := range records {
		list = append(list, strconv.FormatUint(r.Seq, 10))
	}
	return list
}

// shownNumbers are those of the records in the page's table, from top to bottom.
const shownNumbers = `[...document.querySelectorAll("#records tbody tr")].map((r) => r.dataset.seq)`

// yesterday is the day before now, in UTC.
func yesterday(now time.Time) (since, until time.Time) {
	today := now.UTC().Truncate(day)
	return today.Add(-day), today
}
