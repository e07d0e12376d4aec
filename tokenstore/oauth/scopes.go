package oauth

import (
	"regexp"
	"slices"
	"strings"

	"jiragate/policy"
)

// ScopeError is a grant of other scopes than were asked for.
type ScopeError struct {
	// Missing are scopes that were asked for, Extra those that were granted beyond
	// them; both are sorted.
	Missing, Extra []string
}

func (e *ScopeError) Error() string {
	s := "the scopes granted are not those that were asked for"
	if len(e.Missing) > 0 {
		s += "; missing: " + strings.Join(e.Missing, " ")
	}
	if len(e.Extra) > 0 {
		s += "; granted beyond: " + strings.Join(e.Extra, " ")
	}
	return s
}

// otherScope stands for scopes which don't look like any of Jira's, and might be
// anything.
const otherScope = "(another)"

// scopeForm is that of Jira's scopes: read:jira-work, read:issue:jira, WRITE.
var scopeForm = regexp.MustCompile(`^(?:(?:read|write|delete|manage|admin|send|validate)(?::[a-z.-]{1,40}){1,2}|offline_access|READ|WRITE|ADMIN|SYSTEM_ADMIN)$`)

// checkScopes compares what was granted with what an edition's connections need:
// for Cloud exactly the four; for Data Center WRITE, with or without the READ that
// it includes. It returns what was granted, sorted.
func checkScopes(e policy.Edition, granted []string) ([]string, error) {
	granted = sortedScopes(granted)
	needed, harmless := scopesAskedFor(), []string(nil)
	if e != policy.Cloud {
		needed, harmless = []string{dataCenterScope}, []string{"READ"}
	}
	var bad ScopeError
	for _, s := range needed {
		if !slices.Contains(granted, s) {
			bad.Missing = append(bad.Missing, s)
		}
	}
	for _, s := range granted {
		switch {
		case slices.Contains(needed, s), slices.Contains(harmless, s):
		case scopeForm.MatchString(s):
			bad.Extra = append(bad.Extra, s)
		default:
			bad.Extra = append(bad.Extra, otherScope)
		}
	}
	if len(bad.Missing) == 0 && len(bad.Extra) == 0 {
		return granted, nil
	}
	bad.Missing, bad.Extra = sortedScopes(bad.Missing), sortedScopes(bad.Extra)
	return nil, &bad
}
