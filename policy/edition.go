package policy

import "fmt"

// Edition is the kind of Jira a connection leads to. The documented
// operations, their paths and their parameters differ between the two.
type Edition string

const (
	// Cloud is Jira Cloud: REST API v3, OAuth 2.0 (3LO).
	Cloud Edition = "cloud"
	// DataCenter is Jira Data Center and Server: REST API v2, basic
	// authentication and its successors.
	DataCenter Edition = "datacenter"
)

// ParseEdition returns the edition named s. The only names are "cloud" and
// "datacenter"; anything else is an error that says so.
func ParseEdition(s string) (Edition, error) {
	switch e := Edition(s); e {
	case Cloud, DataCenter:
		return e, nil
	}
	return "", fmt.Errorf("edition %q is unknown: use %q or %q", s, Cloud, DataCenter)
}

// title is the edition's name as customers read it.
func (e Edition) title() string {
	if e == Cloud {
		return "Jira Cloud"
	}
	return "Jira Data Center and Server"
}

// other returns the other edition.
func (e Edition) other() Edition {
	if e == Cloud {
		return DataCenter
	}
	return Cloud
}
