package privacy

import (
	"errors"
	"net/netip"
	"regexp"

	"jiragate/gateway/audit"
)

// Options say what is masked, and where the key is that pseudonyms need.
type Options struct {
	Identifiers Mode // of paths
	ClientAddr  Mode

	// Path is the file of the key, e.g. audit-pseudonyms.json in the data directory.
	// Its folder is made (mode 0700) if missing.
	Path string
	// Sealer seals the key at rest.
	Sealer Sealer
}

// Masker masks records. The zero value keeps everything. It is safe for concurrent
// use.
type Masker struct {
	identifiers, clientAddr Mode
	key                     *Key // nil where no mode needs one
}

// Open makes a Masker. Where a mode is [Pseudonymise], it reads the key, or makes
// one where there is no file; otherwise it looks at no file.
//
// It fails with [ErrWrongSealer] where the key does not open, and refuses a file
// that others than its owner may read, or that is not in the form written here.
func Open(o Options) (*Masker, error) {
	m := &Masker{identifiers: o.Identifiers, clientAddr: o.ClientAddr}
	for _, mode := range []*Mode{&m.identifiers, &m.clientAddr} {
		if *mode == "" {
			*mode = Keep
		}
		if _, err := ParseMode(string(*mode)); err != nil {
			return nil, err
		}
	}
	if m.identifiers != Pseudonymise && m.clientAddr != Pseudonymise {
		return m, nil
	}
	switch {
	case o.Path == "":
		return nil, errors.New("privacy: no file for the key of pseudonyms")
	case o.Sealer == nil:
		return nil, errors.New("privacy: no sealer for the key of pseudonyms")
	}
	var err error
	m.key, err = openOrCreate(o.Path, o.Sealer)
	return m, err
}

// MapPath returns the path of a record with f's text in the place of each
// identifier, of which f is told the name that it has in the operation's template,
// empty where there is no template, and the value. policy.Policy.MapIdentifiers is
// what does so.
type MapPath func(f func(name, value string) string) string

// Mask returns the record of a call as it may be written. It is to be given a record
// once: what it returns is not to be masked again.
func (m *Masker) Mask(r audit.Record, path MapPath) audit.Record {
	switch m.identifiers {
	case Pseudonymise:
		r.Path = path(func(_, value string) string { return m.key.Pseudonym(r.Connection, value) })
	case Drop:
		r.Path = path(func(name, _ string) string { return "{" + name + "}" })
	}
	r.ClientAddr = m.Address(r.ClientAddr)
	return r
}

// KeepsIdentifiers reports whether paths stay as they are.
func (m *Masker) KeepsIdentifiers() bool { return m.identifiers.keeps() }

// KeepsAddresses reports whether [Masker.Address] changes nothing.
func (m *Masker) KeepsAddresses() bool { return m.clientAddr.keeps() }

// Address returns where a call or an act came from as it may be written: an address
// with or without port, or a place on this machine (see [Mode.LocalAddress]). What is
// none of them is taken for an address that can't be read, and dropped, unless
// everything is kept.
func (m *Masker) Address(addr string) string {
	if m.clientAddr.keeps() {
		return addr
	}
	if local, ok := m.clientAddr.LocalAddress(addr); ok {
		return local
	}
	ip, ok := readIP(addr)
	if !ok || m.clientAddr == Drop {
		return ""
	}
	return m.key.AddressPseudonym(ip)
}

func readIP(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr(), true
	}
	ip, err := netip.ParseAddr(s)
	return ip, err == nil
}

// addrPort is what may be an address with port in a text; readIP has the last word.
var addrPort = regexp.MustCompile(`(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+(?:%[0-9A-Za-z._-]+)?\]):\d{1,5}`)

// Text masks each address with port that a message for the program's log quotes, as
// those of net/http do about connections of clients. A dropped one leaves "{}".
func (m *Masker) Text(s string) string {
	if m.clientAddr.keeps() {
		return s
	}
	return addrPort.ReplaceAllStringFunc(s, func(found string) string {
		if _, ok := readIP(found); !ok {
			return found
		}
		if masked := m.Address(found); masked != "" {
			return masked
		}
		return "{}"
	})
}
