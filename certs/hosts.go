package certs

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"strings"
)

// Hosts is a set of hosts in the form of [Authority.SetHosts]. It never changes, and is
// safe for concurrent use.
type Hosts interface {
	// Has is asked at each handshake.
	Has(host string) bool
	// All are the hosts, in any order; some may come more than once.
	All() iter.Seq[string]
}

type hostSet map[string]struct{}

func (s hostSet) Has(host string) bool {
	_, ok := s[host]
	return ok
}

func (s hostSet) All() iter.Seq[string] { return maps.Keys(s) }

// checkHost refuses what is not the one spelling of a host: a DNS name of lower
// case letters, digits, hyphens and dots (RFC 1123, section 2.1), or an IP
// literal as netip prints it.
func checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return errors.New("an address with a zone has no certificate form")
		}
		if normal := addr.Unmap().String(); normal != host {
			return fmt.Errorf("not in normal form, write %q", normal)
		}
		return nil
	}
	if host == "" || len(host) > 253 {
		return errors.New("not a DNS name: it has 1 to 253 characters")
	}
	if lower := strings.ToLower(host); lower != host {
		return fmt.Errorf("not in normal form, write %q", lower)
	}
	var label string
	for label = range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return errors.New("not a DNS name: each label has 1 to 63 characters")
		}
		if label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("not a DNS name: a label begins or ends with a hyphen")
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return errors.New("not a DNS name: only letters, digits, hyphens and dots, and no port")
		}
	}
	// A last label of digits is an IPv4 address to some parsers: "10.1", "127.1".
	if strings.Trim(label, "0123456789") == "" {
		return errors.New("neither a DNS name nor an IP address: its last label is a number")
	}
	return nil
}
