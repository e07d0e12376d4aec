package tokenstore

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"jiragate/policy"
)

const (
	maxName      = 63
	maxReason    = 500
	maxScopes    = 100
	maxScope     = 200
	maxSANs      = 100
	maxSAN       = 1000
	maxCA        = 256 << 10
	maxRecord    = 128
	maxIssueID   = 20
	maxIssueKey  = 255
	maxURL       = 500
	maxGrants    = 100_000
	uuidTemplate = "00000000-0000-0000-0000-000000000000"
)

// Validate reports what keeps the connection from being stored: every field has
// one form, and what the edition doesn't use is empty. The error says which form
// to use. Times are not looked at.
func (c *Connection) Validate() error {
	if err := ValidConnectionID(c.ID); err != nil {
		return err
	}
	if err := c.validateFields(); err != nil {
		return &invalidError{what: "connection " + c.ID, err: err}
	}
	return nil
}

func (c *Connection) validateFields() error {
	switch c.Edition {
	case policy.Cloud:
		if err := c.validateCloud(); err != nil {
			return err
		}
	case policy.DataCenter:
		if err := c.validateDataCenter(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("edition %s is unknown: use %q or %q", printable(string(c.Edition)), policy.Cloud, policy.DataCenter)
	}
	if c.Region != RegionUS && c.Region != RegionEU {
		return fmt.Errorf("region %s is unknown: use %q or %q", printable(string(c.Region)), RegionUS, RegionEU)
	}
	if err := validScopes(c.Scopes); err != nil {
		return err
	}
	if err := validCA(c.UpstreamCA); err != nil {
		return err
	}
	return validState(c.State, c.StateReason)
}

func (c *Connection) validateCloud() error {
	if c.BaseURL != "" {
		return errors.New("a cloud connection has a site URL and a cloud id, but no base URL")
	}
	// Where it leads may be left to the consent.
	calls := c.State.Callable()
	if c.SiteURL != "" || calls {
		if err := validSiteURL(c.SiteURL); err != nil {
			return fmt.Errorf("site URL: %w", err)
		}
	}
	// Where to find it: https://support.atlassian.com/jira/kb/retrieve-my-atlassian-sites-cloud-id
	if (c.CloudID != "" || calls) && !isUUID(c.CloudID) {
		return fmt.Errorf("cloud id %s: use the UUID that https://HOST/_edge/tenant_info shows, in lower case", printable(c.CloudID))
	}
	if c.CredentialKind != KindOAuth2 {
		return fmt.Errorf("a cloud connection is authorised by %q, not by %s", KindOAuth2, printable(string(c.CredentialKind)))
	}
	return nil
}

func (c *Connection) validateDataCenter() error {
	if c.SiteURL != "" || c.CloudID != "" {
		return errors.New("a datacenter connection has a base URL, but no site URL and no cloud id")
	}
	if err := validBaseURL(c.BaseURL); err != nil {
		return fmt.Errorf("base URL: %w", err)
	}
	switch c.CredentialKind {
	case KindBasic, KindPAT, KindOAuth1:
		if len(c.Scopes) > 0 {
			return errors.New("only oauth2 connections have scopes")
		}
	case KindOAuth2:
	default:
		return fmt.Errorf("a datacenter connection is authorised by %q, %q, %q or %q, not by %s", KindBasic, KindPAT, KindOAuth2, KindOAuth1, printable(string(c.CredentialKind)))
	}
	return nil
}

// ValidConnectionID reports whether id can name a connection:
// [a-z0-9][a-z0-9._-]{0,62}.
func ValidConnectionID(id string) error {
	if !validName(id) {
		return &invalidError{what: "connection id " + printable(id), err: errNameForm}
	}
	return nil
}

var errNameForm = errors.New("use 1 to 63 of a-z, 0-9, '.', '_' and -, beginning with a letter or a digit")

// OperatorName stands for the gateway itself in call records, where an operator
// tests a connection. No client can have it.
const OperatorName = "jiragate"

// ValidClientName reports whether name can name a client:
// [a-z0-9][a-z0-9._-]{0,62}. There is no "+" in it because proxy user names may
// be CLIENT+CONNECTION.
func ValidClientName(name string) error {
	switch {
	case !validName(name):
		return &invalidError{what: "client name " + printable(name), err: errNameForm}
	case name == OperatorName:
		return &invalidError{what: "client name " + printable(name), err: errors.New("it stands for the gateway itself in call records: use another")}
	}
	return nil
}

// validName accepts [a-z0-9][a-z0-9._-]{0,62}.
func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		alnum := s[i] >= 'a' && s[i] <= 'z' || s[i] >= '0' && s[i] <= '9'
		if !alnum && (i == 0 || strings.IndexByte("._-", s[i]) < 0) {
			return false
		}
	}
	return true
}

// Validate reports what keeps the client from being stored. Times are not
// looked at, nor whether its connections exist.
func (c *Client) Validate() error {
	if err := ValidClientName(c.Name); err != nil {
		return err
	}
	if err := c.validateFields(); err != nil {
		return &invalidError{what: "client " + c.Name, err: err}
	}
	return nil
}

func (c *Client) validateFields() error {
	if c.TokenSHA256 == TokenSHA256("") {
		return errors.New("its token is the empty string: use one of at least 32 characters")
	}
	if len(c.CertificateSANs) > maxSANs {
		return fmt.Errorf("it has more than %d certificate names", maxSANs)
	}
	for i, san := range c.CertificateSANs {
		if slices.Contains(c.CertificateSANs[:i], san) {
			return fmt.Errorf("certificate name %s is listed twice", printable(san))
		}
		if err := validSAN(san); err != nil {
			return fmt.Errorf("certificate name %s: %w", printable(san), err)
		}
	}
	if len(c.Connections) > maxGrants {
		return fmt.Errorf("it is granted more than %d connections", maxGrants)
	}
	for i, id := range c.Connections {
		if err := ValidConnectionID(id); err != nil {
			return err
		}
		if i > 0 && c.Connections[i-1] >= id {
			return errors.New("its connections are not sorted, or one is listed twice")
		}
	}
	return nil
}

// validSAN accepts "dns:" and a DNS name, "uri:" and an absolute URI as it is
// printed.
func validSAN(san string) error {
	form, name, _ := strings.Cut(san, ":")
	switch {
	case len(san) > maxSAN:
		return fmt.Errorf("it is longer than %d bytes", maxSAN)
	case form == "dns":
		if err := validDNSName(name); err != nil {
			return err
		}
		return nil
	case form == "uri":
		u, err := url.Parse(name)
		if err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" || u.User != nil || u.String() != name {
			return errors.New(`use "uri:" and an absolute URI such as spiffe://acme.example/ns/reports`)
		}
		return nil
	}
	return errors.New(`use "dns:NAME" or "uri:URI"`)
}

// Validate reports what keeps the issue from being recorded.
func (i *PublishedIssue) Validate() error {
	if err := ValidConnectionID(i.Connection); err != nil {
		return err
	}
	if err := i.validateFields(); err != nil {
		return &invalidError{what: "published issue " + printable(cmp.Or(i.ID, i.Key)), err: err}
	}
	return nil
}

func (i *PublishedIssue) validateFields() error {
	switch {
	case i.ID == "" && i.Key == "":
		return errors.New("it has neither id nor key")
	case i.ID != "" && !isIssueID(i.ID):
		return errors.New("the id is not a number as Jira writes it")
	case i.Key != "" && !isIssueKey(i.Key):
		return fmt.Errorf("the key %s is not of the form PROJECT-123", printable(i.Key))
	}
	if i.Client != "" {
		if err := ValidClientName(i.Client); err != nil {
			return err
		}
	}
	if len(i.Record) > maxRecord || !isText(i.Record) {
		return fmt.Errorf("the id of the call record is longer than %d bytes or not plain text", maxRecord)
	}
	return nil
}

// isIssueID accepts decimal numbers without leading zeros.
func isIssueID(s string) bool {
	return s != "" && len(s) <= maxIssueID && s[0] != '0' && isDigits(s)
}

// isIssueKey accepts [A-Z][A-Z0-9_]* "-" and a number without leading zeros:
// Jira's default key pattern.
func isIssueKey(s string) bool {
	i := strings.LastIndexByte(s, '-')
	if i < 1 || len(s) > maxIssueKey || !isIssueID(s[i+1:]) || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for _, b := range []byte(s[:i]) {
		if (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '_' {
			return false
		}
	}
	return true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// isUUID accepts the 8-4-4-4-12 form in lower case (RFC 9562 section 4).
func isUUID(s string) bool {
	if len(s) != len(uuidTemplate) {
		return false
	}
	for i := range len(s) {
		if uuidTemplate[i] == '-' {
			if s[i] != '-' {
				return false
			}
		} else if strings.IndexByte("0123456789abcdef", s[i]) < 0 {
			return false
		}
	}
	return true
}

// validScopes accepts scope-tokens of RFC 6749 section 3.3.
func validScopes(scopes []string) error {
	if len(scopes) > maxScopes {
		return fmt.Errorf("there are more than %d scopes", maxScopes)
	}
	for i, s := range scopes {
		if s == "" || len(s) > maxScope || strings.ContainsFunc(s, func(r rune) bool {
			return r <= ' ' || r > '~' || r == '"' || r == '\\'
		}) {
			return fmt.Errorf("scope %s: list one scope an entry, for instance read:jira-work", printable(s))
		}
		if slices.Contains(scopes[:i], s) {
			return fmt.Errorf("scope %s is listed twice", s)
		}
	}
	return nil
}

func validState(s State, reason string) error {
	switch s {
	case StateActive, StateExpiring, StateNeedsReauthorisation, StateDisabled:
	default:
		return fmt.Errorf("state %s is unknown: use %q, %q, %q or %q", printable(string(s)), StateActive, StateExpiring, StateNeedsReauthorisation, StateDisabled)
	}
	if len(reason) > maxReason || !isText(reason) {
		return fmt.Errorf("the reason of the state is not one line of at most %d bytes", maxReason)
	}
	return nil
}

// validCA accepts PEM certificates and nothing but white space after them.
func validCA(pemText string) error {
	if pemText == "" {
		return nil
	}
	if len(pemText) > maxCA {
		return fmt.Errorf("the upstream CA is longer than %d bytes", maxCA)
	}
	rest := []byte(pemText)
	for n := 1; ; n++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			return errors.New("the upstream CA holds no certificate: use PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----")
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("the upstream CA holds a %s: leave certificates only", printable(block.Type))
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("certificate #%d of the upstream CA: %w", n, err)
		}
		if strings.TrimSpace(string(rest)) == "" {
			return nil
		}
	}
}
