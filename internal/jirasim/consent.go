package jirasim

// What people do in a browser: they decide on consent pages, and withdraw later
// what they agreed to.

// Consent is what becomes of an application that asks for access.
type Consent string

// The decisions. They hold for all three consent pages: Cloud's, and Data
// Center's for OAuth 2.0 and for OAuth 1.0a.
const (
	ConsentPage    Consent = "page"    // a person decides on the page
	ConsentApprove Consent = "approve" // granted at once, without a page
	ConsentDeny    Consent = "deny"    // refused at once, without a page
)

// SetConsent decides on the requests for access to come.
func (s *Sim) SetConsent(c Consent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.consent = c
}

// decision is what the consent page's form would say, or nothing if it is to be
// asked.
func (s *Sim) decision() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[Consent]string{ConsentApprove: "accept", ConsentDeny: "deny"}[s.consent]
}

// IssueGrant gives consent on Cloud as a customer's administrator would and
// returns the first tokens. No scopes stands for [DefaultScopes].
func (s *Sim) IssueGrant(scopes ...string) Tokens {
	if len(scopes) == 0 {
		scopes = DefaultScopes()
	}
	return s.oauth.issue(scopes)
}

// ExpireAccessTokens ends all of Cloud's access tokens at once; refresh tokens
// stay good.
func (s *Sim) ExpireAccessTokens() { s.oauth.expireAccess() }

// RevokeGrant withdraws the consent that a token of Cloud's, of either kind, came
// from, as a user does under "connected apps". It reports whether there was one.
func (s *Sim) RevokeGrant(token string) bool { return s.oauth.revoke(token) }

// RefreshTokenCurrent says whether a refresh token of Cloud's is the one that its
// family would have the application use: known, alive, and not replaced.
func (s *Sim) RefreshTokenCurrent(token string) bool { return s.oauth.current(token) }

// TokenStats returns the counters of Cloud's token endpoint.
func (s *Sim) TokenStats() TokenStats { return s.oauth.statistics() }

// IssueDataCenterGrant gives consent on Data Center, in the name of the service
// account. No scopes stands for WRITE. The grant can be refreshed with any
// redirect URI that is registered, for no browser was sent to one.
func (s *Sim) IssueDataCenterGrant(scopes ...string) Tokens {
	if len(scopes) == 0 {
		scopes = []string{"WRITE"}
	}
	return s.dcOAuth.issue(scopes)
}

// ExpireDataCenterAccessTokens ends all of Data Center's OAuth 2.0 access tokens
// at once; refresh tokens stay good, and so do personal access tokens.
func (s *Sim) ExpireDataCenterAccessTokens() { s.dcOAuth.expireAccess() }

// RevokeDataCenterGrant withdraws the consent that an OAuth 2.0 token of Data
// Center's, of either kind, came from, as a user does in the profile under
// "authorized applications". It reports whether there was one.
func (s *Sim) RevokeDataCenterGrant(token string) bool { return s.dcOAuth.revoke(token) }

// DataCenterRefreshTokenCurrent is [Sim.RefreshTokenCurrent] for Data Center.
func (s *Sim) DataCenterRefreshTokenCurrent(token string) bool { return s.dcOAuth.current(token) }

// DataCenterTokenStats returns the counters of Data Center's token and revocation
// endpoints.
func (s *Sim) DataCenterTokenStats() TokenStats { return s.dcOAuth.statistics() }
