package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"jiragate/internal/jirasim"
	"jiragate/internal/privatefile"
)

// The files by which a gateway gets to know a simulator, each readable by its owner
// alone.
const (
	caName           = "jira-ca.pem"         // for JIRAGATE_UPSTREAM_CA_FILE
	clientSecretName = "oauth-client-secret" // for JIRAGATE_OAUTH_CLIENT_SECRET_FILE
	grantName        = "oauth-token.json"    // for connection add --oauth-token-file
	passwordName     = "jira-password"       // for connection add --secret-file
	handoutName      = "simulator.json"      // the rest, see handout
	seededName       = "seeded"              // what demo seed leaves: which simulator is known
	clientTokenName  = "client-token"        // of the client that demo seed adds
)

// handout is what a customer tells besides secrets. All addresses are those by which
// the gateway reaches the simulator.
type handout struct {
	APIURL        string `json:"api_url"`        // for JIRAGATE_ATLASSIAN_API_URL
	AuthURL       string `json:"auth_url"`       // for JIRAGATE_ATLASSIAN_AUTH_URL
	ClientID      string `json:"client_id"`      // for JIRAGATE_OAUTH_CLIENT_ID
	SiteURL       string `json:"site_url"`       // for connection add --site-url
	CloudID       string `json:"cloud_id"`       // for connection add --cloud-id
	DataCenterURL string `json:"datacenter_url"` // for connection add --base-url
	Username      string `json:"username"`       // for connection add --username

	ca []byte // as read, from a file of its own
}

// writeHandout puts the files of a simulator into dir, in the place of those of the
// one before. The CA comes last: who can verify the simulator by it has all of the
// rest.
func writeHandout(dir string, sim *jirasim.Sim, h handout) error {
	grant, err1 := grantOf(sim)
	rest, err2 := json.MarshalIndent(h, "", "  ")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, privatefile.DirMode); err != nil {
		return err
	}
	for _, name := range []string{caName, seededName} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, f := range []struct {
		name    string
		content []byte
	}{
		{clientSecretName, []byte(jirasim.DefaultClientSecret)},
		{grantName, grant},
		{passwordName, []byte(jirasim.DefaultPassword)},
		{handoutName, append(rest, '\n')},
		{caName, sim.CAPEM()},
	} {
		path := filepath.Join(dir, f.name)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := privatefile.Create(path, f.content); err != nil {
			return err
		}
	}
	return nil
}

// readHandout reads what a simulator has left in dir, its CA too.
func readHandout(dir string) (h handout, err error) {
	if h.ca, err = os.ReadFile(filepath.Join(dir, caName)); err != nil {
		return h, err
	}
	b, err := os.ReadFile(filepath.Join(dir, handoutName))
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return h, fmt.Errorf("%s: %w", filepath.Join(dir, handoutName), err)
	}
	return h, nil
}
