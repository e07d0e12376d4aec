package demo

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"jiragate/internal/browser"
)

// focus is where the keyboard is.
type focus struct {
	Text    string
	Skip    bool // the link over the navigation
	Nav     bool // in the navigation
	Main    bool // in the content, or it
	Visible bool // it can be seen, and that it has the focus
	Outside bool // of the page
}

const focused = `(() => {
	const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);
	const inside = r.width > 0 && r.height > 0 && r.bottom > 0 && r.top < innerHeight && r.right > 0 && r.left < innerWidth;
	return {
		Text: e.tagName + " " + (e.textContent || e.name).trim().slice(0, 40), Skip: e.matches(".skip"), Nav: !!e.closest("nav"), Main: !!e.closest("main"),
		Visible: inside && s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2, Outside: e === document.body,
	};
})()`

// The keyboard alone is enough: the first stop jumps over the navigation, every stop
// can be seen, and nothing holds the focus.
func keyboard(t *testing.T, f *faces) {
	tab := f.tab(t)
	next := func() focus {
		tab.Press(kb.Tab)
		return browser.Eval[focus](tab, focused)
	}

	// Signing in takes no mouse, and begins where the token goes.
	tab.Open(f.origin+"/console/", http.StatusOK)
	if at := browser.Eval[focus](tab, focused); !strings.HasPrefix(at.Text, "INPUT token") || !at.Visible {
		t.Fatalf("the page to sign in at begins at %+v", at)
	}
	tab.Type(f.token)
	tab.Press(kb.Enter)
	tab.Until(`document.querySelector("nav")`)

	for _, path := range []string{"/console/", "/console/connect", "/console/connections/globex", "/console/policy", "/public/"} {
		tab.Open(f.origin+path, http.StatusOK)
		at := next()
		if !at.Skip || !at.Visible {
			t.Errorf("%s: the first stop is %+v", path, at)
		}
		if at = next(); !at.Nav {
			at = next() // after the name of the product
		}
		if !at.Nav {
			t.Errorf("%s: the navigation doesn't come next, but %+v", path, at)
		}
		stops := 3
		for ; !at.Outside && stops < 300; stops++ {
			if !at.Visible {
				t.Errorf("%s: the focus can't be seen on %+v", path, at)
			}
			at = next()
		}
		if stops < 10 || stops == 300 {
			t.Errorf("%s: the keyboard stops %d times", path, stops)
		}

		tab.Open(f.origin+path, http.StatusOK)
		next()
		tab.Press(kb.Enter)
		if at := browser.Eval[focus](tab, focused); !at.Main {
			t.Errorf("%s: the first link leads to %+v", path, at)
		}
		if at := next(); !at.Main || !at.Visible {
			t.Errorf("%s: after it comes %+v", path, at)
		}
	}
}
