package demo

import "net"

// listeners are the addresses that the gateway of the demo listens on.
type listeners struct{ proxy, admin string }

// anyListeners are free ports, not known before. Nobody can be sent back there from a
// consent.
var anyListeners = listeners{"127.0.0.1:0", "127.0.0.1:0"}

// usualListeners are those that the gateway has by default, as far as they are free,
// and others that are.
func usualListeners() listeners {
	return listeners{free("127.0.0.1:8080"), free("127.0.0.1:8081")}
}

// free is address, if nobody listens there, and otherwise one with a free port; port 0
// where there is none.
func free(address string) string {
	for _, wanted := range []string{address, "127.0.0.1:0"} {
		l, err := net.Listen("tcp", wanted)
		if err != nil {
			continue
		}
		found := l.Addr().String()
		if l.Close() == nil {
			return found
		}
	}
	return "127.0.0.1:0"
}

// redirectURL is where the browser comes back to from a consent; empty if the port of
// the admin listener isn't known yet.
func (l listeners) redirectURL() string {
	if _, port, err := net.SplitHostPort(l.admin); err != nil || port == "0" {
		return ""
	}
	return "http://" + l.admin + "/oauth/callback"
}
