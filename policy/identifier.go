package policy

import "strings"

// identifier is a kind of path parameter, known by the name that Atlassian's
// specifications give it. Those say no more than "string"; the grammars here
// are stricter, and none has a byte that needs escaping in a URL.
type identifier string

const (
	projectIDOrKey identifier = "projectIdOrKey"
	issueIDOrKey   identifier = "issueIdOrKey"
	issueTypeID    identifier = "issueTypeId"
)

// known reports whether k is one of the kinds.
func (k identifier) known() bool { return k.grammar() != "" }

// matches reports whether the decoded segment s is such an identifier.
func (k identifier) matches(s string) bool {
	switch k {
	case projectIDOrKey:
		return isProjectKey(s) || isID(s)
	case issueIDOrKey:
		return isIssueKey(s) || isID(s)
	case issueTypeID:
		return isID(s)
	}
	return false
}

// grammar describes k for people; "" if it is not a known kind.
func (k identifier) grammar() string {
	switch k {
	case projectIDOrKey:
		return "a project key (capital letter, then capital letters, digits or _) or a project id (digits)"
	case issueIDOrKey:
		return "an issue key (project key, hyphen, number) or an issue id (digits)"
	case issueTypeID:
		return "an issue type id (digits)"
	}
	return ""
}

// isProjectKey reports whether s is [A-Z][A-Z0-9_]{1,254}. An administrator of
// Jira Data Center may change the pattern ([A-Z][A-Z]+ by default), but only
// within these rules: a capital letter first, then capital letters, digits and
// underscores, two characters at least ("Changing the project key format",
// confluence.atlassian.com/adminjiraserver). The setting "Maximum project key
// size" ends at 255. Lower case is refused, and with it every other resource
// below /project and /issue.
func isProjectKey(s string) bool {
	if len(s) < 2 || len(s) > 255 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := 1; i < len(s); i++ {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// isID reports whether s is [1-9][0-9]{0,17}, a positive number that fits the
// 64 bits of Jira's ids. A leading zero is refused because Jira would read 010
// as 10, so that one thing would have two names.
func isID(s string) bool {
	if s == "" || len(s) > 18 || s[0] == '0' {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// isIssueKey reports whether s is a project key, a hyphen and an id.
func isIssueKey(s string) bool {
	key, number, ok := strings.Cut(s, "-")
	return ok && isProjectKey(key) && isID(number)
}

// projectOfIssue returns the project key of an issue key; "" for an issue id,
// which does not tell its project.
func projectOfIssue(idOrKey string) string {
	if !isIssueKey(idOrKey) {
		return ""
	}
	key, _, _ := strings.Cut(idOrKey, "-")
	return key
}

// names says what an identifier of this kind names, for project limits.
func (k identifier) names() reference {
	switch k {
	case projectIDOrKey:
		return referenceProject
	case issueIDOrKey:
		return referenceIssue
	}
	return referenceNone
}
