package records

import (
	"bytes"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// recordReader decodes the records of the directory: at a start all there are. What many
// of them have in common is in memory once. Its zero value is ready to use, by one
// goroutine.
type recordReader struct {
	scopes map[string][]string // by their JSON
	text   []byte              // to be used again
	parts  []textPart
}

// textPart is the value of a field, of which the text follows the other ones in recordReader.text.
type textPart struct {
	field *string
	end   int
}

// maxSharedScopes is how many lists of scopes are shared. Those that an integration is
// granted are a few.
const maxSharedScopes = 64

// connection decodes a record into r, whatever was there.
func (d *recordReader) connection(r *connectionRecord, key, value []byte) error {
	*r = connectionRecord{}
	if !d.plainConnection(r, value) {
		*r = connectionRecord{}
		if err := decode(value, r); err != nil {
			return corruptf("connection %q: %v", key, err)
		}
	}
	if r.ID != string(key) {
		return corruptf("connection %q holds the record of another one", key)
	}
	return nil
}

func (d *recordReader) plainConnection(r *connectionRecord, value []byte) bool {
	d.text, d.parts = d.text[:0], d.parts[:0]
	ok := plainFields(value, func(name, b []byte) ([]byte, bool) {
		switch string(name) {
		case "scopes":
			return d.cutScopes(r, b)
		case "generation":
			n, rest, ok := cutNumber(b)
			r.Generation = n
			return rest, ok
		}
		value, rest, ok := cutString(b)
		return rest, ok && d.connectionField(r, name, value)
	})
	d.share()
	return ok
}

func (d *recordReader) connectionField(r *connectionRecord, name, value []byte) bool {
	switch string(name) {
	case "id":
		d.add(&r.ID, value)
	case "site_url":
		d.add(&r.SiteURL, value)
	case "cloud_id":
		d.add(&r.CloudID, value)
	case "base_url":
		d.add(&r.BaseURL, value)
	case "upstream_ca":
		d.add(&r.UpstreamCA, value)
	case "state_reason":
		d.add(&r.StateReason, value)
	case "edition":
		r.Edition = word(value, policy.Cloud, policy.DataCenter)
	case "region":
		r.Region = word(value, tokenstore.RegionUS, tokenstore.RegionEU)
	case "credential_kind":
		r.CredentialKind = word(value, tokenstore.KindOAuth2, tokenstore.KindBasic, tokenstore.KindPAT, tokenstore.KindOAuth1)
	case "state":
		r.State = word(value, tokenstore.StateActive, tokenstore.StateExpiring, tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled)
	case "state_since":
		return r.StateSince.UnmarshalText(value) == nil
	case "created_at":
		return r.CreatedAt.UnmarshalText(value) == nil
	case "updated_at":
		return r.UpdatedAt.UnmarshalText(value) == nil
	default:
		return false
	}
	return true
}

// add remembers the value of a field until share.
func (d *recordReader) add(field *string, value []byte) {
	d.text = append(d.text, value...)
	d.parts = append(d.parts, textPart{field, len(d.text)})
}

// share sets the fields that were added. One string has all of them: a hundred thousand
// connections are as many objects for the garbage collector, and not five times as many.
func (d *recordReader) share() {
	text, begin := string(d.text), 0
	for _, p := range d.parts {
		*p.field, begin = text[begin:p.end], p.end
	}
}

func (d *recordReader) cutScopes(r *connectionRecord, b []byte) (rest []byte, ok bool) {
	values, rest, ok := d.known(b)
	if !ok {
		if values, rest, ok = cutStrings(b); !ok {
			return nil, false
		}
		if len(d.scopes) < maxSharedScopes {
			if d.scopes == nil {
				d.scopes = make(map[string][]string)
			}
			d.scopes[string(b[:len(b)-len(rest)])] = values
		}
	}
	r.Scopes = values
	return rest, true
}

// known finds the scopes that b begins with among those read before. No list of them is
// the beginning of another one.
func (d *recordReader) known(b []byte) (values []string, rest []byte, ok bool) {
	end := bytes.IndexByte(b, ']') + 1
	values, ok = d.scopes[string(b[:end])]
	return values, b[end:], ok
}

// client decodes a record.
func (d *recordReader) client(key, value []byte) (tokenstore.Client, error) {
	var r clientRecord
	if !r.decodePlain(value) {
		r = clientRecord{}
		if err := decode(value, &r); err != nil {
			return tokenstore.Client{}, corruptf("client %q: %v", key, err)
		}
	}
	return r.client(key)
}

func (r *clientRecord) decodePlain(b []byte) bool {
	return plainFields(b, func(name, b []byte) (rest []byte, ok bool) {
		switch string(name) {
		case "certificate_sans":
			r.CertificateSANs, rest, ok = cutStrings(b)
			return rest, ok
		case "connections":
			r.Connections, rest, ok = cutStrings(b)
			return rest, ok
		}
		value, rest, ok := cutString(b)
		if !ok {
			return nil, false
		}
		var at *time.Time
		switch string(name) {
		case "name":
			r.Name = string(value)
			return rest, true
		case "token_sha256":
			r.TokenSHA256 = string(value)
			return rest, true
		case "created_at":
			at = &r.CreatedAt
		case "token_rotated_at":
			at = &r.TokenRotatedAt
		default:
			return nil, false
		}
		return rest, at.UnmarshalText(value) == nil
	})
}
