package admin

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"jiragate/gateway/admin/consent"
	"jiragate/tokenstore/secret"
)

// Guard is what the network face asks of a request before a route sees it.
type Guard struct {
	// Token is the bearer token (RFC 6750 section 2.1); it may not be empty.
	Token secret.Secret
	// MetricsToken is a bearer token for /metrics alone; the zero value is none.
	MetricsToken secret.Secret
	// Hosts are the names and addresses that a Host field may hold besides
	// the loopback ones, without a port: in lower case, and addresses as
	// netip.Addr writes them. This is what stops DNS rebinding: a
	// page of a foreign site reaches us only under that site's name.
	Hosts []string
	// AnyAddress accepts each IP literal as a Host, for a listener that is
	// bound to all addresses. Rebinding needs a name, so literals are safe.
	AnyAddress bool
	// OpenMetrics lets /metrics be scraped without the token: for a listener
	// that only processes of this machine can reach.
	OpenMetrics bool
}

// Pages is a part of the listener that is for browsers, and asks itself who they are
// of. It sets the header fields that its pages need.
type Pages interface {
	// Serves reports whether a path is one of its own.
	Serves(path string) bool
	http.Handler
}

// wrap puts g before the routes of the API. Beside them it lets browsers without a
// token to pages, and to the consents: those under the host of the redirect URL as
// well, under which there is nothing else. refused is told of what is refused.
func (g Guard) wrap(tokens *tokens, next http.Handler, consents *consent.Flow, pages []Pages, refused *refusals) http.Handler {
	wrong := newWrongTokens()
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.hostAllowed(r.Host) {
			refused.write(w, r, wrongHost())
			return
		}
		if g.open(r) {
			next.ServeHTTP(w, r)
			return
		}
		admin, metrics := tokens.admin.Load().matches(r), tokens.metrics.Load().matches(r)
		wait := wrong.tried(r, admin.unguessable || metrics.unguessable, admin.right || metrics.right)
		switch {
		case wait > 0:
			w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
			refused.write(w, r, refuse(http.StatusTooManyRequests, CodeTooManyTries, "too many tokens from this address were wrong; try again after Retry-After"))
		case metrics.right && !admin.right && !scrapes(r):
			refused.write(w, r, refuse(http.StatusForbidden, CodeForbidden, "this token is for GET /metrics alone"))
		case !metrics.right && !admin.right:
			w.Header().Set("WWW-Authenticate", `Bearer realm="jiragate admin"`)
			refused.write(w, r, refuse(http.StatusUnauthorized, CodeUnauthorised, "send %s: Authorization: Bearer TOKEN", rightToken(r)))
		default:
			next.ServeHTTP(w, r)
		}
	})
	csrf := http.NewCrossOriginProtection()
	csrf.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refused.write(w, r, refuse(http.StatusForbidden, CodeForbidden, "cross-origin requests are refused"))
	}))
	api := csrf.Handler(guarded)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, p := range pages {
			if p.Serves(r.URL.Path) {
				if !g.hostAllowed(r.Host) {
					refused.write(w, r, wrongHost())
					return
				}
				csrf.Handler(p).ServeHTTP(w, r)
				return
			}
		}
		switch {
		case consents == nil || !consents.Serves(r.URL.Path):
			api.ServeHTTP(w, r)
		case g.hostAllowed(r.Host), consents.Host() != "" && hostname(r.Host) == consents.Host():
			consents.ServeHTTP(w, r)
		default:
			writeProblem(w, wrongHost())
		}
	})
}

func wrongHost() *Problem {
	return refuse(http.StatusMisdirectedRequest, CodeForbidden, "this Host is not a name of the admin listener")
}

func (g Guard) open(r *http.Request) bool {
	if !reads(r) {
		return false
	}
	switch r.URL.Path {
	case "/healthz", "/readyz", descriptionPath:
		return true
	}
	return g.OpenMetrics && scrapes(r)
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// rightToken names what r needs.
func rightToken(r *http.Request) string {
	if scrapes(r) {
		return "the metrics token (that of JIRAGATE_METRICS_TOKEN_FILE), or the admin token"
	}
	return "the admin token"
}

// scrapes is whether r is one of those that [Guard.MetricsToken] is for.
func scrapes(r *http.Request) bool { return reads(r) && r.URL.Path == metricsPath }

// hostname is the host of a Host field in lower case, without port and brackets.
func hostname(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

func (g Guard) hostAllowed(hostport string) bool {
	host := hostname(hostport)
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.IsLoopback() || g.AnyAddress {
			return true
		}
		host = ip.String()
	}
	return host == "localhost" || slices.Contains(g.Hosts, host)
}

// secure sets the fields that keep a browser from making anything of an
// answer but data.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY") // for browsers that know no frame-ancestors
		next.ServeHTTP(w, r)
	})
}
