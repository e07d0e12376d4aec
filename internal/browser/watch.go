package browser

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// maxProblems bounds what a watch remembers.
const maxProblems = 50

// watch notices what must not happen in a tab.
type watch struct {
	origins []string

	mu   sync.Mutex
	list []string
}

// begin asks for the events that aren't sent anyway.
func (w *watch) begin(ctx context.Context) error {
	_, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{})
	return err
}

// event is called for each event of the tab, and may not wait.
func (w *watch) event(e any) {
	switch e := e.(type) {
	case *network.EventRequestWillBeSent:
		if !w.may(e.Request.URL) {
			w.note("a request to another origin: %s", e.Request.URL)
		}
	case *network.EventWebSocketCreated:
		w.note("a WebSocket: %s", e.URL)
	case *network.EventResponseReceived:
		// Which status a page has, its test says. For an icon a browser asks anyway.
		if e.Type != network.ResourceTypeDocument && e.Response.Status >= 400 && !strings.HasSuffix(e.Response.URL, "/favicon.ico") {
			w.note("a part of the page: %s: status %d", e.Response.URL, e.Response.Status)
		}
	case *runtime.EventExceptionThrown:
		w.note("an exception: %s", (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert || e.Type == runtime.ConsoleAPICalledTypeWarning {
			w.note("on the console: %s %s", e.Type, described(e.Args))
		}
	case *log.EventEntryAdded:
		// That a page has a status of 400 or more is no news.
		if e.Entry.Source != log.EntrySourceNetwork && e.Entry.Level == log.EntryLevelError {
			w.note("on the console: %s %s: %s (%s)", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			w.note("against the Content-Security-Policy: %s %s", d.ViolatedDirective, d.BlockedURL)
		}
	}
}

func described(args []*runtime.RemoteObject) (text string) {
	for _, a := range args {
		text += fmt.Sprintf("%s%s ", a.Value, a.Description)
	}
	return text
}

// may reports whether a page may ask for a URL. Data and blobs come from nowhere.
func (w *watch) may(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "data", "blob", "about":
		return true
	}
	return slices.Contains(w.origins, u.Scheme+"://"+u.Host)
}

func (w *watch) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.list) < maxProblems {
		w.list = append(w.list, fmt.Sprintf(format, args...))
	}
}

func (w *watch) problems() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list)
}
