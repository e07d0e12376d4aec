package privacy

import (
	"fmt"
	"strings"
)

// Mode says what becomes of identifiers of one kind. The zero value is [Keep].
type Mode string

// The modes.
const (
	Keep         Mode = "keep"         // as they are
	Pseudonymise Mode = "pseudonymise" // a keyed hash each
	Drop         Mode = "drop"         // nothing is left
)

// ParseMode returns the mode named s.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case Keep, Pseudonymise, Drop:
		return m, nil
	}
	return "", fmt.Errorf("privacy mode %q is unknown: use %s, %s or %s", s, Keep, Pseudonymise, Drop)
}

func (m Mode) keeps() bool { return m == Keep || m == "" }

// LocalAddress masks where an act came from that was done on the gateway's own
// machine, "unix:pid=123" or "signal:SIGHUP": of these the kind stays, "unix" or
// "signal", unless everything is kept. It needs no key, and so does for commands
// that have none. ok is false if addr is of no such kind.
func (m Mode) LocalAddress(addr string) (masked string, ok bool) {
	kind, _, ok := strings.Cut(addr, ":")
	switch {
	case !ok || kind != "unix" && kind != "signal":
		return "", false
	case m.keeps():
		return addr, true
	}
	return kind, true
}
