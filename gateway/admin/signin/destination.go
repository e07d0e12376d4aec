package signin

import (
	"net/url"
	"strings"
)

const (
	home = "/console/"
	// maxTo bounds where to go afterwards, in bytes: filters are in it.
	maxTo = 2 << 10
)

// destination is where to go after a sign-in: to, if it is a path below /console/ of
// this origin, with its query, and /console/ otherwise. Nothing is mended: browsers
// read dot segments, backslashes and control characters in ways of their own.
func destination(to string) string {
	if len(to) > maxTo || !strings.HasPrefix(to, home) {
		return home
	}
	for i := range len(to) {
		if c := to[i]; c <= ' ' || c > '~' || c == '\\' || c == '#' {
			return home
		}
	}
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" {
		return home
	}
	segments := strings.Split(u.Path[1:], "/") // decoded: an encoded slash makes two of one
	for i, s := range segments {
		if s == "." || s == ".." || s == "" && i < len(segments)-1 || strings.ContainsAny(s, "\\\x00\r\n") {
			return home
		}
	}
	if served := segments[1]; served == "signin" || served == "signout" { // to sign in again, for ever
		return home
	}
	return to
}

// withTo is path with the parameter that says where to go afterwards.
func withTo(path, to string) string {
	if to == home {
		return path
	}
	return path + "?" + url.Values{FieldTo: {to}}.Encode()
}

// PathFor is where to send a browser that must sign in before it may see r: the
// sign-in page, which leads back to it if it was a GET.
func PathFor(method string, u *url.URL) string {
	if method != "GET" && method != "HEAD" {
		return Path
	}
	return withTo(Path, destination(u.RequestURI()))
}
