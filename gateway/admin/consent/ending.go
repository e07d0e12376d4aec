package consent

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/oauth"
)

// What visitors are told to do again and again.
const (
	openAgain   = "Open the link that you were sent again. It is still good."
	askForLink  = "Ask whoever sent you the link for a new one."
	allIsWell   = "If you have just seen that your Jira is connected, all is well: close this window."
	tellSender  = "Tell whoever sent you the link, and quote the reference below."
	nothingDone = "Nothing was changed, neither here nor in your Jira."
	takeBack    = "If you don't go on, you can take back the access that you gave: on Atlassian's site under the connected apps of your account (https://id.atlassian.com/manage-profile/apps), on Jira Data Center under the authorised applications of your profile."
)

// endingOf is the page for an error of a [Consenter]. Its own text goes to the log.
func endingOf(err error, c *tokenstore.Connection) page {
	var scopes *oauth.ScopeError
	var site *oauth.SiteError
	switch {
	case errors.Is(err, oauth.ErrConsentDenied):
		return denied(c)
	case errors.As(err, &scopes):
		return wrongScopes(c, scopes)
	case errors.As(err, &site):
		return wrongSite(site)
	case errors.Is(err, oauth.ErrNoSites):
		return noSite()
	case errors.Is(err, oauth.ErrNoRefreshToken):
		return noRefreshToken(c)
	case errors.Is(err, oauth.ErrCodeRefused):
		return codeRefused(c)
	case errors.Is(err, oauth.ErrStateMismatch):
		return stateUnknown()
	case errors.Is(err, applink.ErrClock):
		return clock(c)
	case errors.Is(err, applink.ErrKey):
		return notConfigured()
	case errors.Is(err, oauth.ErrNotConfigured) && c.Edition == policy.DataCenter:
		return linkRefused(c)
	case errors.Is(err, oauth.ErrNotConfigured):
		return notConfigured()
	case errors.Is(err, oauth.ErrNotServed):
		return otherRegion()
	case errors.Is(err, oauth.ErrReplaced), errors.Is(err, tokenstore.ErrNotFound):
		return removed()
	case errors.Is(err, oauth.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return unreachable(c)
	}
	return internal()
}

// given is a page of an ending after the access was given: it says how to take that
// back, since what isn't stored here can't be revoked from here.
func (p page) given() page {
	if !slices.Contains(p.Next, takeBack) {
		p.Next = append(p.Next, takeBack)
	}
	return p
}

// provider names who is asked for consent.
func provider(c *tokenstore.Connection) string {
	if c.Edition == policy.Cloud {
		return "Atlassian"
	}
	return "Your Jira at " + shown(c.Host())
}

func connected(c *tokenstore.Connection, t Tested) page {
	p := page{
		status: http.StatusOK,
		Good:   true,
		Title:  "Your Jira is connected",
		Text:   []string{"The gateway has made a first call, and Jira has answered it."},
		Facts:  []fact{{"Jira", shown(siteOf(c))}},
		May:    permissions(c),
		Next:   []string{"Nothing: you can close this window."},
	}
	if t.OK {
		p.Facts = append(p.Facts, fact{"Account", shown(t.Account)})
	} else {
		p.Good = false
		p.Title = "Your consent is stored, but the first call did not work"
		p.Text = []string{"The connection is set up, so you need not consent again for now."}
		p.Facts = append(p.Facts, fact{"What went wrong", shown(t.Reason)})
		p.Next = []string{"Make sure that the account which consented can see the projects in question, and that your Jira lets the gateway's addresses in.", tellSender}
	}
	p.Facts = append(p.Facts, fact{"Connection", c.ID})
	return p
}

func siteOf(c *tokenstore.Connection) string {
	if c.Edition == policy.Cloud {
		return c.SiteURL
	}
	return c.BaseURL
}

// permissions says what the scopes of a consent come to.
func permissions(c *tokenstore.Connection) []string {
	account := "All of it within the permissions of the account that consented: what that may not see or do, the gateway can't either."
	if c.Edition == policy.Cloud {
		return []string{
			"Read projects, issue types, fields, components and priorities (read:jira-work).",
			"Create issues, and delete issues (write:jira-work). As a rule the gateway deletes those that it created only.",
			"Read the names of users, to assign issues (read:jira-user).",
			"Stay connected without asking you each hour (offline_access).",
			account,
		}
	}
	return []string{
		"Read projects, issue types, fields, components, priorities and the names of users.",
		"Create issues, and delete issues. As a rule the gateway deletes those that it created only.",
		account,
	}
}

func denied(c *tokenstore.Connection) page {
	return page{
		status: http.StatusForbidden, code: "consent_denied",
		Title: "You did not give access",
		Text:  []string{provider(c) + " says that the request was refused or cancelled. " + nothingDone},
		Next:  []string{"If that was a mistake: " + lowerFirst(openAgain), "If it was not, there is nothing to do."},
	}
}

func linkUnknown() page {
	return page{
		status: http.StatusNotFound, code: "link_unknown",
		Title: "This link is not good (any more)",
		Text:  []string{"It may have been used already, a newer one may have taken its place, or it was not copied as a whole."},
		Next:  []string{"If you have connected your Jira with it before, there is nothing to do.", "Otherwise compare it with the one in the message, up to its last character.", askForLink},
	}
}

func linkExpired() page {
	return page{
		status: http.StatusGone, code: "link_expired",
		Title: "This link has expired",
		Text:  []string{"Links like this one are good for a limited time."},
		Next:  []string{askForLink},
	}
}

func linkUsed() page {
	return page{
		status: http.StatusConflict, code: "link_used",
		Title: "The link was used by somebody else in the meantime",
		Text:  []string{"Or a newer one has taken its place while you were on the way. Your consent was not stored here."},
		Next:  []string{"If a colleague has connected your Jira, there is nothing else to do.", askForLink, takeBack},
	}
}

func stateUnknown() page {
	return page{
		status: http.StatusBadRequest, code: "state_unknown",
		Title: "This page can't be used (again)",
		Text:  []string{"Each consent can be brought back here once, within ten minutes. This one was used already, took too long, or was not asked for by the gateway."},
		Next:  []string{allIsWell, "Otherwise open the link that you were sent again."},
	}
}

func foreignBrowser() page {
	return page{
		status: http.StatusForbidden, code: "foreign_browser",
		Title: "Please finish in the browser where you began",
		Text:  []string{"The consent was begun in another browser or window, or this browser keeps no cookies. For your safety it was not accepted. " + nothingDone},
		Next:  []string{"Did somebody send you the address of a page that asked for consent? Then stop here, and ask them why.", "Otherwise open the link that you were sent in this browser, with cookies allowed, and stay in it."},
	}
}

func wrongScopes(c *tokenstore.Connection, e *oauth.ScopeError) page {
	p := page{
		status: http.StatusForbidden, code: "scopes",
		Title: "The access given is not the access that is needed",
		Text:  []string{"The gateway takes exactly what it asks for: with less it would not work, and more it does not want. The consent was not stored."},
		Next:  []string{"Open the link that you were sent again, and give the access as it is asked for.", tellSender, takeBack},
	}
	if c.Edition == policy.DataCenter {
		p.Next[0] = "Give the incoming application link in Jira the permission \"Write\", and open the link that you were sent again."
	}
	if len(e.Missing) > 0 {
		p.Facts = append(p.Facts, fact{"Missing", shownAll(e.Missing)})
	}
	if len(e.Extra) > 0 {
		p.Facts = append(p.Facts, fact{"Not asked for", shownAll(e.Extra)})
	}
	return p
}

func wrongSite(e *oauth.SiteError) page {
	var found []string
	for _, s := range e.Found {
		found = append(found, s.URL)
	}
	return page{
		status: http.StatusConflict, code: "wrong_site",
		Title: "Access was given to another Jira site",
		Text:  []string{"The connection is set up for one site, and the consent is not about that one. It was not stored."},
		Facts: []fact{{"Wanted", shown(e.Wanted)}, {"Found", shownAll(found)}},
		Next:  []string{"Open the link that you were sent again, and choose the wanted site on Atlassian's page. If it is not in the list there, sign in with an account that may use it.", "If the wanted site is not yours: " + lowerFirst(tellSender), takeBack},
	}
}

func noSite() page {
	return page{
		status: http.StatusConflict, code: "no_site",
		Title: "The account has no Jira site",
		Text:  []string{"Atlassian lists no site with Jira for the account that consented. The consent was not stored."},
		Next:  []string{"Open the link that you were sent again, and sign in with an account that can use your Jira.", takeBack},
	}
}

func noRefreshToken(c *tokenstore.Connection) page {
	return page{
		status: http.StatusBadGateway, code: "no_refresh_token",
		Title: "The access given would end within hours",
		Text:  []string{provider(c) + " gave no refresh token, without which the gateway would have to ask you again and again. The consent was not stored."},
		Next:  []string{openAgain, "If it ends here again: " + lowerFirst(tellSender), takeBack},
	}
}

func codeRefused(c *tokenstore.Connection) page {
	return page{
		status: http.StatusBadRequest, code: "code_refused",
		Title: "It took too long, or was done twice",
		Text:  []string{provider(c) + " does not accept the consent any more that it gave the browser."},
		Next:  []string{openAgain},
	}
}

func unreachable(c *tokenstore.Connection) page {
	return page{
		status: http.StatusServiceUnavailable, code: "provider_unavailable",
		Title: "The gateway gets no answer",
		Text:  []string{provider(c) + " can't be reached from the gateway at the moment, or does not answer as it should."},
		Next:  []string{"Open the link that you were sent again in a few minutes. It is still good.", "If your Jira is behind a firewall, make sure that it lets the gateway's addresses in.", tellSender},
	}
}

func clock(c *tokenstore.Connection) page {
	return page{
		status: http.StatusBadGateway, code: "clock",
		Title: "The clocks differ",
		Text:  []string{provider(c) + " refuses the gateway's request because their clocks are more than five minutes apart."},
		Next:  []string{"Have the clock of your Jira server checked (NTP), and open the link that you were sent again.", tellSender},
	}
}

func linkRefused(c *tokenstore.Connection) page {
	p := page{
		status: http.StatusBadGateway, code: "link_refused",
		Title: "Jira does not accept the application link",
		Text:  []string{"What is entered in your Jira for this application link is not what the gateway has."},
		Next:  []string{"Compare the client id and the redirect URL of the incoming link in Jira with what you were sent. The client secret may have been replaced.", tellSender},
	}
	if c.CredentialKind == tokenstore.KindOAuth1 {
		p.Next[0] = "Compare the consumer key and the public key under \"incoming authentication\" of the link in Jira with what you were sent, and open the link again."
	}
	return p
}

func notConfigured() page {
	return page{
		status: http.StatusServiceUnavailable, code: "not_configured",
		Title: "The gateway is not set up for this yet",
		Text:  []string{"Something is missing in the gateway's own configuration. It is nothing that you could mend. " + nothingDone},
		Next:  []string{tellSender},
	}
}

func otherRegion() page {
	return page{
		status: http.StatusMisdirectedRequest, code: "other_region",
		Title: "This gateway serves another region",
		Text:  []string{"Your connection belongs to the gateway of another region. " + nothingDone},
		Next:  []string{tellSender},
	}
}

func removed() page {
	return page{
		status: http.StatusGone, code: "connection_removed",
		Title: "The connection is not there any more",
		Text:  []string{"It was removed or changed at the gateway while you were on the way. Your consent was not stored here."},
		Next:  []string{askForLink, takeBack},
	}
}

func busy() page {
	return page{
		status: http.StatusServiceUnavailable, code: "busy",
		Title: "Too much at once",
		Text:  []string{"The gateway has too many consents under way at the moment."},
		Next:  []string{"Open the link that you were sent again in a minute."},
	}
}

func unrecorded() page {
	return page{
		status: http.StatusServiceUnavailable, code: "record_unavailable",
		Title: "The gateway can't keep a record at the moment",
		Text:  []string{"Nothing is done here without a record of it, so the consent was not stored."},
		Next:  []string{"Open the link that you were sent again in a few minutes. It is still good.", tellSender},
	}
}

func internal() page {
	return page{
		status: http.StatusInternalServerError, code: "internal",
		Title: "Something went wrong at the gateway",
		Text:  []string{"It is not your fault. The consent was not stored."},
		Next:  []string{openAgain, tellSender},
	}
}

func wrongMethod() page {
	return page{
		status: http.StatusMethodNotAllowed, code: "method_not_allowed",
		Title: "This address is for another use",
		Text:  []string{"It can't be asked for in this way."},
		Next:  []string{allIsWell, "Otherwise open the link that you were sent again."},
	}
}

func foreignForm() page {
	return page{
		status: http.StatusForbidden, code: "foreign_form",
		Title: "The form came from somewhere else",
		Text:  []string{"The gateway takes its own forms only. " + nothingDone},
		Next:  []string{"Open the link that you were sent again, in an up-to-date browser."},
	}
}

// lowerFirst lets a sentence stand behind a colon.
func lowerFirst(s string) string {
	return string(s[0]|0x20) + s[1:]
}
