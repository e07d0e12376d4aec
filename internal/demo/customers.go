package demo

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// customer is one connection that the demo makes up, and how much it is used.
type customer struct {
	id       string
	edition  policy.Edition
	kind     tokenstore.CredentialKind
	base     string // of a Data Center; a Cloud site has its id in the name
	projects string // keys, separated by spaces
	weight   float64
	since    int // days ago
	fate     fate
}

// fate is what became of a connection by now.
type fate string

const (
	thrives  fate = ""
	expires  fate = "expiring"     // the grant ends soon
	lost     fate = "lost"         // the refresh token is no longer accepted
	disabled fate = "disabled"     // by an operator
	awaited  fate = "waiting"      // for the first consent
	barred   fate = "unauthorised" // the password is no longer accepted
)

const (
	cloud      = policy.Cloud
	dataCenter = policy.DataCenter
)

// customers are those of the demo besides acme, which it adds by the commands. The
// names are of films, books and series.
var customers = []customer{
	{"globex", cloud, tokenstore.KindOAuth2, "", "GLX OPS WEB", 14, 35, thrives},
	{"initech", cloud, tokenstore.KindOAuth2, "", "TPS INIT", 12, 35, thrives},
	{"hooli", cloud, tokenstore.KindOAuth2, "", "NUC BOX XYZ", 11, 35, thrives},
	{"umbrella", cloud, tokenstore.KindOAuth2, "", "HIVE LAB", 9, 35, thrives},
	{"stark-industries", cloud, tokenstore.KindOAuth2, "", "ARC JARVIS", 9, 34, thrives},
	{"wayne-enterprises", dataCenter, tokenstore.KindPAT, "https://jira.wayne-enterprises.example/jira", "WE APPSCI", 8, 34, thrives},
	{"cyberdyne", cloud, tokenstore.KindOAuth2, "", "SKY GEN", 6, 34, thrives},
	{"tyrell", dataCenter, tokenstore.KindOAuth2, "https://jira.tyrell.example", "NEXUS VK", 6, 34, thrives},
	{"weyland-yutani", dataCenter, tokenstore.KindBasic, "https://issues.weyland-yutani.example/jira", "LV MOTHER", 6, 34, thrives},
	{"soylent", cloud, tokenstore.KindOAuth2, "", "GREEN", 5, 34, thrives},
	{"massive-dynamic", cloud, tokenstore.KindOAuth2, "", "PAT CORT", 5, 33, thrives},
	{"aperture", cloud, tokenstore.KindOAuth2, "", "CAKE TEST", 5, 33, thrives},
	{"black-mesa", dataCenter, tokenstore.KindPAT, "https://jira.black-mesa.example", "LAMBDA", 4, 33, thrives},
	{"oscorp", cloud, tokenstore.KindOAuth2, "", "OZ", 4, 33, lost},
	{"wonka", cloud, tokenstore.KindOAuth2, "", "CHOC GUM", 4, 33, thrives},
	{"dunder-mifflin", cloud, tokenstore.KindOAuth2, "", "PAPER SALES", 4, 32, thrives},
	{"pied-piper", cloud, tokenstore.KindOAuth2, "", "COMP", 4, 32, thrives},
	{"gringotts", dataCenter, tokenstore.KindOAuth1, "https://jira.gringotts.example/jira", "VAULT", 3, 32, thrives},
	{"vandelay", cloud, tokenstore.KindOAuth2, "", "IMP EXP", 3, 32, expires},
	{"bluth", cloud, tokenstore.KindOAuth2, "", "MODEL", 2, 31, disabled},
	{"sterling-cooper", cloud, tokenstore.KindOAuth2, "", "ADS", 3, 31, thrives},
	{"prestige", dataCenter, tokenstore.KindBasic, "https://jira.prestige.example", "PW", 2, 30, barred},
	{"monsters-inc", cloud, tokenstore.KindOAuth2, "", "DOOR LAUGH", 3, 28, thrives},
	{"ollivander", cloud, tokenstore.KindOAuth2, "", "WAND", 2, 24, thrives},
	{"duff", cloud, tokenstore.KindOAuth2, "", "BREW", 2, 21, thrives},
	{"nakatomi", dataCenter, tokenstore.KindPAT, "https://jira.nakatomi.example/jira", "PLAZA", 2, 19, thrives},
	{"los-pollos", cloud, tokenstore.KindOAuth2, "", "FRY", 2, 15, thrives},
	{"planet-express", cloud, tokenstore.KindOAuth2, "", "SHIP", 3, 11, thrives},
	{"buy-n-large", cloud, tokenstore.KindOAuth2, "", "AXIOM", 2, 8, thrives},
	{"rekall", cloud, tokenstore.KindOAuth2, "", "MARS", 2, 4, thrives},
	{"acme-labs", cloud, tokenstore.KindOAuth2, "", "LABS", 0, 2, awaited},
}

// services are the clients that the demo makes up, and what they call most.
var services = []service{
	{"action-items", 60, []string{"project.list", "issuetype.list", "issuetype.list", "field.list", "field.list", "component.list", "user.assignable", "user.assignable", "user.picker", "priority.list", "issue.create", "issue.create", "issue.create", "project.get"}},
	{"retro-sync", 22, []string{"project.get", "issuetype.list", "user.picker", "issue.create", "issue.create", "issue.delete"}},
	{"reporting", 12, []string{"project.list", "project.get", "component.list", "priority.list"}},
	{"billing", 6, []string{"myself.get", "project.list"}},
}

type service struct {
	name       string
	weight     float64
	operations []string // repeated by frequency
}

// uses tells whether a customer is one of those that a service works for.
func (s service) uses(c customer) bool {
	switch s.name {
	case "action-items":
		return true
	case "retro-sync":
		return c.weight >= 3
	case "reporting":
		return c.weight >= 5
	}
	return c.edition == cloud && c.weight >= 4
}

// usersOf are the services that may use a customer's connection.
func usersOf(c customer) []service {
	return slices.DeleteFunc(slices.Clone(services), func(s service) bool { return !s.uses(c) })
}

func (c customer) keys() []string { return strings.Fields(c.projects) }

// site is the URL of a Cloud site.
func (c customer) site() string { return "https://" + c.id + ".atlassian.net" }

// cloudID is always the same for a customer.
func (c customer) cloudID() string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(c.site())).String()
}
