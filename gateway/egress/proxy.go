package egress

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"jiragate/tokenstore/secret"
)

// ProxyScheme is the protocol by which a proxy is asked for connections.
type ProxyScheme string

// The schemes.
const (
	ProxyHTTP   ProxyScheme = "http"   // CONNECT (RFC 9110, section 9.3.6) over TCP
	ProxyHTTPS  ProxyScheme = "https"  // CONNECT over TLS
	ProxySOCKS5 ProxyScheme = "socks5" // RFC 1928, with RFC 1929 where there are credentials
)

// Proxy is a static-IP provider's proxy. It is immutable. Printing it shows
// neither user name nor password: to most providers the two together are one
// token.
type Proxy struct {
	Scheme   ProxyScheme
	Host     string // a name, or an IP literal without brackets
	Port     uint16
	Username secret.Secret
	Password secret.Secret
}

// String returns scheme, host and port.
func (p *Proxy) String() string {
	return string(p.Scheme) + "://" + p.authority()
}

func (p *Proxy) authority() string {
	return net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port)))
}

// ParseProxy reads SCHEME://[USER:PASSWORD@]HOST:PORT. User and password are
// percent-encoded (RFC 3986, section 2.1). Nothing may follow the port but one
// slash. Errors never repeat any of the text.
func ParseProxy(s string) (*Proxy, error) {
	scheme, _, _ := strings.Cut(s, "://")
	p := &Proxy{Scheme: ProxyScheme(scheme)}
	switch p.Scheme {
	case ProxyHTTP, ProxyHTTPS, ProxySOCKS5:
	default:
		return nil, errors.New("the URL of the proxy must begin with http://, https:// or socks5://")
	}
	u, err := url.Parse(s)
	if err != nil {
		// url.Error quotes the URL, its password included.
		return nil, errors.New("the URL of the proxy cannot be read; write SCHEME://USER:PASSWORD@HOST:PORT with user and password percent-encoded")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#") || u.Opaque != "" {
		return nil, errors.New("the URL of the proxy must end after HOST:PORT; a /, ?, # or @ in user or password is percent-encoded")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 || strconv.FormatUint(port, 10) != u.Port() {
		return nil, errors.New("the URL of the proxy must name its port, a number from 1 to 65535")
	}
	p.Host, p.Port = u.Hostname(), uint16(port)
	if addr, err := netip.ParseAddr(p.Host); err == nil {
		if judgeProxy(addr) != nil || addr.Is4In6() {
			return nil, errors.New("the address of the proxy is not one that a proxy can have")
		}
	} else if !validHostName(p.Host) {
		return nil, errors.New("the host of the proxy is neither a host name nor an IP address")
	}
	if u.User == nil {
		return p, nil
	}
	password, _ := u.User.Password()
	p.Username, p.Password = secret.New(u.User.Username()), secret.New(password)
	return p, p.checkCredentials()
}

// checkCredentials refuses what the proxy's protocol cannot carry.
func (p *Proxy) checkCredentials() error {
	user, password := p.Username.Reveal(), p.Password.Reveal()
	switch {
	case user == "":
		return errors.New("the URL of the proxy has a password without a user name")
	case strings.ContainsFunc(user+password, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("user name and password of the proxy can hold no control characters")
	case p.Scheme == ProxySOCKS5 && (password == "" || len(user) > 255 || len(password) > 255):
		return errors.New("user name and password of a SOCKS5 proxy must have 1 to 255 bytes (RFC 1929, section 2)")
	case p.Scheme != ProxySOCKS5 && strings.Contains(user, ":"):
		return errors.New("the user name of an HTTP proxy can hold no colon (RFC 7617, section 2)")
	}
	return nil
}

// judgeProxy returns why a proxy may not be at addr, or nil. The operator named
// it, so it may be on a private network and, for simulators and tests, on
// loopback; nothing makes an address of one link, or of no one machine, a proxy.
func judgeProxy(addr netip.Addr) *AddressError {
	switch r := classify(addr); r.class {
	case ClassPublic, ClassPrivate, ClassUniqueLocal, ClassCGNAT, ClassLoopback:
		return nil
	default:
		return &AddressError{Addr: addr, Class: r.class, Source: r.source}
	}
}

// equal reports whether p and q are the same proxy, and let in by the same credentials.
func (p *Proxy) equal(q *Proxy) bool {
	return p.Scheme == q.Scheme && p.Host == q.Host && p.Port == q.Port && p.Username.Equal(q.Username) && p.Password.Equal(q.Password)
}
