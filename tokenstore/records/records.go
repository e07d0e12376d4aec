package records

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// The records are types of their own, so that renaming a field of the domain
// changes no file. Changing one of these takes a new schema and a migration.

type connectionRecord struct {
	ID             string                    `json:"id"`
	Edition        policy.Edition            `json:"edition"`
	SiteURL        string                    `json:"site_url,omitempty"`
	CloudID        string                    `json:"cloud_id,omitempty"`
	BaseURL        string                    `json:"base_url,omitempty"`
	Region         tokenstore.Region         `json:"region"`
	CredentialKind tokenstore.CredentialKind `json:"credential_kind"`
	Scopes         []string                  `json:"scopes,omitempty"`
	UpstreamCA     string                    `json:"upstream_ca,omitempty"`
	State          tokenstore.State          `json:"state"`
	StateReason    string                    `json:"state_reason,omitempty"`
	StateSince     time.Time                 `json:"state_since"`
	CreatedAt      time.Time                 `json:"created_at"`
	UpdatedAt      time.Time                 `json:"updated_at"`

	// Generation is that of the credential, and so holds the incarnation too. It is
	// kept here, apart from the ciphertext that is bound to it.
	Generation uint64 `json:"generation"`
}

func newConnectionRecord(c *tokenstore.Connection, generation uint64) *connectionRecord {
	return &connectionRecord{
		ID:             c.ID,
		Edition:        c.Edition,
		SiteURL:        c.SiteURL,
		CloudID:        c.CloudID,
		BaseURL:        c.BaseURL,
		Region:         c.Region,
		CredentialKind: c.CredentialKind,
		Scopes:         c.Scopes,
		UpstreamCA:     c.UpstreamCA,
		State:          c.State,
		StateReason:    c.StateReason,
		StateSince:     utc(c.StateSince),
		CreatedAt:      utc(c.CreatedAt),
		UpdatedAt:      utc(c.UpdatedAt),
		Generation:     generation,
	}
}

func (r *connectionRecord) connection() tokenstore.Connection {
	return tokenstore.Connection{
		ID:             r.ID,
		Edition:        r.Edition,
		SiteURL:        r.SiteURL,
		CloudID:        r.CloudID,
		BaseURL:        r.BaseURL,
		Region:         r.Region,
		CredentialKind: r.CredentialKind,
		Scopes:         r.Scopes,
		UpstreamCA:     r.UpstreamCA,
		State:          r.State,
		StateReason:    r.StateReason,
		StateSince:     r.StateSince,
		CreatedAt:      r.CreatedAt,
		UpdatedAt:      r.UpdatedAt,
		Incarnation:    tokenstore.Incarnation(r.Generation),
	}
}

// DecodeConnection returns the connection of a record of [Connections].
func DecodeConnection(key, value []byte) (*tokenstore.Connection, error) {
	r, err := decodeConnection(key, value)
	if err != nil {
		return nil, err
	}
	c := r.connection()
	return &c, nil
}

func decodeConnection(key, value []byte) (*connectionRecord, error) {
	var (
		d recordReader
		r connectionRecord
	)
	if err := d.connection(&r, key, value); err != nil {
		return nil, err
	}
	return &r, nil
}

type clientRecord struct {
	Name            string    `json:"name"`
	TokenSHA256     string    `json:"token_sha256,omitempty"` // hex
	CertificateSANs []string  `json:"certificate_sans,omitempty"`
	Connections     []string  `json:"connections,omitempty"`
	CreatedAt       time.Time `json:"created_at"`
	TokenRotatedAt  time.Time `json:"token_rotated_at,omitzero"`
}

func newClientRecord(c *tokenstore.Client) *clientRecord {
	r := &clientRecord{
		Name:            c.Name,
		CertificateSANs: c.CertificateSANs,
		Connections:     c.Connections,
		CreatedAt:       utc(c.CreatedAt),
		TokenRotatedAt:  utc(c.TokenRotatedAt),
	}
	if c.TokenSHA256 != noToken {
		r.TokenSHA256 = hex.EncodeToString(c.TokenSHA256[:])
	}
	return r
}

// noToken is the digest of clients that have none.
var noToken [32]byte

// DecodeClient returns the client of a record of [Clients].
func DecodeClient(key, value []byte) (*tokenstore.Client, error) {
	c, err := decodeClient(key, value)
	if err != nil {
		return nil, err
	}
	return &c, nil
}

func decodeClient(key, value []byte) (tokenstore.Client, error) {
	return new(recordReader).client(key, value)
}

// client is what the record of that key says.
func (r *clientRecord) client(key []byte) (tokenstore.Client, error) {
	if r.Name != string(key) {
		return tokenstore.Client{}, corruptf("client %q holds the record of another one", key)
	}
	c := tokenstore.Client{
		Name:            r.Name,
		CertificateSANs: r.CertificateSANs,
		Connections:     r.Connections,
		CreatedAt:       r.CreatedAt,
		TokenRotatedAt:  r.TokenRotatedAt,
	}
	if r.TokenSHA256 != "" {
		sum, err := hex.DecodeString(r.TokenSHA256)
		if err != nil || len(sum) != len(c.TokenSHA256) {
			return tokenstore.Client{}, corruptf("client %q: the digest of its token is not one", key)
		}
		c.TokenSHA256 = [32]byte(sum)
	}
	return c, nil
}

type issueRecord struct {
	Connection string    `json:"connection"`
	ID         string    `json:"id"`
	Key        string    `json:"key"`
	CreatedAt  time.Time `json:"created_at"`
	Client     string    `json:"client"`
	Record     string    `json:"record,omitempty"`
}

func decodeIssue(key, value []byte) (*issueRecord, error) {
	var r issueRecord
	if err := decode(value, &r); err != nil {
		return nil, corruptf("issue %q: %v", key, err)
	}
	if r.name() != string(key) {
		return nil, corruptf("issue %q holds the record of another one", key)
	}
	return &r, nil
}

// name is the key of the record.
func (r *issueRecord) name() string { return issueName(r.Connection, cmp.Or(r.ID, r.Key)) }

// issueName is the key of an issue in both buckets. Connection ids have no slash
// in them.
func issueName(connection, idOrKey string) string { return connection + "/" + idOrKey }

// decode reads one JSON value into v, strictly. Its errors name fields and types
// only, never values.
func decode(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return errors.New("it is not the JSON record it should be")
	}
	if d.InputOffset() != int64(len(b)) {
		return errors.New("something follows the JSON record")
	}
	return nil
}

func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return b, nil
}

// utc is the form in which times are stored: it survives JSON unchanged.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Round(0)
}
