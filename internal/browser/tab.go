package browser

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// patience is how long anything in a page may take, on a machine that does much else.
const patience = time.Minute

// again is the pause between two looks at a page.
const again = 20 * time.Millisecond

// Tab is one page at a time, for one test. It is for one goroutine.
type Tab struct {
	t       *testing.T
	ctx     context.Context
	watched *watch
	clicks  int
	media   media
}

// Tab opens a tab in a browser context of its own, without cookies. Pages of other
// origins than those named fail the test. Motion is reduced, so that colours are what
// they are at once.
func (b *Browser) Tab(t *testing.T, origins ...string) *Tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	return open(t, ctx, closeTab, origins)
}

// Beside opens another tab with the same cookies.
func (tab *Tab) Beside(t *testing.T) *Tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(tab.ctx)
	return open(t, ctx, closeTab, tab.watched.origins)
}

func open(t *testing.T, ctx context.Context, closeTab func(), origins []string) *Tab {
	t.Helper()
	tab := &Tab{t: t, ctx: ctx, watched: &watch{origins: origins}, media: media{scheme: "light"}}
	t.Cleanup(func() {
		closeTab()
		for _, problem := range tab.watched.problems() {
			t.Error(problem)
		}
	})
	tab.must("open a tab", chromedp.Do(ctx))
	tab.must("watch a tab", chromedp.Listen(ctx, tab.watched.event))
	tab.must("watch a tab", tab.watched.begin(ctx))
	call(tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	tab.Size(1280, 900)
	tab.emulate()
	return tab
}

func (tab *Tab) must(what string, err error) {
	tab.t.Helper()
	if err != nil {
		for _, problem := range tab.watched.problems() {
			tab.t.Log(problem)
		}
		tab.t.Fatalf("%s: %v", what, err)
	}
}

// do does something to the page within the time that anything may take.
func (tab *Tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	tab.must(what, chromedp.Do(ctx, steps...))
}

func run[T any](tab *Tab, what string, action chromedp.Action[T]) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	tab.must(what, err)
	return v
}

func call[P, R any](tab *Tab, command cdp.Command[P, R], params P) R {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	v, err := chromedp.Call(ctx, command, params)
	tab.must(command.Method, err)
	return v
}

// Open goes to a page, as by its address, and fails the test unless it is answered
// with the status.
func (tab *Tab) Open(url string, status int) {
	tab.t.Helper()
	response := run(tab, "open "+url, chromedp.NavigateResponse(url))
	if response == nil { // only the fragment is another
		return
	}
	if response.Status != int64(status) {
		tab.t.Errorf("%s: status %d, want %d (%s)", url, response.Status, status, http.StatusText(status))
	}
}

// Eval evaluates an expression in the page, or what its promise comes to.
func Eval[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	return run(tab, "evaluate "+cut(expression), chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Until waits until an expression is true, in this page or in one that it leads to.
func (tab *Tab) Until(expression string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	ticker := time.NewTicker(again)
	defer ticker.Stop()
	var last error
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		switch {
		case ok:
			return
		case err != nil && ctx.Err() == nil:
			last = err // the page was left, or isn't there yet
		}
		select {
		case <-ctx.Done():
			where, _ := chromedp.Run(tab.ctx, chromedp.Location())
			tab.t.Fatalf("%s: this was not so within %s: %s (%v)", where, patience, cut(expression), last)
		case <-ticker.C:
		}
	}
}

// Location is the address of the page.
func (tab *Tab) Location() string {
	tab.t.Helper()
	return run(tab, "read the address", chromedp.Location())
}

// Text is what an element shows, of the first that the selector (CSS) is about.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	tab.Until(fmt.Sprintf("document.querySelector(%q)", selector))
	return strings.TrimSpace(Eval[string](tab, fmt.Sprintf("document.querySelector(%q).innerText", selector)))
}

// MayReadClipboard lets pages of an origin read what was copied.
func (tab *Tab) MayReadClipboard(origin string) {
	tab.t.Helper()
	_, err := chromedp.CallBrowser(tab.ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "clipboard-read"}, Setting: browser.PermissionSettingGranted,
		Origin: origin, BrowserContextID: tab.contextID(),
	})
	tab.must("allow reading of the clipboard", err)
}

func (tab *Tab) contextID() cdp.BrowserContextID {
	return chromedp.FromContext(tab.ctx).BrowserContextID
}

func cut(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
