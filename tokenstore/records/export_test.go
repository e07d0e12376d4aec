package records

import (
	"bytes"
	"encoding/json"
	"unicode"

	"jiragate/tokenstore"
)

// DecodeBoth decodes a record without reflection, and as encoding/json does; ok is false
// where only the latter reads it, or it has control characters in its strings, which no
// encoder leaves there.
func DecodeBoth(b []byte) (plain, whole any, ok bool) {
	var p, w credentialRecord
	if !p.decodePlain(b) || bytes.ContainsFunc(b, unicode.IsControl) {
		return nil, nil, false
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return p, err.Error(), true
	}
	return p, w, true
}

// DecodeConnectionBoth and DecodeClientBoth decode a record of the directory as a start does,
// and as encoding/json does; ok is false as in DecodeBoth.
func DecodeConnectionBoth(b []byte) (plain, whole any, ok bool) {
	var (
		d    recordReader
		p, w connectionRecord
	)
	// Twice, for what is remembered of the first one.
	if !d.plainConnection(&p, b) || bytes.ContainsFunc(b, unicode.IsControl) {
		return nil, nil, false
	}
	p = connectionRecord{}
	if !d.plainConnection(&p, b) {
		return "the second time it is not read", nil, true
	}
	if err := decode(b, &w); err != nil {
		return p, err.Error(), true
	}
	return p, w, true
}

func DecodeClientBoth(b []byte) (plain, whole any, ok bool) {
	var p, w clientRecord
	if !p.decodePlain(b) || bytes.ContainsFunc(b, unicode.IsControl) {
		return nil, nil, false
	}
	if err := decode(b, &w); err != nil {
		return p, err.Error(), true
	}
	return p, w, true
}

// PlainRecords reports whether records as this package writes them are read without
// reflection.
func PlainRecords(c tokenstore.Connection, cl tokenstore.Client) (connection, client bool) {
	var (
		d  recordReader
		r  connectionRecord
		rc clientRecord
	)
	b, _ := encode(newConnectionRecord(&c, 7))
	bc, _ := encode(newClientRecord(&cl))
	return d.plainConnection(&r, b), rc.decodePlain(bc)
}
