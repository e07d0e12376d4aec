package echo

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// DefaultServices is a list for [ParseServices]: the services of two owners, AWS
// and ipify (https://www.ipify.org), so that neither is needed.
const DefaultServices = "https://checkip.amazonaws.com,https://api.ipify.org?format=json"

// ParseServices reads a list of at most 8 URLs of echo services, separated by
// commas, without spaces; a comma in a URL is written %2C. The empty string is
// an empty list.
//
// URLs are https, without user name, password or fragment. http is for
// services at a loopback address alone, written as such (127.0.0.1, [::1]):
// elsewhere whoever sits on the way, a transparent proxy for example, could
// answer in a service's place. No service may be named twice.
//
// Since a URL may hold a key, errors name an entry by its number and never
// repeat its text.
func ParseServices(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	// One more than allowed is enough to know that there are too many.
	services := strings.SplitN(s, ",", maxServices+1)
	if err := checkServices(services); err != nil {
		return nil, err
	}
	return services, nil
}

func checkServices(services []string) error {
	if len(services) > maxServices {
		return fmt.Errorf("more than %d echo services; two or three are enough", maxServices)
	}
	seen := make(map[string]int, len(services))
	for i, service := range services {
		normal, err := parseService(service)
		if err != nil {
			return fmt.Errorf("echo service %d: %w", i+1, err)
		}
		if other, twice := seen[normal]; twice {
			return fmt.Errorf("echo service %d is already entry %d; name each once", i+1, other)
		}
		seen[normal] = i + 1
	}
	return nil
}

// parseService checks one URL and returns it in a form in which two that lead to
// the same place are equal.
func parseService(service string) (normal string, err error) {
	if service == "" {
		return "", errors.New("empty; write https://HOST/PATH")
	}
	if len(service) > maxURL {
		return "", fmt.Errorf("longer than %d bytes", maxURL)
	}
	for _, b := range []byte(service) {
		if b <= ' ' || b > '~' {
			return "", errors.New("white space, or a character that is not ASCII; write entries with a comma and no space between them, and other characters escaped")
		}
	}
	u, err := url.Parse(service)
	if err != nil { // which would repeat the text
		return "", errors.New("not a URL; write https://HOST/PATH")
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case u.User != nil:
		return "", errors.New("a URL with a user name or a password; an echo service needs neither")
	case strings.Contains(service, "#"):
		return "", errors.New("a URL with a fragment, which is never sent; remove it from the # on")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("not an https URL; write https://HOST/PATH")
	case host == "" || u.Opaque != "" || strings.Contains(host, "%"):
		return "", errors.New("a URL without a proper host; write https://HOST/PATH")
	case u.Scheme == "http" && !isLoopback(host):
		return "", errors.New("an http URL, which anybody on the way could answer; write https (http is for a loopback address such as 127.0.0.1)")
	}
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return "", errors.New("a URL with a colon but no port; remove the colon")
		}
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", errors.New("a URL with a port that is not between 1 and 65535")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/" // RFC 9110, section 4.2.3
	}
	return fmt.Sprintf("%s://%s:%d%s?%s", u.Scheme, host, n, path, u.RawQuery), nil
}

// isLoopback says whether host is written as a loopback address. The name
// localhost is not: a resolver may be made to say anything.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// shown is a service's URL without its query, where a key of the service may be.
func shown(service string) string {
	short, _, _ := strings.Cut(service, "?")
	return short
}
