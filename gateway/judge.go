package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/oauth"
)

// heed looks at what the head of an answer says of a credential that was sent
// as it is stored, before anything else can end the call. One that Jira has
// refused pauses its connection: trying it again locks the customer's account.
func (g *Gateway) heed(ctx context.Context, c *Call, r *http.Response) {
	if c.connection.CredentialKind == tokenstore.KindOAuth2 {
		return
	}
	verdict := judge(c.connection.CredentialKind, r)
	c.noted = verdict.code
	// The turn ends last, so that the calls that wait for it find the connection
	// paused.
	if verdict.pause == "" {
		c.turn.done(verdict.accepted)
		return
	}
	if !g.pause(ctx, c, verdict.pause) {
		c.turn.block()
	}
	c.turn.refused()
}

// refreshed is the answer to go on with: a, unless it says that the access
// token is not good. Then the token is renewed, and a read sent once more with the
// new one.
func (g *Gateway) refreshed(ctx context.Context, c *Call, a *answer) (*answer, *refusal) {
	if c.connection.CredentialKind != tokenstore.KindOAuth2 || a.response.StatusCode != http.StatusUnauthorized {
		return a, nil
	}
	return g.renew(ctx, c, a)
}

// renew asks for another token in place of the one that Jira has refused. A
// missing scope is answered with 401 too, and so are other refusals that no new
// token helps against (Atlassian's community, "Unauthorized; scope does not match").
func (g *Gateway) renew(ctx context.Context, c *Call, a *answer) (*answer, *refusal) {
	if reason := c.reason(a); reason != "" {
		c.noted = Code(reason)
		return a, nil
	}
	renewing, cancel := context.WithTimeout(ctx, renewalTimeout)
	defer cancel()
	asked := time.Now()
	token, err := g.options.Tokens.Renew(renewing, c.connection.ID, c.connection.Incarnation, c.token)
	c.away(asked)
	c.renewed(err == nil)
	switch {
	case errors.Is(err, oauth.ErrNeedsReauthorisation):
		a.close()
		return nil, credentialRefusal(c.connection, err)
	case err != nil:
		g.log.WarnContext(ctx, "token refused by Jira and not renewed", "connection", c.connection.ID, "record", c.record.ID, "error", c.secrets.redact(err),
			"hint", "the next call tries again; if it goes on, look at the authorization server, and at jiragate connection show")
		c.noted = CodeCredentialRefused
		return a, nil
	case c.out.Method != http.MethodGet:
		// Never twice (G9): the client decides about the write, and its next
		// call has the new token.
		c.noted = CodeCredentialRefused
		return a, nil
	}
	a.close()
	c.token = token
	c.out = c.out.Clone(c.ctx) // the transport may hold on to the other
	c.out.Header["Authorization"] = []string{bearer(token, &c.secrets)}
	c.repeats()
	again, refused := g.send(c)
	if refused == nil && again.response.StatusCode == http.StatusUnauthorized && c.reason(again) == "" {
		c.noted = CodeCredentialRefused
	}
	return again, refused
}

// close gives an answer up that nobody gets. A little of its body is read, so
// that its connection can be used again.
func (a *answer) close() {
	_, _ = io.CopyN(io.Discard, &a.body, streamBuffer)
	a.body.Close()
}

// verdict is what an answer of Data Center or Server says of a stored
// credential.
type verdict struct {
	accepted bool   // for certain
	code     Code   // what to note; "" for nothing
	pause    string // why the connection must be paused; "" where it needn't
}

// What Jira's login filter, Seraph, says of a request (X-Seraph-LoginReason and
// X-Authentication-Denied-Reason, seen in
// https://github.com/ankitpokhrel/jira-cli/issues/353).
const (
	seraphReason  = "X-Seraph-Loginreason"
	seraphDenied  = "X-Authentication-Denied-Reason"
	reasonOK      = "OK"
	reasonFailed  = "AUTHENTICATED_FAILED"
	reasonDenied  = "AUTHENTICATION_DENIED"
	deniedCaptcha = "CAPTCHA_CHALLENGE"
)

// Why a connection is paused, for whoever has to act.
const (
	pauseCaptcha   = "Jira asks for a CAPTCHA at the account's login: a person must log in with a browser, then: jiragate connection enable"
	pausePassword  = "Jira refused the stored user name and password: they are not sent again until there are new ones (jiragate connection credential), or the account is in order (jiragate connection enable)"
	pausePAT       = "Jira refused the personal access token: it has expired or was revoked; give the connection a new one: jiragate connection credential"
	pauseLink      = "Jira refused the application link: compare its consumer key and public key in Jira with jiragate connection show, then: jiragate connection enable"
	pauseLinkToken = "Jira refused the application link's access token: an administrator must consent anew: jiragate connection consent"
)

// judge reads the verdict from the head of an answer. What isn't said for certain
// neither proves a credential nor pauses it.
func judge(kind tokenstore.CredentialKind, r *http.Response) verdict {
	reasons := words(r.Header[seraphReason])
	denied := strings.Join(r.Header[seraphDenied], ",")
	failed := slices.Contains(reasons, reasonFailed)
	// Jira may answer 401 to who is logged in and lacks a permission.
	loggedIn := slices.Contains(reasons, reasonOK) && !failed && denied == ""
	refused := r.StatusCode == http.StatusUnauthorized && !loggedIn
	switch {
	case kind == tokenstore.KindBasic && (strings.Contains(denied, deniedCaptcha) || slices.Contains(reasons, reasonDenied)):
		return verdict{code: CodeCaptchaRequired, pause: pauseCaptcha}
	case kind == tokenstore.KindOAuth1 && refused:
		return judgeLink(applink.Problem(r.Header))
	case kind == tokenstore.KindPAT && refused:
		return verdict{code: CodeCredentialRefused, pause: pausePAT}
	case kind == tokenstore.KindBasic && (refused || failed):
		return verdict{code: CodeCredentialRefused, pause: pausePassword}
	}
	return verdict{accepted: loggedIn || r.StatusCode >= 200 && r.StatusCode < 300}
}

// words splits the values of a field at commas and white space.
func words(values []string) []string {
	return strings.FieldsFunc(strings.Join(values, ","), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// judgeLink tells from the problem that came with a 401 whether the token of an
// application link is no good, the link itself, or neither.
func judgeLink(problem string) verdict {
	switch problem {
	case "timestamp_refused", "nonce_used":
		return verdict{code: CodeClockRefused}
	case "signature_invalid", "signature_method_rejected", "consumer_key_unknown", "consumer_key_rejected", "consumer_key_refused":
		return verdict{code: CodeCredentialRefused, pause: pauseLink}
	}
	return verdict{code: CodeCredentialRefused, pause: pauseLinkToken}
}

// pause keeps a credential that Jira has refused from being sent again, unless
// it was replaced meanwhile. It reports whether that is stored.
func (g *Gateway) pause(ctx context.Context, c *Call, reason string) bool {
	err := g.options.Credentials.RequireReauthorisation(context.WithoutCancel(ctx), c.connection.ID, c.generation, reason)
	switch {
	case errors.Is(err, tokenstore.ErrConflict), errors.Is(err, tokenstore.ErrNotFound), errors.Is(err, tokenstore.ErrClaimed):
		return true // it is another one by now, or about to be
	case err != nil:
		g.log.ErrorContext(ctx, "connection not paused, although Jira refused its credential", "connection", c.connection.ID, "record", c.record.ID, "error", err,
			"hint", "pause it with jiragate connection disable before Jira locks the account, and look at the store: the disk of JIRAGATE_DATA_DIR, or etcd's members")
		return false
	}
	g.log.ErrorContext(ctx, "connection paused: Jira refused its credential", "connection", c.connection.ID, "code", string(c.noted), "record", c.record.ID,
		"hint", reason)
	return true
}
