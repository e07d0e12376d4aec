package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// authority is a host and port in the one spelling the gateway compares:
// lower-case host (or IP literal as netip prints it), port always given,
// "acme.atlassian.net:443". Its zero value is no authority.
type authority string

// parseAuthority reads host[:port]. The grammar is an allowlist, so that no
// spelling of a host can mean one thing here and another to a resolver:
// letters, digits, "-" and "." in labels, or an IP literal in canonical form;
// no trailing dot, user info, zone, percent or non-ASCII.
func parseAuthority(s string, defaultPort string) (authority, error) {
	host, port := s, defaultPort
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
	}
	if !validPort(port) {
		return "", fmt.Errorf("the port of a host must be a number from 1 to 65535")
	}
	if strings.HasPrefix(host, "[") {
		addr, err := netip.ParseAddr(strings.TrimSuffix(host[1:], "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" || "["+addr.String()+"]" != host {
			return "", fmt.Errorf("an IPv6 host must be written in brackets and in canonical form")
		}
		return authority(host + ":" + port), nil
	}
	host = strings.ToLower(host)
	if !validHost(host) {
		return "", fmt.Errorf("a host may have letters, digits, hyphens and single dots only")
	}
	return authority(host + ":" + port), nil
}

func validPort(s string) bool {
	if s == "" || len(s) > 5 || s[0] == '0' {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// validHost reports whether a lower-case host is a DNS name (RFC 1123 section
// 2.1) or a canonical IPv4 literal. A name whose last label is a number is an
// address to some resolvers, whatever its form, so it must be a canonical one.
func validHost(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	var last string
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
		last = label
	}
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		addr, err := netip.ParseAddr(host)
		return err == nil && addr.String() == host
	}
	return true
}

// spelt reports whether s is the authority as parseAuthority would leave it, with or
// without the default port. Most are, and need not be read again.
func (a authority) spelt(s string) bool {
	return s != "" && (s == string(a) || s == strings.TrimSuffix(string(a), ":443"))
}

// host is the authority without its port, IP literals without brackets.
func (a authority) host() string {
	host, _, err := net.SplitHostPort(string(a))
	if err != nil {
		return ""
	}
	return host
}

// port is the authority's port.
func (a authority) port() string { return string(a[strings.LastIndexByte(string(a), ':')+1:]) }

// target is where a request wants to go, as its client spelled it: nothing in
// it is decoded or cleaned up. The policy reads path and query.
type target struct {
	authority authority
	path      string // escaped, from the first slash
	rawQuery  string
}

// splitTarget splits a request target or URL reference at "?".
func splitTarget(s string) (path, rawQuery string) {
	path, rawQuery, _ = strings.Cut(s, "?")
	return path, rawQuery
}

// splitAbsolute splits "scheme://authority/path?query". Plain http is read as
// https, which is how the request leaves: its default port becomes 443.
func splitAbsolute(s string) (target, *refusal) {
	scheme, rest, ok := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "http" && scheme != "https" {
		return target{}, refuse(CodeRequestMalformed, "The request target must be an http:// or https:// URL.")
	}
	host, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, tail = rest[:i], rest[i:]
	}
	a, err := parseAuthority(host, "443")
	if err != nil {
		return target{}, refuse(CodeRequestMalformed, "The request target's host is not acceptable: "+err.Error()+".")
	}
	if scheme == "http" && strings.HasSuffix(host, ":80") {
		a = authority(strings.TrimSuffix(string(a), ":80") + ":443")
	}
	t := target{authority: a}
	t.path, t.rawQuery = splitTarget(tail)
	return t, nil
}

// tunnelTarget reads the target of a request inside a tunnel, where Host,
// ":authority" and an absolute-form target must all name the tunnel's own
// authority (RFC 9110 section 7.4: 421 where they don't).
func tunnelTarget(r *http.Request, tunnel authority) (target, *refusal) {
	mismatch := func() *refusal {
		return refuse(CodeAuthorityMismatch, "The request names another host than the CONNECT request that opened its tunnel. Open a tunnel for each host.")
	}
	if !tunnel.spelt(r.Host) {
		a, err := parseAuthority(r.Host, "443")
		if err != nil {
			return target{}, refuse(CodeRequestMalformed, "The Host of the request is not acceptable: "+err.Error()+".")
		}
		if a != tunnel {
			return target{}, mismatch()
		}
	}
	// Over HTTP/2 a Host field may come beside ":authority" (RFC 9113 section
	// 8.3.1); net/http keeps it apart from r.Host.
	for _, h := range r.Header["Host"] {
		if a, err := parseAuthority(h, "443"); err != nil || a != tunnel {
			return target{}, mismatch()
		}
	}
	if !strings.HasPrefix(r.RequestURI, "/") && r.RequestURI != "*" {
		if r.ProtoMajor >= 2 {
			return target{}, refuse(CodeRequestMalformed, "The :path of an HTTP/2 request must begin with a slash (RFC 9113, section 8.3.1).")
		}
		t, refused := splitAbsolute(r.RequestURI)
		if refused == nil && t.authority != tunnel {
			refused = mismatch()
		}
		return t, refused
	}
	t := target{authority: tunnel}
	t.path, t.rawQuery = splitTarget(r.RequestURI)
	return t, nil
}
