package console_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// Where a proxy ends TLS, browsers see https and a name of its own, and the console
// plain http. Cookies are for https only, and everything leads back to the proxy.
func TestBehindProxy(t *testing.T) {
	const name = "console.example.com"
	h := newHouse(t, setting{proxied: name}).furnish()
	backend, err := url.Parse(h.server.URL)
	must(t, err)
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(backend)
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(front.Close)
	b := h.stranger(t)
	way := b.client.Transport.(*http.Transport)
	way.TLSClientConfig.RootCAs.AddCert(front.Certificate())
	way.TLSClientConfig.ServerName = "example.com" // of the certificates of both
	way.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, name+":") {
			addr = front.Listener.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	h.server.URL = "https://" + name // what browsers know it by
	b.signIn("admin")
	for _, page := range append([]string{"/", "/console", "/favicon.ico", "/console/calls?text="}, pages...) {
		guarded(t, page, b.get(page), true)
	}
	r := b.form("/console/connections/basic/disable", "csrf", b.csrf)
	r.Header.Set("Origin", "https://"+name)
	a := b.do(r)
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/console/connections/basic?done=disabled" {
		t.Errorf("a form: %s to %s", a.Status, a.Header.Get("Location"))
	}
	guarded(t, "a form", a, true)
	s := b.follow(t, "")
	h.write(aCall("/through-the-proxy"))
	if got := s.next(); !strings.Contains(got, "/through-the-proxy") {
		t.Errorf("the stream says %q", got)
	}
	a = b.post("/console/signout")
	guarded(t, "signing out", a, true)
	if a := b.get("/console/"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("still signed in: %s", a.Status)
	}
	guarded(t, "signed out", b.get("/console/calls"), true)
}
