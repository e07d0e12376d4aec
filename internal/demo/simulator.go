package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/internal/jirasim"
)

// simulatorFlags are what the simulator as a process is told.
type simulatorFlags struct {
	cloud, auth, dataCenter string // addresses to listen on
	hosts                   []string
	dir                     string
}

func newSimulator() *cobra.Command {
	var f simulatorFlags
	c := &cobra.Command{
		Use:   "simulator",
		Short: "Run the Jira simulator by itself, for a gateway beside it",
		Long: `Start the Jira simulator (Cloud with its OAuth server, and Data Center, each over TLS) and keep it up
until interrupted. Each request that arrives is printed with the address that it comes from, which is
the gateway's egress address.

The folder of --dir then has what a gateway needs to call it, readable by its owner alone:
  jira-ca.pem          the simulator's CA, for JIRAGATE_UPSTREAM_CA_FILE
  oauth-client-secret  for JIRAGATE_OAUTH_CLIENT_SECRET_FILE
  oauth-token.json     a grant, for connection add --oauth-token-file
  jira-password        of the Data Center's account, for connection add --secret-file
  simulator.json       addresses and names, for the other settings
"jiragate demo seed" gives that to a gateway. What the simulator holds is in memory: each start makes
another CA and other grants, and forgets the issues. Everybody knows its secrets; it is for trying out.`,
		Example: `  jiragate demo simulator --dir jira
  jiragate demo simulator --dir /simulator --host simulator \
      --cloud-listen :9443 --auth-listen :9444 --datacenter-listen :9445`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runSimulator(cmd.Context(), cmd.OutOrStdout(), f)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.dir, "dir", "jira", "the folder for what a gateway needs")
	flags.StringVar(&f.cloud, "cloud-listen", "127.0.0.1:9443", "where Jira Cloud listens; port 0 takes a free one")
	flags.StringVar(&f.auth, "auth-listen", "127.0.0.1:9444", "where Cloud's OAuth server listens")
	flags.StringVar(&f.dataCenter, "datacenter-listen", "127.0.0.1:9445", "where Jira Data Center listens")
	flags.StringArrayVar(&f.hosts, "host", nil, "a name or address by which the gateway reaches it, for its certificate; can be repeated, the first is told to the gateway (default: the addresses that it listens on)")
	return c
}

// runSimulator runs the simulator until ctx ends.
func runSimulator(ctx context.Context, out io.Writer, f simulatorFlags) (err error) {
	o := jirasim.Options{CloudListen: f.cloud, AuthListen: f.auth, DataCenterListen: f.dataCenter, Hosts: slices.Clone(f.hosts)}
	for _, listen := range []string{f.cloud, f.auth, f.dataCenter} {
		if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
			o.Hosts = append(o.Hosts, host)
		}
	}
	if len(f.hosts) > 0 {
		// The links of a Data Center carry the base URL that it is known by.
		_, port, err := net.SplitHostPort(f.dataCenter)
		if err != nil {
			return fmt.Errorf("--datacenter-listen: %w", err)
		}
		if port != "0" {
			o.BaseURL = "https://" + net.JoinHostPort(f.hosts[0], port) + jirasim.DefaultContextPath
		}
	}
	sim, err := jirasim.Start(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sim.Close()) }()
	h := handout{
		APIURL: reachedAt(sim.APIURL(), f.hosts), AuthURL: reachedAt(sim.AuthURL(), f.hosts),
		DataCenterURL: reachedAt(sim.DataCenterURL(), f.hosts), ClientID: jirasim.DefaultClientID,
		SiteURL: sim.SiteURL(), CloudID: sim.CloudID(), Username: jirasim.DefaultUsername,
	}
	if err := writeHandout(f.dir, sim, h); err != nil {
		return fmt.Errorf("writing what the gateway needs: %w", err)
	}
	fmt.Fprintf(out, `Jira Cloud        %s, as the site %s
its OAuth server  %s
Jira Data Center  %s
what a gateway needs is in %s
The simulator is up until interrupted.
`, h.APIURL, h.SiteURL, h.AuthURL, h.DataCenterURL, f.dir)
	tellRequests(ctx, out, sim)
	return nil
}

// reachedAt is a URL of the simulator, by the first of hosts where there are any.
func reachedAt(at string, hosts []string) string {
	if len(hosts) == 0 {
		return at
	}
	rest := strings.TrimPrefix(at, "https://")
	address, path, _ := strings.Cut(rest, "/")
	if _, port, err := net.SplitHostPort(address); err == nil {
		address = net.JoinHostPort(hosts[0], port)
	}
	return strings.TrimSuffix("https://"+address+"/"+path, "/")
}

// tellRequests prints what arrives until ctx ends: no query and no header, where
// secrets are.
func tellRequests(ctx context.Context, out io.Writer, sim *jirasim.Sim) {
	for next := 1; ; {
		r, err := sim.WaitRequest(ctx, func(r jirasim.Request) bool { return r.Seq >= next })
		if err != nil {
			return // it was interrupted
		}
		next = r.Seq + 1
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		path, _, _ := strings.Cut(r.RequestURI, "?")
		fmt.Fprintf(out, "%s  %-10s  from %-15s  %s %q\n", r.Time.UTC().Format("15:04:05"), r.Origin, from, r.Method, path)
	}
}
