package consent

import (
	"embed"
	"html/template"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"jiragate/tokenstore/oauth"
)

//go:embed pages/page.html pages/style.css
var files embed.FS

// layout is the one template; what is missing on a page is left out of it.
var layout = template.Must(template.ParseFS(files, "pages/page.html"))

// page is what a visitor gets to see. Text from outside goes through shown.
type page struct {
	status int
	code   string // stable; empty if the customer has consented

	Good      bool
	Title     string
	Text      []string
	Facts     []fact
	May       []string // what the gateway may do now
	Next      []string // what to do next
	Sites     []option
	Token     string // of the form that asks for the site
	Reference string
}

type fact struct{ Name, Value string }

type option struct{ ID, Name, URL string }

// show writes the page.
func (v *visit) show(p page) {
	p.Reference = v.reference
	var body strings.Builder
	if err := layout.Execute(&body, p); err != nil {
		v.o.Logger.ErrorContext(v.r.Context(), "a page of the consent can't be made", "code", p.code, "error", err, "hint", "a bug: report the error and the program's version")
		http.Error(v.w, "internal error", http.StatusInternalServerError)
		return
	}
	h := v.w.Header()
	secured(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	if p.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "30")
	}
	v.w.WriteHeader(p.status)
	// The status is out; a browser that has gone can't be told anything more.
	_, _ = v.w.Write([]byte(body.String()))
}

// secured sets what keeps a page from being anything but read: nothing is loaded but
// the style sheet, forms go nowhere else, no other site frames it, and its address,
// which may hold a code, is told to nobody (RFC 9700 section 4.2.4).
func secured(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
}

func serveStyle(w http.ResponseWriter, r *http.Request) {
	secured(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	http.ServeFileFS(w, r, files, "pages/style.css")
}

// Bounds of what is shown of text from outside.
const (
	maxShown = 100 // runes
	maxList  = 20
)

// shown makes text from outside fit for a page: one line, without characters that
// can't be seen or that turn what is around them, and cut. The template escapes it.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return -1
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	n := 0
	for i := range s {
		if n++; n > maxShown {
			return s[:i] + "…"
		}
	}
	return s
}

func shownAll(list []string) string {
	var out []string
	for i, s := range list {
		if i == maxList {
			out = append(out, "…")
			break
		}
		out = append(out, shown(s))
	}
	return strings.Join(out, ", ")
}

// chooseSite asks which of several sites is meant.
func chooseSite(sites []oauth.Site, token string, again bool) page {
	p := page{
		status: http.StatusOK,
		code:   "choose_site",
		Title:  "Which Jira site do you want to connect?",
		Text:   []string{"Your Atlassian account gave access to more than one site. The gateway connects one of them and makes no call to the others."},
		Token:  token,
	}
	if again {
		p.status = http.StatusBadRequest
		p.Text = []string{"Please choose one of the sites in the list."}
	}
	for _, s := range sites {
		p.Sites = append(p.Sites, option{ID: s.ID, Name: shown(s.Name), URL: shown(s.URL)})
	}
	return p
}
