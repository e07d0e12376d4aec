package cli

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"jiragate/internal/jirasim"
	"jiragate/internal/netlab"
)

// A labFault is something that goes wrong around the gateway, and what comes of it: for
// calls of the connections that it is about and of one that has nothing to do with it,
// for an act of administration, and in /readyz.
type labFault struct {
	name  string
	begin func(*faultStage) (end func())

	read    outcome // GET of the Data Center
	publish outcome // POST there
	cloud   outcome // GET of the Cloud site
	calm    outcome // GET of another Data Center
	unsent  bool    // whatever publish says, Jira was not reached
	noActs  bool    // no act of administration either
	failing string  // the check of /readyz that fails, or none
}

var (
	created     = outcome{status: http.StatusCreated}
	notRecorded = outcome{http.StatusServiceUnavailable, "record_unavailable"}
	noWayOut    = outcome{http.StatusServiceUnavailable, "egress_unavailable"}
	unresolved  = outcome{http.StatusBadGateway, "upstream_unresolvable"}
	forbidden   = outcome{http.StatusBadGateway, "upstream_address_forbidden"}
	unreachable = outcome{http.StatusBadGateway, "upstream_unreachable"}
	untrusted   = outcome{http.StatusBadGateway, "upstream_tls_failed"}
	tooLate     = outcome{http.StatusGatewayTimeout, "upstream_timeout"}
	noToken     = outcome{http.StatusServiceUnavailable, "credential_unavailable"}
)

// The fault matrix. Each row is a fault that is there for a while, judged by what the
// gateway answers meanwhile, and by all being well again afterwards.
//
// That etcd is away is in TestFleet of internal/soak; that the process is killed in
// TestKillNine of gateway/audit and TestKilledAtAnyMoment of tokenstore/oauth.
var labFaults = []labFault{
	{
		name: "the disk is full", begin: (*faultStage).fillDisk,
		read: notRecorded, publish: notRecorded, cloud: notRecorded, calm: notRecorded, noActs: true, failing: "audit",
	},
	{
		name: "the clock jumps two days ahead", begin: clockTo(48 * time.Hour),
		read: success, publish: created, cloud: success, calm: success,
	},
	{
		name: "the clock jumps two days back", begin: clockTo(-48 * time.Hour),
		read: success, publish: created, cloud: success, calm: success,
	},
	{
		// By that clock, all certificates of others have ended.
		name: "the clock jumps a year ahead", begin: clockTo(366 * 24 * time.Hour),
		read: untrusted, publish: untrusted, cloud: noToken, calm: untrusted,
	},
	{
		name: "DNS: there is no such name", begin: answers(netlab.DNSAnswer{RCode: dnsmessage.RCodeNameError}),
		read: unresolved, publish: unresolved, cloud: success, calm: success,
	},
	{
		name: "DNS: the name has no address", begin: answers(netlab.DNSAnswer{}),
		read: unresolved, publish: unresolved, cloud: success, calm: success,
	},
	{
		name: "DNS: the server fails", begin: answers(netlab.DNSAnswer{RCode: dnsmessage.RCodeServerFailure}),
		read: unresolved, publish: unresolved, cloud: success, calm: success,
	},
	{
		name: "DNS: nobody answers", begin: answers(netlab.DNSAnswer{Drop: true}),
		read: unresolved, publish: unresolved, cloud: success, calm: success,
	},
	{
		name: "DNS: the name leads to the gateway itself", begin: answers(netlab.Addresses("127.0.0.1")),
		read: forbidden, publish: forbidden, cloud: success, calm: success,
	},
	{
		name: "DNS: the name leads to a metadata service", begin: answers(netlab.Addresses("169.254.169.254")),
		read: forbidden, publish: forbidden, cloud: success, calm: success,
	},
	{
		name: "DNS: the name leads inside", begin: answers(netlab.Addresses("10.0.0.80")),
		read: forbidden, publish: forbidden, cloud: success, calm: success,
	},
	{
		name: "DNS: the name leads to somebody else", begin: answers(netlab.Addresses(impostorAddress)),
		read: untrusted, publish: untrusted, cloud: success, calm: success,
	},
	{
		name: "DNS: the name leads to nobody", begin: answers(netlab.Addresses("185.166.140.99")),
		read: unreachable, publish: unreachable, cloud: success, calm: success, unsent: true,
	},
	{
		name: "Jira hangs", begin: injected(jirasim.Fault{Kind: jirasim.Latency, Delay: time.Hour, PathPrefix: "/jira/"}),
		read: tooLate, publish: tooLate, cloud: success, calm: success,
	},
	{
		name: "Jira hangs up", begin: injected(jirasim.Fault{Kind: jirasim.ResetBeforeHeaders, PathPrefix: "/jira/"}),
		read: unreachable, publish: unreachable, cloud: success, calm: success,
	},
	{
		name: "Jira loses its answers", begin: injected(jirasim.Fault{Kind: jirasim.ResetBeforeHeaders, AfterWork: true, PathPrefix: "/jira/"}),
		read: unreachable, publish: unreachable, cloud: success, calm: success,
	},
	{
		name: "the authorization server fails", begin: (*faultStage).noRefreshes,
		read: success, publish: created, cloud: noToken, calm: success,
	},
	{
		name: "the machine loses both egress addresses", begin: (*faultStage).loseAddresses,
		read: noWayOut, publish: noWayOut, cloud: noWayOut, calm: noWayOut, failing: "egress",
	},
}

const (
	calmHost        = "jira.initech.com"
	calmAddress     = "185.166.140.2"
	impostorAddress = "185.166.140.80"
)

// faultStage is a stage with a gateway whose disk, clock and name server can be had.
type faultStage struct {
	*labGateway
	billing *service
	clock   string // file; see clockVariable
	lie     atomic.Pointer[netlab.DNSAnswer]
}

func TestFaults(t *testing.T) {
	f := &faultStage{}
	truth := at(dcAddress)
	names := zone{
		dcHost: func(q netlab.DNSQuestion) netlab.DNSAnswer {
			if lie := f.lie.Load(); lie != nil {
				return *lie
			}
			return truth(q)
		},
		calmHost: at(calmAddress),
	}
	s := setStage(t, names)
	f.setDisk(s)
	f.clock = s.file("clock", nil)
	f.impostor(s)
	f.calmJira(s)
	f.labGateway = s.gateway("JIRAGATE_EGRESS="+bothAddresses, clockVariable+"="+f.clock)
	f.program = clockProgram(t)
	f.setClock(-10 * 24 * time.Hour) // its addresses have been in use for a while
	f.start()
	f.stop()
	f.setClock(0)
	f.start()
	f.addDataCenter("globex", dcURL)
	f.addDataCenter("initech", "https://"+calmHost+"/jira")
	f.addCloud("acme")
	f.billing = f.service("billing", "globex", "initech", "acme")
	f.billing.http.Timeout = 2 * time.Minute // longer than the gateway waits for Jira
	f.service("auditor", "initech")
	f.well("before all")

	for _, row := range labFaults {
		t.Run(row.name, func(t *testing.T) {
			before := len(f.posts(row.name))
			end := row.begin(f)
			f.judge(t, &row)
			end()
			f.well("after it")
			f.atMostOnce(t, &row, before)
		})
	}

	f.stop()
	if code, said := f.run("audit", "verify"); code != exitOK {
		t.Errorf("audit verify: exit code %d\n%s", code, said)
	}
	f.tellsNothing()
}

// judge makes each kind of call once, all at the same time: what hangs holds up nothing
// else.
func (f *faultStage) judge(t *testing.T, row *labFault) {
	t.Helper()
	got := f.calls(row.name)
	for what, want := range map[string]outcome{"read": row.read, "publish": row.publish, "cloud": row.cloud, "calm": row.calm} {
		if is := <-got[what]; is != want.String() {
			t.Errorf("%s: %s, want %s", what, is, want)
		}
	}
	if code, said := f.run("client", "rotate", "auditor"); (code != exitOK) != row.noActs {
		t.Errorf("an act of administration: exit code %d\n%s", code, said)
	}
	checks := map[string]string{"store": "ok", "audit": "ok", "egress": "ok"}
	if row.failing != "" {
		checks = map[string]string{row.failing: "failing"}
	}
	f.ready(checks)
}

// calls begins one call of each kind, and tells what comes of each.
func (f *faultStage) calls(summary string) map[string]chan string {
	body, _ := json.Marshal(map[string]any{"fields": map[string]any{
		"project": map[string]string{"key": "ACME"}, "issuetype": map[string]string{"name": "Task"}, "summary": summary,
	}})
	got := map[string]chan string{}
	for what, call := range map[string][3]string{
		"read":    {http.MethodGet, dcURL + "/rest/api/2/priority"},
		"publish": {http.MethodPost, dcURL + "/rest/api/2/issue", string(body)},
		"cloud":   {http.MethodGet, siteURL + "/rest/api/3/priority"},
		"calm":    {http.MethodGet, "https://" + calmHost + "/jira/rest/api/2/priority"},
	} {
		said := make(chan string, 1)
		got[what] = said
		go func() {
			o, err := f.billing.send(f.t.Context(), call[0], call[1], call[2])
			if err != nil {
				said <- err.Error()
				return
			}
			said <- o.String()
		}()
	}
	return got
}

func (o outcome) String() string { return strings.TrimSpace(fmt.Sprintf("%d %s", o.status, o.code)) }

// well waits until all is as if nothing had been.
func (f *faultStage) well(when string) {
	f.t.Helper()
	want := map[string]outcome{"read": success, "publish": created, "cloud": success, "calm": success}
	eventually(f.t, "all is well "+when, func() bool {
		well := true
		for what, said := range f.calls(when) {
			is := <-said
			well = well && is == want[what].String()
		}
		return well
	})
	f.ready(map[string]string{"store": "ok", "audit": "ok", "egress": "ok"})
	f.mustRun("client", "rotate", "auditor")
}

// posts are the requests to publish that reached Jira, by what they publish.
func (f *faultStage) posts(summary string) []jirasim.Request {
	return slices.DeleteFunc(f.sim.Requests(), func(r jirasim.Request) bool {
		return r.Method != http.MethodPost || !strings.Contains(string(r.Body), `"`+summary+`"`)
	})
}

// atMostOnce fails the test if a call to publish was sent twice, was answered and not
// sent, or was sent although the gateway says that nothing was.
func (f *faultStage) atMostOnce(t *testing.T, row *labFault, before int) {
	t.Helper()
	sent := len(f.posts(row.name)) - before
	want := 0
	switch {
	case row.unsent:
	case row.publish == created:
		want = 1
	case row.publish == tooLate, row.publish == unreachable:
		// What fails on the way was not sent, or was. By HTTP/2 the read has the same
		// connection, and what ends that for the one may end it for both.
		want = min(sent, 1)
	}
	if sent != want {
		t.Errorf("the issue was sent %d times, want %d", sent, want)
	}
}

// tellsNothing fails the test if a secret stands in the gateway's log or in its audit
// log.
func (f *faultStage) tellsNothing() {
	f.t.Helper()
	all := f.log.String() + f.mustRun("audit", "query", "--limit", "0", "--output", "json")
	for _, s := range []string{jirasim.DefaultPAT, jirasim.DefaultClientSecret, "jgc_"} {
		if strings.Contains(all, s) {
			f.t.Errorf("%q stands in the log", s)
		}
	}
}

// setDisk puts the data directory on a disk of its own.
func (f *faultStage) setDisk(s *stage) {
	s.t.Helper()
	dir := s.path("data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m,mode=0700"); err != nil {
		s.t.Fatalf("a disk for the data directory: %v", err)
	}
	s.t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			s.t.Error(err)
		}
	})
}

// fillDisk leaves no byte free, and makes calls until what was free for the next few
// records is used up.
func (f *faultStage) fillDisk() (end func()) {
	f.t.Helper()
	filler, err := os.Create(f.path("data/filler"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer filler.Close()
	for block := make([]byte, 1<<20); err == nil; {
		_, err = filler.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		f.t.Fatal(err)
	}
	eventually(f.t, "the disk is full", func() bool {
		o, err := f.billing.try(f.t.Context(), dcURL+"/rest/api/2/myself")
		return err == nil && o == notRecorded
	})
	return func() {
		if err := os.Remove(filler.Name()); err != nil {
			f.t.Error(err)
		}
	}
}

// answers has the name of the Data Center lead elsewhere. Sockets that are kept would
// still lead to Jira: they are ended.
func answers(lie netlab.DNSAnswer) func(*faultStage) (end func()) {
	return func(f *faultStage) func() {
		f.lie.Store(&lie)
		clear := f.sim.Fault(jirasim.Fault{Kind: jirasim.HugeHeaders, PathPrefix: "/jira/"})
		defer clear()
		eventually(f.t, "no socket is kept", func() bool {
			o, err := f.billing.try(f.t.Context(), dcURL+"/rest/api/2/myself")
			return err == nil && o.code != "upstream_response_invalid"
		})
		return func() { f.lie.Store(nil) }
	}
}

// impostor is a machine that has a good certificate, of another name.
func (f *faultStage) impostor(s *stage) {
	s.t.Helper()
	certificate, root := netlab.NewCertificate(s.t, "elsewhere.example")
	s.trust(root)
	l, err := s.lab.Host("impostor", impostorAddress+"/32").Listen("tcp", impostorAddress+":443")
	if err != nil {
		s.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.t.Errorf("the impostor was sent %s %s", r.Method, r.URL)
	})}
	go func() {
		_ = server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}}))
	}()
	s.t.Cleanup(func() { _ = server.Close() })
}

// calmJira is another customer's Data Center.
func (f *faultStage) calmJira(s *stage) {
	s.t.Helper()
	sim, err := jirasim.Start(jirasim.Options{
		Listen: s.lab.Host("calm", calmAddress+"/32").Listen, Hosts: []string{calmHost},
		CloudListen: calmAddress + ":8443", AuthListen: calmAddress + ":9443", DataCenterListen: calmAddress + ":443",
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = sim.Close() })
	s.trust(sim.CAPEM())
}

// injected has the Data Center misbehave.
func injected(fault jirasim.Fault) func(*faultStage) (end func()) {
	return func(f *faultStage) func() { return f.sim.Fault(fault) }
}

// noRefreshes has the authorization server fail, at a time when the access token has ended.
func (f *faultStage) noRefreshes() (end func()) {
	clear := f.sim.Fault(jirasim.Fault{Kind: jirasim.ErrorStatus, Origin: jirasim.AuthServer, Status: http.StatusServiceUnavailable})
	setRight := clockTo(48 * time.Hour)(f)
	return func() { clear(); setRight() }
}

func (f *faultStage) loseAddresses() (end func()) {
	f.t.Helper()
	for address := range strings.SplitSeq(bothAddresses, ",") {
		if err := f.machine.RemoveAddress(address + "/32"); err != nil {
			f.t.Fatal(err)
		}
	}
	time.Sleep(noticed)
	return func() {
		for address := range strings.SplitSeq(bothAddresses, ",") {
			if err := f.machine.AddAddress(address + "/32"); err != nil {
				f.t.Error(err)
			}
		}
	}
}
