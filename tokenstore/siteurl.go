package tokenstore

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// The errors of this file never quote what was given: a URL may have a password
// in it. They show the form to use, or the very URL to use where it is clear.

const (
	siteURLForm = "https://HOST, for instance https://acme.atlassian.net"
	baseURLForm = "https://HOST[:PORT][/CONTEXT], for instance https://jira.acme.com/jira"
)

// validSiteURL accepts https://HOST[:PORT] with a DNS name or an IPv4 address.
func validSiteURL(s string) error { return withForm(s, siteURLForm, checkSiteURL) }

// validBaseURL accepts https://HOST[:PORT][/CONTEXT] with a DNS name or an IP
// literal.
func validBaseURL(s string) error { return withForm(s, baseURLForm, checkBaseURL) }

// withForm adds to the error of check the URL to use, or the form of it where
// what was meant can't be told.
func withForm(s, form string, check func(string) error) error {
	err := check(s)
	if err == nil {
		return nil
	}
	if u := tidied(s); check(u) == nil {
		return fmt.Errorf("%w: use %s", err, u)
	}
	return fmt.Errorf("%w: use %s", err, form)
}

func checkSiteURL(s string) error {
	authority, err := cutHTTPS(s)
	if err != nil {
		return err
	}
	if strings.ContainsAny(authority, "/?#") {
		return errors.New("there is something after the host")
	}
	if strings.HasPrefix(authority, "[") {
		return errors.New("the host is an IPv6 literal")
	}
	return validAuthority(authority)
}

func checkBaseURL(s string) error {
	authority, err := cutHTTPS(s)
	if err != nil {
		return err
	}
	path := ""
	if i := strings.IndexByte(authority, '/'); i >= 0 {
		authority, path = authority[:i], authority[i:]
	}
	if err := validAuthority(authority); err != nil {
		return err
	}
	return validContextPath(path)
}

// tidied returns what was probably meant. It is shown, never used, and is s
// itself where it is doubtful which part is the host, or a password.
func tidied(s string) string {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(s), "://")
	if !ok {
		scheme, rest = "https", scheme
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, path := rest[:end], rest[end:]
	if strings.Contains(path, "@") || strings.Contains(rest, `\`) {
		return s
	}
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	authority = strings.ToLower(authority[strings.LastIndexByte(authority, '@')+1:])
	if strings.ToLower(scheme) == "http" {
		authority = strings.TrimSuffix(authority, ":80")
	}
	authority = strings.TrimSuffix(strings.TrimSuffix(authority, ":443"), ".")
	return "https://" + authority + strings.TrimRight(path, "/")
}

// cutHTTPS removes the scheme.
func cutHTTPS(s string) (rest string, err error) {
	rest, ok := strings.CutPrefix(s, "https://")
	switch {
	case ok && len(s) > maxURL:
		return "", fmt.Errorf("it is longer than %d bytes", maxURL)
	case ok:
		return rest, nil
	case s == "":
		return "", errors.New("it is empty")
	case strings.HasPrefix(strings.ToLower(s), "http://"):
		return "", errors.New("http:// would send the credential in clear")
	}
	return "", errors.New("it does not begin with https://")
}

// validAuthority accepts HOST[:PORT]. The host is a DNS name in lower case or
// an IP literal as netip prints it, in brackets if it is IPv6.
func validAuthority(s string) error {
	if strings.Contains(s, "@") {
		return errors.New("it contains a user name or a password, which belong to the credential")
	}
	host, port := splitPort(s)
	if strings.HasSuffix(s, ":") {
		return errors.New("the port is empty")
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return errors.New("the port is not a number from 1 to 65535")
		}
		if n == 443 {
			return errors.New("the port is the one of https, which is not written")
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" || addr.String() != inner {
			return errors.New("the host is not an IPv6 address in its shortest form")
		}
		if addr.Is4In6() {
			return errors.New("the host is an IPv4 address written as IPv6")
		}
		return nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if !addr.Is4() {
			return errors.New("the host is an IPv6 address without brackets")
		}
		return nil // one spelling only: ParseAddr takes no leading zeros
	}
	return validDNSName(host)
}

// validDNSName accepts letters in lower case, digits, "-" and "." as RFC 1123
// section 2.1 has them, without a final dot. Names that end in a numeric label
// are refused: resolvers read them as IPv4 addresses in odd spellings
// (https://url.spec.whatwg.org/#ends-in-a-number-checker).
func validDNSName(s string) error {
	if s == "" {
		return errors.New("the host is empty")
	}
	if len(s) > 253 {
		return errors.New("the host is longer than 253 bytes")
	}
	label := ""
	for label = range strings.SplitSeq(s, ".") {
		if label == "" {
			return errors.New("the host has an empty label or a final dot")
		}
		if len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("a label of the host is longer than 63 bytes, or begins or ends with a hyphen")
		}
		for i := range len(label) {
			if b := label[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' {
				return errors.New("the host has something other than a-z, 0-9, dots and hyphens in it")
			}
		}
	}
	if hex, ok := strings.CutPrefix(label, "0x"); isDigits(label) || ok && strings.Trim(hex, "0123456789abcdef") == "" {
		return errors.New("the host ends in a number but is not an IPv4 address in its usual form")
	}
	return nil
}

// validContextPath accepts "" and /SEGMENT[/SEGMENT…] with segments of
// unreserved characters (RFC 3986 section 2.3): what needs escaping is read
// differently by different servers.
func validContextPath(path string) error {
	if path == "" {
		return nil
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		switch {
		case segment == "":
			return errors.New("the path ends with a slash or has an empty segment")
		case segment == "." || segment == "..":
			return errors.New("the path has a dot segment")
		}
		for i := range len(segment) {
			b := segment[i]
			if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && strings.IndexByte("._~-", b) < 0 {
				return errors.New("the path has something other than letters, digits and . _ ~ - in it")
			}
		}
	}
	return nil
}
