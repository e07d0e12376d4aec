package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// point is a place in the window, in CSS pixels.
type point struct {
	X, Y float64
	Hit  bool   // the element is what is there
	What string // is there
}

// Click clicks on the middle of an element with the mouse, after scrolling to it. What
// has no place, or is covered by something else, fails the test. It is the first
// element that the selector (CSS) is about and whose text contains all of texts.
func (tab *Tab) Click(selector string, texts ...string) {
	tab.t.Helper()
	element := element(selector, texts)
	tab.Until(element)
	p := Eval[point](tab, fmt.Sprintf(`(() => {
		const e = %s;
		e.scrollIntoView({ block: "center", inline: "center" });
		const r = e.getClientRects()[0];
		if (!r || !r.width || !r.height) return { Hit: false, What: "nothing: it isn't shown" };
		const x = r.left + r.width / 2, y = r.top + r.height / 2, there = document.elementFromPoint(x, y);
		return { X: x, Y: y, Hit: !!there && (e.contains(there) || there.contains(e) && there.matches("a, button, label, summary")), What: there ? there.outerHTML.slice(0, 200) : "nothing" };
	})()`, element))
	if !p.Hit {
		tab.t.Fatalf("click on %s %q: what is there is %s", selector, texts, p.What)
	}
	tab.do(fmt.Sprintf("click on %s %q", selector, texts), chromedp.MouseClickXY(p.X, p.Y))
	tab.clicks++
}

// Follow clicks, and waits for the page that comes then, or the same one anew.
func (tab *Tab) Follow(selector string, texts ...string) {
	tab.t.Helper()
	tab.Until("document.readyState === 'complete'")
	Eval[bool](tab, "window.left = true")
	tab.Click(selector, texts...)
	tab.Until("!window.left && document.readyState === 'complete'")
}

// element is an expression for the first element that is meant.
func element(selector string, texts []string) string {
	matches := ""
	for _, text := range texts {
		matches += fmt.Sprintf(".filter((e) => e.textContent.includes(%q))", text)
	}
	return fmt.Sprintf("[...document.querySelectorAll(%q)]%s[0]", selector, matches)
}

// Clicks is how often was clicked so far.
func (tab *Tab) Clicks() int { return tab.clicks }

// Press presses a key, such as kb.Tab.
func (tab *Tab) Press(key string) {
	tab.t.Helper()
	tab.do("press a key", chromedp.KeyEvent(key))
}

// Type types text where the focus is.
func (tab *Tab) Type(text string) {
	tab.t.Helper()
	tab.do("type", chromedp.KeyEvent(text))
}

// Download clicks on what leads to a file, as [Tab.Click] does, and returns the file
// with the name that it was offered under.
func (tab *Tab) Download(selector string, texts ...string) (name string, content []byte) {
	tab.t.Helper()
	directory := tab.t.TempDir()
	_, err := chromedp.CallBrowser(tab.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: directory, BrowserContextID: tab.contextID(),
		EventsEnabled: new(true),
	})
	tab.must("choose where downloads go", err)
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	begun := chromedp.BrowserEvents(ctx, browser.DownloadWillBegin)
	progress := chromedp.BrowserEvents(ctx, browser.DownloadProgress)
	tab.Click(selector, texts...)
	for e, err := range begun {
		tab.must("wait for a download to begin", err)
		name = e.SuggestedFilename
		break
	}
	for e, err := range progress {
		tab.must("wait for a download", err)
		if e.State == browser.DownloadProgressStateCanceled {
			tab.t.Fatalf("the download of %s was cancelled", name)
		}
		if e.State == browser.DownloadProgressStateCompleted {
			break
		}
	}
	content, err = os.ReadFile(filepath.Join(directory, filepath.Base(name)))
	tab.must("read what was downloaded", err)
	return name, content
}
