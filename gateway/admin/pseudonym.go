package admin

import (
	"errors"
	"io/fs"
	"net/http"
	"net/netip"
)

// PseudonymKey is the key of the pseudonyms in call records. Where there is none,
// since nothing was ever pseudonymised, its functions fail with fs.ErrNotExist.
type PseudonymKey struct {
	Open func() (Pseudonymiser, error)
	// Reseal seals it under the primary key of the keyset, if it isn't, and
	// SealedUnder tells under which key it is.
	Reseal      func() (changed bool, err error)
	SealedUnder func() (uint32, error)
}

// Pseudonymiser is what the API needs of that key.
type Pseudonymiser interface {
	// Pseudonym is that of an identifier in the records of a connection, or in those
	// that name none.
	Pseudonym(connection, value string) string
	AddressPseudonym(ip netip.Addr) string
}

// PseudonymRequest asks for the pseudonym of an identifier or of a client's address.
// It is a body, not a query, so that no log of requests has what it is about.
type PseudonymRequest struct {
	Connection string `json:"connection,omitempty"` // empty: of records that name none
	Value      string `json:"value,omitempty"`
	ClientAddr string `json:"client_addr,omitempty"` // instead of both
}

// Pseudonym is the answer.
type Pseudonym struct {
	Pseudonym string `json:"pseudonym"`
}

// showPseudonym changes nothing, so there is no record of it. The connection need not
// be there (any more): its records are.
func (a *API) showPseudonym(w http.ResponseWriter, r *http.Request) error {
	var asked PseudonymRequest
	if err := decode(w, r, &asked); err != nil {
		return err
	}
	if (asked.Value == "") == (asked.ClientAddr == "") || asked.ClientAddr != "" && asked.Connection != "" {
		return invalid("ask for a value, of a connection or of none, or for a client_addr")
	}
	var ip netip.Addr
	if asked.ClientAddr != "" {
		var err error
		if ip, err = netip.ParseAddr(asked.ClientAddr); err != nil {
			return invalid("client_addr must be an IP address without a port")
		}
	}
	if a.o.Pseudonyms.Open == nil {
		return refuse(http.StatusServiceUnavailable, CodeUnavailable, "there is no key of pseudonyms here")
	}
	key, err := a.o.Pseudonyms.Open()
	if errors.Is(err, fs.ErrNotExist) {
		p := refuse(http.StatusNotFound, CodeNotFound, "nothing was ever pseudonymised here: there is no key of pseudonyms")
		p.Hint = "JIRAGATE_AUDIT_IDENTIFIERS=pseudonymise and JIRAGATE_AUDIT_CLIENT_ADDR=pseudonymise turn pseudonyms on"
		return p
	}
	if err != nil {
		return err
	}
	if asked.ClientAddr != "" {
		return writeJSON(w, http.StatusOK, Pseudonym{key.AddressPseudonym(ip)})
	}
	return writeJSON(w, http.StatusOK, Pseudonym{key.Pseudonym(asked.Connection, asked.Value)})
}
