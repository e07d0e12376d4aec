package gateway

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/privacy"
	"jiragate/policy"
)

// records is the one way by which records of calls reach the audit log: it alone
// has the log, so that no record and no intent gets there with identifiers that the
// privacy settings keep out. Along the way of a call its record has them in clear.
type records struct {
	log     *audit.Log
	privacy *privacy.Masker
	policy  func() *policy.Policy
}

// identifiers are what privacy settings mask in a record, and what else the outcome
// depends on.
type identifiers struct{ connection, edition, operation, path, addr string }

// masked is what became of identifiers.
type masked struct {
	of         identifiers
	path, addr string
}

// of is the record of a call as it may be written, exported or logged.
func (rs *records) of(c *Call) audit.Record {
	if rs.privacy.KeepsIdentifiers() && rs.privacy.KeepsAddresses() {
		return c.record
	}
	r := c.record
	is := identifiers{r.Connection, r.Edition, r.Operation, r.Path, r.ClientAddr}
	if c.masked == nil || c.masked.of != is {
		r = rs.privacy.Mask(r, func(f func(name, value string) string) string {
			return rs.policy().MapIdentifiers(policy.Edition(is.edition), is.operation, is.path, f)
		})
		c.masked = &masked{is, r.Path, r.ClientAddr}
	}
	r.Path, r.ClientAddr = c.masked.path, c.masked.addr
	return r
}

// begin writes the intent of a call.
func (rs *records) begin(c *Call) (err error) {
	c.pending, err = rs.log.Begin(rs.of(c))
	return err
}

// complete writes what came of a call that has an intent, or of one that was
// refused.
func (rs *records) complete(c *Call) error {
	c.record.DurationMS = float64(time.Since(c.started).Microseconds()) / 1000
	if c.pending != nil {
		_, err := c.pending.Complete(rs.of(c))
		return err
	}
	_, err := rs.log.Append(rs.of(c))
	return err
}

// url is where an allowed call goes, as it may be exported: without the query, whose
// values are nobody's business.
func (rs *records) url(c *Call) string {
	u := c.out.URL
	base := strings.TrimSuffix(u.EscapedPath(), c.decision.Path()) // a rebuilt path needs no escaping
	return "https://" + u.Host + base + rs.of(c).Path
}

// text is a message for the program's log without the address of the call's client,
// which errors of its connection quote.
func (rs *records) text(c *Call, message string) string {
	if rs.privacy.KeepsAddresses() || !c.origin.peer.IsValid() {
		return message
	}
	peer := c.origin.peer.String()
	return strings.ReplaceAll(message, peer, rs.privacy.Text(peer))
}

// aboutIssue is an error of the store of published issues for the program's log: it
// may name the issue.
func (rs *records) aboutIssue(err error) error {
	if rs.privacy.KeepsIdentifiers() {
		return err
	}
	cause := innermost(err)
	if errno, ok := cause.(syscall.Errno); ok { // a full disk, most likely
		return fmt.Errorf("the store of published issues: %w", errno)
	}
	return fmt.Errorf("the store of published issues: %T, whose text is withheld, since it may name the issue", cause)
}
