package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// tellWhereThingsAre says what to look at, the console first. The admin token is
// shown, since it opens nothing but this demo.
func (s *stage) tellWhereThingsAre() error {
	data := filepath.Join(s.dir, "data")
	tokenFile := filepath.Join(data, "admin-token")
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return fmt.Errorf("reading the admin token of the demo: %w", err)
	}
	fmt.Fprintf(s.out, `
console    http://%[1]s/console/
           sign in with the admin token of this demo: %[2]s
           (it is in %[3]s)
public     http://%[1]s/public/

The customers are made up. The records of the past %[4]d days are made up for the demo; those of now are real.
`, s.server.AdminAddr(), strings.TrimSpace(string(token)), tokenFile, int(pastLength/day))
	if s.consents {
		fmt.Fprintf(s.out, `A link to a consent leads to the simulator, %s: the browser warns of
its certificate, which no authority knows; go on to the page.
`, s.sim.AuthURL())
	}
	fmt.Fprintf(s.out, `
audit log  %[1]s
traces     %[2]s
log        %[3]s

Try it:
  curl --proxy http://demo:%[4]s@%[5]s --cacert %[6]s %[7]s/rest/api/3/myself
and look at the records:
  JIRAGATE_DATA_DIR=%[8]s %[9]s audit query
`, filepath.Join(data, "audit"), filepath.Join(s.dir, "traces.jsonl"), filepath.Join(s.dir, "gateway.log"),
		s.token, s.server.ProxyAddr(), filepath.Join(data, "ca.pem"), s.sim.SiteURL(), data, program())
	return nil
}

// program is how the person who reads this runs the program.
func program() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ."
	}
	return os.Args[0]
}
