package kubernetes

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"jiragate/internal/jirasim"
)

// made is a copy of the overlay of a region, and what secrets.sh has made in it.
func made(t *testing.T, program, region string, environ ...string) (dir, secrets string) {
	t.Helper()
	dir = copied(t)
	if err := os.CopyFS(filepath.Join(filepath.Dir(dir), "egress"), os.DirFS("../egress")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it finds all there
		c := exec.CommandContext(t.Context(), filepath.Join(dir, "secrets.sh"), region)
		c.Env = append(os.Environ(), append(environ, "JIRAGATE="+program)...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("secrets.sh: %v\n%s", err, out)
		}
	}
	dir = filepath.Join(dir, "overlays", region)
	return dir, filepath.Join(dir, "secrets")
}

// The program runs by what the manifests say.
func TestProgram(t *testing.T) {
	program := built(t, "../..")
	t.Run("makes no second keyset or root", func(t *testing.T) { makesNoSecond(t, program) })
	t.Run("takes the settings", func(t *testing.T) { takesTheSettings(t, program) })
	t.Run("prepares and rotates a keyset on a machine", func(t *testing.T) { rotatesAKeyset(t, program) })
	t.Run("from nothing to a call", func(t *testing.T) { fromNothingToACall(t, program) })
}

// makesNoSecond: what was put away is not made anew. With another keyset nothing that is
// stored opens, and no client trusts another root.
func makesNoSecond(t *testing.T, program string) {
	for _, file := range []string{"keyset.json", "root.key", "authorities/proxy.key"} {
		dir, secrets := made(t, program, "us")
		if err := errors.Join(os.Remove(filepath.Join(secrets, file)), os.Remove(filepath.Join(secrets, "tls.crt"))); err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(filepath.Dir(dir)), "secrets.sh"), "us")
		c.Env = append(os.Environ(), "JIRAGATE="+program)
		said, err := c.CombinedOutput()
		if err == nil || !strings.Contains(string(said), "put your copy of it back") {
			t.Errorf("without %s: %v\n%s", file, err, said)
		}
		if _, err := os.Stat(filepath.Join(secrets, file)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was made a second time: %v", file, err)
		}
	}
}

// takesTheSettings: those of each overlay with its secrets, and the addresses that
// customers are told of, each by a provider's proxy.
func takesTheSettings(t *testing.T, program string) {
	for region, addresses := range regions {
		t.Run(region, func(t *testing.T) {
			dir, secrets := made(t, program, region)
			o := render(t, dir)
			m := &machine{objects: o, set: named(t, o.sets, "jiragate"), pod: "jiragate-1", root: folder(t), rewrite: strings.NewReplacer()}
			m.mount(t)
			for _, container := range []string{"ca", "gateway"} {
				var shown struct {
					OK       bool
					Settings []struct{ Name, Value string }
					Problems any
				}
				out := m.run(t, program, container, "", "config", "--output", "json")
				if err := json.Unmarshal([]byte(out), &shown); err != nil || !shown.OK {
					t.Fatalf("%s: %v, %v", container, err, shown.Problems)
				}
				values := map[string]string{}
				for _, s := range shown.Settings {
					values[s.Name] = s.Value
				}
				if values["JIRAGATE_REGION"] != region || values["JIRAGATE_NODE"] != "jiragate-1.jiragate-"+region || values["JIRAGATE_EGRESS_VERIFY"] == "" {
					t.Errorf("%s: %v", container, values)
				}
			}
			file, err := os.ReadFile(filepath.Join(secrets, "egress"))
			if err != nil {
				t.Fatal(err)
			}
			var public []string
			for line := range strings.Lines(string(file)) {
				address, way, _ := strings.Cut(line, "=")
				public = append(public, address)
				if u, err := url.Parse(strings.TrimSpace(way)); err != nil || u.Scheme != "https" || u.Port() != "9294" {
					t.Errorf("%s has the way %s, and the network policy is for port 9294", address, way)
				}
			}
			if !slices.Equal(public, addresses) {
				t.Errorf("%v", public)
			}
		})
	}
}

// rotatesAKeyset goes as README.md does, with a store that is there for nothing else.
func rotatesAKeyset(t *testing.T, program string) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		t.Helper()
		c := exec.CommandContext(t.Context(), program, args...)
		c.Env, c.Stdin = []string{"JIRAGATE_DATA_DIR=" + dir}, strings.NewReader("x\n")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	primary := func() (primary, keys int) {
		t.Helper()
		var keyset struct {
			PrimaryKeyID int `json:"primaryKeyId"`
			Key          []any
		}
		text, err := os.ReadFile(filepath.Join(dir, "keyset.json"))
		if err == nil {
			err = json.Unmarshal(text, &keyset)
		}
		if err != nil {
			t.Fatal(err)
		}
		return keyset.PrimaryKeyID, len(keyset.Key)
	}
	run("key", "init")
	first, _ := primary()
	run("connection", "add", "scratch", "--edition", "datacenter", "--base-url", "https://scratch.example", "--auth", "basic", "--username", "x", "--secret-file", "-")
	run("key", "rotate", "--prepare")
	if now, keys := primary(); now != first || keys != 2 {
		t.Errorf("prepared: %d keys, and the primary one is another (%v)", keys, now != first)
	}
	run("key", "rotate")
	if now, keys := primary(); now == first || keys != 2 {
		t.Errorf("rotated: %d keys, and the primary one is another (%v)", keys, now != first)
	}
}

// replica is a gateway that runs by the manifest.
type replica struct {
	*machine
	process      *process
	proxy, admin string
}

// serve starts the pod: its init container, then the gateway, which must become ready.
func (r *replica) serve(t *testing.T, program string) {
	t.Helper()
	r.run(t, program, "ca", "")
	r.process = r.start(t, program, "gateway")
	eventually(t, r.pod+" serves", func() bool {
		var ready struct{ Proxy, Admin string }
		if err := json.Unmarshal([]byte(r.process.said(`"gateway ready"`)), &ready); err != nil {
			return false
		}
		r.proxy, r.admin = ready.Proxy, ready.Admin
		return true
	})
	gateway := r.container(t, "gateway")
	for _, p := range []*corev1.Probe{gateway.StartupProbe, gateway.LivenessProbe, gateway.ReadinessProbe} {
		eventually(t, r.pod+" answers to "+p.HTTPGet.Path, func() bool { return probe(r.admin, p) })
	}
}

// client goes through a gateway as a service of the cluster does:
// HTTPS_PROXY=https://billing:TOKEN@jiragate.jiragate-us.svc:8443, trusting the proxy's
// authority and the gateway's root.
func (r *replica) client(t *testing.T, secrets, token string) *http.Client {
	t.Helper()
	const service = "jiragate.jiragate-us.svc:8443"
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "https", Host: service, User: url.UserPassword("billing", token)}),
		TLSClientConfig: &tls.Config{RootCAs: roots(t, filepath.Join(secrets, "authorities/proxy.pem"), filepath.Join(secrets, "root.pem"))},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != service {
				return nil, fmt.Errorf("the client dials %s", address)
			}
			return new(net.Dialer).DialContext(ctx, network, r.proxy)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// fromNothingToACall goes as README.md does: secrets, etcd by the arguments of its
// pods, with users by their certificates; two gateways by their environment, volumes
// and probes; a service that goes through either.
func fromNothingToACall(t *testing.T, program string) {
	member := built(t, "../../internal/etcdlab/member")
	sim, err := jirasim.Start(jirasim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() }) // ends with the test

	members := loopback(t)
	dir, secrets := made(t, program, "us", "ETCD_NAMES=IP:127.0.0.1,IP:"+strings.Join(members, ",IP:"))
	place(t, filepath.Join(secrets, "egress"), "52.54.159.237=127.0.0.1\n") // a provider's proxy is elsewhere
	o := render(t, dir)
	startEtcd(t, member, o, members)
	enableAuth(t, secrets, members[0])

	upstream := filepath.Join(folder(t), "jira.pem")
	if err := os.WriteFile(upstream, sim.CAPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	var replicas []*replica
	set := named(t, o.sets, "jiragate")
	for i := range *set.Spec.Replicas {
		r := &replica{machine: &machine{
			objects: o, set: set, pod: fmt.Sprintf("jiragate-%d", i), root: folder(t),
			rewrite: strings.NewReplacer(append(memberNames(members), "0.0.0.0:8443", "127.0.0.1:0", "0.0.0.0:8081", "127.0.0.1:0")...),
			more: map[string]string{
				"JIRAGATE_UPSTREAM_CA_FILE": upstream, "JIRAGATE_EGRESS_ALLOW_PRIVATE": "127.0.0.0/8",
				"JIRAGATE_EGRESS_VERIFY": "", // nothing beyond this machine is asked
			}}}
		r.mount(t)
		r.serve(t, program)
		replicas = append(replicas, r)
	}
	first, second := replicas[0], replicas[1]

	// The connection is made on one, the client on the other: both have both.
	first.run(t, program, "gateway", jirasim.DefaultPassword, "connection", "add", "globex", "--edition", "datacenter", "--base-url", sim.DataCenterURL(),
		"--auth", "basic", "--username", jirasim.DefaultUsername, "--secret-file", "-")
	var issued struct{ Token string }
	if err := json.Unmarshal([]byte(second.run(t, program, "gateway", "", "client", "add", "billing", "--connection", "globex", "--output", "json")), &issued); err != nil {
		t.Fatal(err)
	}
	call := func(r *replica) {
		t.Helper()
		client := r.client(t, secrets, issued.Token)
		eventually(t, r.pod+" calls for billing", func() bool {
			resp, err := client.Get(sim.DataCenterURL() + "/rest/api/2/myself")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body) // the status alone counts
			return resp.StatusCode == http.StatusOK
		})
	}
	for _, r := range replicas {
		call(r)
		if records := r.run(t, program, "gateway", "", "audit", "query", "--client", "billing", "--output", "json"); !strings.Contains(records, regions["us"][0]) {
			t.Errorf("%s has no record of a call from %s: %s", r.pod, regions["us"][0], records)
		}
		r.run(t, program, "gateway", "", "status")
	}

	// The keyset is not theirs to change.
	if said, err := first.command(t, program, first.container(t, "gateway"), "key", "rotate", "--at-once").CombinedOutput(); isKubelet && (err == nil || !strings.Contains(string(said), "was brought")) {
		t.Errorf("key rotate: %v\n%s", err, said)
	}

	// A pod that is replaced finds its volume again; the other goes on meanwhile.
	first.process.stop(t)
	call(second)
	first.serve(t, program)
	call(first)

	// Both publish how far their logs are in the store, under the names of their pods.
	eventually(t, "both logs are known", func() bool {
		nodes := second.run(t, program, "gateway", "", "audit", "nodes")
		return strings.Contains(nodes, "jiragate-0.jiragate-us") && strings.Contains(nodes, "jiragate-1.jiragate-us")
	})
}
