package egress

import (
	"errors"
	"fmt"
	"net/netip"
)

// The errors of [Egress.DialContext] that a caller tells apart. Any other
// error is the failure to connect itself, wrapped, so that errors.Is finds
// syscall.ECONNREFUSED and errors.As finds a net.Error that timed out.
var (
	// ErrUnavailable: the fault is on this side. No egress address could be
	// used, whatever the upstream.
	ErrUnavailable = errors.New("no egress address is usable")
	// ErrForbiddenAddress: the host is, or resolves to, an address that must
	// not be dialled. The error is an *[AddressError].
	ErrForbiddenAddress = errors.New("upstream address is forbidden")
	// ErrResolve: the host name could not be resolved.
	ErrResolve = errors.New("host name lookup failed")
)

// AddressError says which address was refused, and why. It matches
// [ErrForbiddenAddress].
type AddressError struct {
	Host   string     // as the caller named it: a host name or an IP literal
	Addr   netip.Addr // the refused address; the zero Addr where none could be read
	Class  Class      // what it is
	Source string     // where that class is defined, e.g. "RFC 1918, section 3"; may be empty
}

func (e *AddressError) Error() string {
	text := fmt.Sprintf("%q", e.Host)
	if e.Addr.IsValid() {
		if text = e.Addr.String(); text != e.Host {
			text = fmt.Sprintf("%s, an address of %q,", text, e.Host)
		}
	}
	text += " must not be dialled: " + string(e.Class)
	if e.Source != "" {
		text += " (" + e.Source + ")"
	}
	switch {
	case e.Class.openable():
		text += "; if Jira really is there, name its network in JIRAGATE_EGRESS_ALLOW_PRIVATE"
	case e.Class == ClassOtherFamily:
		text += "; calls leave only from the configured egress addresses, so only their address family can be reached"
	}
	return text
}

// Is makes every AddressError match ErrForbiddenAddress.
func (e *AddressError) Is(target error) bool { return target == ErrForbiddenAddress }
