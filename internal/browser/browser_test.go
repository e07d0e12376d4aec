package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pages are what the server of these tests has.
var pages = map[string]string{
	"/good":       `<script src="good.js"></script><h1>Good</h1>`,
	"/good.js":    `document.title = "scripts run"`,
	"/elsewhere":  `<h1>Elsewhere</h1><img alt="" src="http://127.0.0.2:9/dot.png">`,
	"/console":    `<h1>Console</h1><script src="console.js"></script>`,
	"/console.js": `console.error("no good"); document.title = "done"`,
	"/throws":     `<h1>Throws</h1><script src="throws.js"></script>`,
	"/throws.js":  `document.title = "done"; throw new Error("thrown")`,
	"/inline":     `<h1>Inline</h1><img src="dot.png" alt="" onerror="document.title = 'ran'">`,
	"/lacks":      `<h1>Lacks</h1><script src="missing.js"></script>`,
	"/hands": `<h1>Hands</h1><script src="hands.js"></script><button id="first">One</button><button>Two</button>
		<label>Name <input id="name"></label><div id="covered" class="wide">under</div><a href="good">Onwards</a>`,
	"/hands.js": `addEventListener("click", (e) => { document.title += e.target.textContent + e.isTrusted; })`,
	"/bad":      `<h2>Second</h2><input id="nameless"><p class="pale">pale</p>`,
	"/style.css": `:root { color-scheme: light dark; } .pale { color: #000; background: #fff; } @media (prefers-color-scheme: dark) { .pale { background: #111; } }
		@media print { h1 { display: none; } }`,
}

func serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data: http://127.0.0.2:9")
		switch {
		case strings.HasSuffix(r.URL.Path, ".js"):
			w.Header().Set("Content-Type", "text/javascript")
		case strings.HasSuffix(r.URL.Path, ".css"):
			w.Header().Set("Content-Type", "text/css")
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<!DOCTYPE html><html lang="en"><link rel="icon" href="data:,"><link rel="stylesheet" href="style.css"><title></title><body>`)
		}
		fmt.Fprint(w, content)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// A browser that doesn't notice what is wrong would have every test pass.
func TestTab(t *testing.T) {
	at := serve(t)
	b := Start(t, Options{})
	// forgiven is what the tab has noticed, which is then forgotten.
	forgiven := func(tab *Tab) string {
		tab.Until("document.readyState === 'complete'")
		tab.watched.mu.Lock()
		defer tab.watched.mu.Unlock()
		all := strings.Join(tab.watched.list, "\n")
		tab.watched.list = nil
		return all
	}
	t.Run("notices", func(t *testing.T) {
		tab := b.Tab(t, at)
		for path, want := range map[string]string{
			"/good":      "",
			"/elsewhere": "a request to another origin: http://127.0.0.2:9/dot.png",
			"/console":   "no good",
			"/throws":    "thrown",
			"/inline":    "against the Content-Security-Policy",
			"/lacks":     "missing.js: status 404",
		} {
			tab.Open(at+path, http.StatusOK)
			got := forgiven(tab)
			if got == "" != (want == "") || !strings.Contains(got, want) {
				t.Errorf("%s: noticed %q, want %q", path, got, want)
			}
		}
		tab.Open(at+"/missing", http.StatusNotFound)
		if got := forgiven(tab); got != "" {
			t.Errorf("a page of which 404 is expected: %s", got)
		}
	})
	t.Run("clicks and types", func(t *testing.T) {
		tab := b.Tab(t, at)
		tab.Open(at+"/hands", http.StatusOK)
		tab.Click("button", "Two")
		if got := Eval[string](tab, "document.title"); got != "Twotrue" {
			t.Errorf("after a click the title is %q", got)
		}
		tab.Click("#name")
		tab.Type("Ada L")
		if got := Eval[string](tab, "document.getElementById('name').value"); got != "Ada L" {
			t.Errorf("typed: %q", got)
		}
		tab.Press(kb.Tab)
		if got := Eval[string](tab, "document.activeElement.textContent"); got != "Onwards" {
			t.Errorf("after Tab the focus is on %q", got)
		}
		tab.Follow("a", "Onwards")
		if got := tab.Location(); got != at+"/good" || tab.Clicks() != 3 {
			t.Errorf("at %s after %d clicks", got, tab.Clicks())
		}
	})
	t.Run("finds violations", func(t *testing.T) {
		tab := b.Tab(t, at)
		tab.Open(at+"/bad", http.StatusOK)
		found := fmt.Sprint(tab.Violations())
		for _, id := range []string{"label", "page-has-heading-one", "document-title"} {
			if !strings.Contains(found, id+": ") {
				t.Errorf("%s is not among %s", id, found)
			}
		}
		if found := tab.ColourViolations(); len(found) != 0 {
			t.Errorf("in light: %s", found)
		}
		tab.Scheme("dark")
		if found := tab.ColourViolations(); len(found) != 1 || found[0].ID != "color-contrast" {
			t.Errorf("in dark: %s", found)
		}
	})
	t.Run("without scripts, in print", func(t *testing.T) {
		tab := b.Tab(t, at)
		tab.WithoutScripts()
		tab.Open(at+"/good", http.StatusOK)
		if got := Eval[string](tab, "document.title"); got != "" {
			t.Errorf("a script ran: %s", got)
		}
		if !Eval[bool](tab, "document.querySelector('h1').checkVisibility()") {
			t.Error("the heading is not shown")
		}
		tab.Medium("print")
		if Eval[bool](tab, "document.querySelector('h1').checkVisibility()") {
			t.Error("the heading is shown in print")
		}
		if _, sheets := tab.Printed(); sheets != 1 {
			t.Errorf("%d sheets", sheets)
		}
	})
}
