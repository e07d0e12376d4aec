package signin

import (
	"fmt"
	"net/http"
	"time"
)

// Codes of failures. They are stable, and stand in records and in the log.
const (
	CodeTokenWrong          = "token_wrong"
	CodeTooManyTries        = "too_many_tries"
	CodeFormExpired         = "form_expired"
	CodeStateUnknown        = "state_unknown"
	CodeProviderUnavailable = "provider_unavailable"
	CodeProviderRefused     = "provider_refused"
	CodeIdentityInvalid     = "identity_invalid"
	CodeNoRole              = "no_role"
	CodeRecordUnavailable   = "record_unavailable"
	CodeCSRF                = "csrf"
)

// failure is why somebody isn't signed in. The texts are from here: none quotes what
// came from a browser or from the provider.
type failure struct {
	status              int
	code, problem, hint string
	actor               string // who it is, where that is known
	operation           string // empty means operationSignIn
	detail              string // for the log only
}

func tokenWrong() failure {
	return failure{status: http.StatusForbidden, code: CodeTokenWrong, problem: "This is not the admin token.",
		hint: "It is in the file admin-token in the gateway's data directory, unless JIRAGATE_ADMIN_TOKEN_FILE names another."}
}

func tooManyTries(wait time.Duration) failure {
	return failure{status: http.StatusTooManyRequests, code: CodeTooManyTries,
		problem: fmt.Sprintf("There were too many wrong tokens. Try again in %d s.", seconds(wait)),
		hint:    "The commands of jiragate on the gateway's own machine work meanwhile."}
}

func formExpired() failure {
	return failure{status: http.StatusForbidden, code: CodeFormExpired, problem: "This page was open for too long, or the browser keeps no cookies.",
		hint: "Try again now. If that doesn't help, allow cookies for this address."}
}

func stateUnknown() failure {
	return failure{status: http.StatusForbidden, code: CodeStateUnknown, problem: "This sign-in was not begun in this browser, is older than ten minutes, or has been used.",
		hint: "Begin again here."}
}

func providerUnavailable(why string) failure {
	return failure{status: http.StatusBadGateway, code: CodeProviderUnavailable, problem: "The gateway can't get an answer that it understands from the identity provider.",
		hint: "Try again in a moment. The gateway's log says more.", detail: why}
}

func providerRefused(why string) failure {
	return failure{status: http.StatusForbidden, code: CodeProviderRefused, problem: "The identity provider has not signed you in.",
		hint: "Try again. The gateway's log has the reason that the provider gave.", detail: why}
}

func identityInvalid(why string) failure {
	return failure{status: http.StatusForbidden, code: CodeIdentityInvalid, problem: "What the identity provider says of you is not valid for this gateway.",
		hint: "The gateway's log says what is wrong with it. A clock that is wrong is a usual cause.", detail: why}
}

func noRole(who identity) failure {
	return failure{status: http.StatusForbidden, code: CodeNoRole, actor: who.actor,
		problem: "You are known, but you have no role here.",
		hint:    "Whoever manages the identity provider can give you one; the gateway's configuration says which of its roles count."}
}

func unrecorded() failure {
	return failure{status: http.StatusServiceUnavailable, code: CodeRecordUnavailable, problem: "The sign-in can't be recorded, so it was not done.",
		hint: "The gateway's log and /readyz say what hinders the audit log; a full disk is the usual cause."}
}

func forged(actor string) failure {
	return failure{operation: operationSignOut, actor: actor, status: http.StatusForbidden, code: CodeCSRF, problem: "You are still signed in: the form that asked to sign you out was not one of this session.",
		hint: "Go back to the console, load it again, and sign out there."}
}

// seconds rounds up: whoever comes back in time gets a turn.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
