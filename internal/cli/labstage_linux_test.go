package cli

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"jiragate/internal/jirasim"
	"jiragate/internal/netlab"
)

// The gateway's machine has a default address, which is what leaves without being
// bound, and two that customers have on their allowlists.
const (
	defaultAddress = "10.0.0.5"
	firstAddress   = "52.54.159.237"
	secondAddress  = "52.73.143.252"
	bothAddresses  = firstAddress + "," + secondAddress
)

// The rest of the world.
const (
	nameServer  = "10.0.0.53"
	apiAddress  = "104.192.141.1" // api.atlassian.com
	authAddress = "104.192.142.1" // auth.atlassian.com
	dcAddress   = "185.166.140.1" // the Data Centers
	jiraIPv6    = "2401:1d80:3000::1"
)

// Where services call.
const (
	siteURL   = jirasim.DefaultSiteURL
	dcHost    = "jira.globex.com"
	dcURL     = "https://" + dcHost + "/jira"
	cloudCall = siteURL + "/rest/api/3/myself"
	dcCall    = dcURL + "/rest/api/2/myself"
)

// zone is what the name server answers.
type zone map[string]func(netlab.DNSQuestion) netlab.DNSAnswer

// at is a name with addresses that stay.
func at(addresses ...string) func(netlab.DNSQuestion) netlab.DNSAnswer {
	return netlab.InTurn(netlab.Addresses(addresses...))
}

// stage is a lab with the machine for a gateway and what a gateway calls: a name
// server and a Jira of both editions, under Atlassian's own names, so that the
// program runs with its own defaults.
type stage struct {
	t       *testing.T
	lab     *netlab.Lab
	machine *netlab.Host // the gateway's
	sim     *jirasim.Sim
	dns     *netlab.DNS
	dir     string   // files of the operator
	environ []string // of every gateway on the stage
}

// setStage makes a stage, for a test that runs beside others: labs know nothing of
// each other. The names in more are those of further Data Centers, or of what the
// test puts there.
func setStage(t *testing.T, more zone) *stage {
	t.Helper()
	t.Parallel()
	s := &stage{t: t, lab: netlab.New(t), dir: t.TempDir()}
	s.machine = s.lab.Host("gateway", defaultAddress+"/24", firstAddress+"/32", secondAddress+"/32", "2600:1f18::5/64")
	jira := s.lab.Host("jira", apiAddress+"/32", authAddress+"/32", dcAddress+"/32", jiraIPv6+"/128")
	// Jira has an address of IPv6 too, which no egress address reaches.
	names := zone{"api.atlassian.com": at(apiAddress, jiraIPv6), "auth.atlassian.com": at(authAddress, jiraIPv6), dcHost: at(dcAddress, jiraIPv6)}
	for name, answer := range more {
		names[name] = answer
	}
	var hosts []string
	for name := range names {
		hosts = append(hosts, name)
	}
	s.serveNames(names)
	var err error
	if s.sim, err = jirasim.Start(jirasim.Options{
		Listen: jira.Listen, CloudListen: apiAddress + ":443", AuthListen: authAddress + ":443", DataCenterListen: dcAddress + ":443",
		Hosts: hosts, AutoApprove: true,
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.sim.Close() })
	s.environ = []string{
		"GORACE=atexit_sleep_ms=0",
		"JIRAGATE_DATA_DIR=" + s.path("data"),
		"JIRAGATE_UPSTREAM_CA_FILE=" + s.path("roots.pem"),
		"JIRAGATE_OAUTH_CLIENT_ID=" + jirasim.DefaultClientID,
		"JIRAGATE_OAUTH_CLIENT_SECRET_FILE=" + s.file("client-secret", []byte(jirasim.DefaultClientSecret)),
		"JIRAGATE_OAUTH_REDIRECT_URL=http://" + adminAddress + "/oauth/callback",
		"JIRAGATE_LOG_LEVEL=debug",
	}
	s.trust(s.sim.CAPEM())
	return s
}

// serveNames answers the questions of the gateway's machine.
func (s *stage) serveNames(names zone) {
	s.t.Helper()
	socket, err := s.lab.Host("dns", nameServer+"/24").ListenPacket("udp", nameServer+":53")
	if err != nil {
		s.t.Fatal(err)
	}
	s.dns = netlab.ServeDNS(socket, func(q netlab.DNSQuestion) netlab.DNSAnswer {
		if answer := names[q.Name]; answer != nil {
			return answer(q)
		}
		return netlab.DNSAnswer{RCode: dnsmessage.RCodeNameError}
	})
	s.t.Cleanup(func() { _ = s.dns.Close() })
	if err := s.machine.SetResolvers(netip.MustParseAddr(nameServer)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stage) file(name string, content []byte) string {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return s.path(name)
}

// trust adds a root to JIRAGATE_UPSTREAM_CA_FILE. Gateways read it at their start.
func (s *stage) trust(root []byte) {
	s.t.Helper()
	have, _ := os.ReadFile(s.path("roots.pem")) // none at first
	s.file("roots.pem", append(have, root...))
}

// endedToken is the file of a grant whose access token has ended, so that the first
// call has to renew it.
func (s *stage) endedToken(name string) (file, refreshToken string) {
	s.t.Helper()
	grant := s.sim.IssueGrant(jirasim.DefaultScopes()...)
	content, err := json.Marshal(map[string]string{
		"access_token": grant.AccessToken, "refresh_token": grant.RefreshToken, "expiry": "2020-01-01T00:00:00Z", "scope": grant.Scope,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.file(name, content), grant.RefreshToken
}

// arrived are the requests that reached Jira and its authorization server, by the
// address that they came from.
func (s *stage) arrived() map[string][]jirasim.Request {
	from := map[string][]jirasim.Request{}
	for _, r := range s.sim.Requests() {
		source := netip.MustParseAddrPort(r.RemoteAddr).Addr().String()
		from[source] = append(from[source], r)
	}
	return from
}

// leaves fails the test for every packet of a capture of the gateway's machine that
// left otherwise than
//   - from one of the egress addresses;
//   - or to the name server, by the system's route: the customer never sees who
//     asked there;
//   - or to one of the proxies, which are the provider's and not the customer's.
//
// It returns how many packets left from each egress address.
func leaves(t *testing.T, packets []netlab.Packet, egress []string, proxies ...string) map[string]int {
	t.Helper()
	left := map[string]int{}
	for _, p := range packets {
		source := p.Src.Addr().String()
		switch {
		case !p.Outgoing, kernels(p):
		case p.Protocol == netlab.TCP && slices.Contains(egress, source):
			left[source]++
		case p.Protocol == netlab.UDP && p.Dst.String() == nameServer+":53":
		case p.Protocol == netlab.TCP && slices.Contains(proxies, p.Dst.String()):
		default:
			t.Errorf("left by another way: %s", p)
		}
	}
	return left
}

// kernels reports whether a packet is the kernel's own: neighbour discovery, reports
// of multicast listeners, answers to what it did not like.
func kernels(p netlab.Packet) bool { return p.Protocol == netlab.ICMP || p.Protocol == netlab.ICMPv6 }

// sentTo are the packets that left for an address.
func sentTo(packets []netlab.Packet, address string) []netlab.Packet {
	var sent []netlab.Packet
	for _, p := range packets {
		if p.Outgoing && p.Dst.Addr().String() == address {
			sent = append(sent, p)
		}
	}
	return sent
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come about in time: %s", what)
		}
	}
}
