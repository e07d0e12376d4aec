package console_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"jiragate/gateway/admin/signin"
)

// browser keeps cookies, and follows a redirect only when it is told to.
type browser struct {
	*house
	t      testing.TB
	client *http.Client
	csrf   string
}

func (h *house) stranger(t testing.TB) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(h.people.server.Certificate())
	if c := h.server.Certificate(); c != nil {
		pool.AddCert(c)
	}
	way := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(way.CloseIdleConnections)
	return &browser{house: h, t: t, client: &http.Client{Jar: jar, Transport: way, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// emailOf is the address of the person with a role.
func emailOf(role string) string { return role + "@example.com" }

// as is a browser of somebody with a role, who has signed in.
func (h *house) as(t testing.TB, role string) *browser {
	t.Helper()
	b := h.stranger(t)
	b.signIn(role)
	return b
}

// signIn signs somebody with a role in, by the provider.
func (b *browser) signIn(role string) {
	b.t.Helper()
	b.enter(person{"Some " + role, emailOf(role), role})
}

func (b *browser) enter(who person) {
	b.t.Helper()
	b.people.become(who)
	at := signin.OIDCPath
	for range 3 { // to the provider, back, and in
		a := b.get(at)
		if at = a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || at == "" {
			b.t.Fatalf("signing in: %s\n%s", a.Status, a.body)
		}
	}
	if at != "/console/" {
		b.t.Fatalf("signing in leads to %q", at)
	}
	if b.csrf = b.get("/console/").value("csrf"); b.csrf == "" {
		b.t.Fatal("the console has no CSRF token")
	}
}

// answer is what a browser got.
type answer struct {
	*http.Response
	body string
}

func (b *browser) do(r *http.Request) answer {
	b.t.Helper()
	res, err := b.client.Do(r)
	must(b.t, err)
	defer res.Body.Close() // it is read
	body, err := io.ReadAll(res.Body)
	must(b.t, err)
	return answer{res, string(body)}
}

func (b *browser) request(method, path, body string) *http.Request {
	b.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = b.server.URL + path
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
	must(b.t, err)
	return r
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	return b.do(b.request(http.MethodGet, path, ""))
}

// post sends a form of the browser's own session, of names and values.
func (b *browser) post(path string, fields ...string) answer {
	b.t.Helper()
	return b.send(path, append(fields, "csrf", b.csrf)...)
}

// send sends a form as it is.
func (b *browser) send(path string, fields ...string) answer {
	b.t.Helper()
	return b.do(b.form(path, fields...))
}

func (b *browser) form(path string, fields ...string) *http.Request {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	r := b.request(http.MethodPost, path, form.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// elements calls f with each element of the page.
func (a answer) elements(f func(n *html.Node)) {
	root, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		panic(err) // a string can be read
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			f(n)
		}
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// value is that of the first field with a name.
func (a answer) value(name string) (value string) {
	found := false
	a.elements(func(n *html.Node) {
		if !found && n.Data == "input" && attribute(n, "name") == name {
			found, value = true, attribute(n, "value")
		}
	})
	return value
}

// forms are the paths that the forms of the page post to.
func (a answer) forms() []string {
	var paths []string
	a.elements(func(n *html.Node) {
		if n.Data == "form" && strings.EqualFold(attribute(n, "method"), "post") {
			paths = append(paths, attribute(n, "action"))
		}
	})
	return paths
}

// text is what the element with an id holds.
func (a answer) text(id string) string {
	var s string
	a.elements(func(n *html.Node) {
		if attribute(n, "id") == id {
			for d := range n.Descendants() {
				if d.Type == html.TextNode {
					s += d.Data
				}
			}
		}
	})
	return s
}
