// Package compose tests the settings for Docker Compose in this folder: that they say
// what they should, and that what they start works in that order.
package compose

import (
	"bytes"
	"context"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// project reads compose.yaml as Compose does: by its schema, strictly, and without any
// variables, of which it has none.
func project(t *testing.T) *types.Project {
	t.Helper()
	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml"), Content: text}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every folder and file that is mounted or built from is there, every service and volume
// that is spoken of is one, nothing is published beyond this machine, and each image has a
// version.
func TestWhatIsNamedIsThere(t *testing.T) {
	p := project(t)
	if got, want := slices.Sorted(maps.Keys(p.Services)), []string{"collector", "gateway", "grafana", "jaeger", "prometheus", "seed", "simulator"}; !slices.Equal(got, want) {
		t.Errorf("services %v, want %v", got, want)
	}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			switch v.Type {
			case types.VolumeTypeBind:
				if info, err := os.Stat(v.Source); err != nil || !info.Mode().IsRegular() || !v.ReadOnly {
					t.Errorf("%s mounts %s, which is no file, or not read-only: %v", name, v.Source, err)
				}
			case types.VolumeTypeVolume:
				if _, ok := p.Volumes[v.Source]; !ok {
					t.Errorf("%s mounts the volume %q", name, v.Source)
				}
			}
		}
		for other := range s.DependsOn {
			if _, ok := p.Services[other]; !ok {
				t.Errorf("%s depends on %s", name, other)
			}
		}
		if other, ok := strings.CutPrefix(s.NetworkMode, "service:"); ok {
			if _, there := p.Services[other]; !there {
				t.Errorf("%s is in the network of %s", name, other)
			}
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" || port.Published == "" {
				t.Errorf("%s publishes %+v", name, port)
			}
		}
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if _, version, ok := strings.Cut(s.Image, ":"); !ok || version == "latest" || !strings.Contains(version, ".") {
			t.Errorf("%s is %q, without a version", name, s.Image)
		}
	}
}

// No container is more than it must be, those of others included.
func TestHardening(t *testing.T) {
	p := project(t)
	for name, s := range p.Services {
		if !s.ReadOnly || s.Privileged || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: read-only %t, privileged %t, without %v and with %v, %v", name, s.ReadOnly, s.Privileged, s.CapDrop, s.CapAdd, s.SecurityOpt)
		}
		if s.Pid != "" || s.Ipc != "" || s.UserNSMode != "" || s.NetworkMode == "host" || len(s.Devices) > 0 {
			t.Errorf("%s shares what is the host's", name)
		}
		ours := s.Image == "jiragate"
		if ours && (s.User != "" || s.PidsLimit == 0) {
			t.Errorf("%s is user %q instead of the image's, and may have %d processes", name, s.User, s.PidsLimit)
		}
		for _, v := range s.Volumes {
			// Keys and credentials are the gateway's alone, and of who adds them.
			if v.Source == "data" && name != "gateway" && name != "seed" {
				t.Errorf("%s has the gateway's data", name)
			}
			if v.Source == "simulator" && name == "gateway" && !v.ReadOnly || v.Source == "admin" && name != "gateway" && !v.ReadOnly {
				t.Errorf("%s may write to %s", name, v.Source)
			}
		}
	}
	for name, v := range p.Volumes {
		if name != "data" && v.DriverOpts["o"] != "size=1m,uid=65532,gid=65532,mode=0700" {
			t.Errorf("the volume %s is %v", name, v.DriverOpts)
		}
	}
}

// The gateway leaves by its own address, and may call the network that it is in.
func TestAddresses(t *testing.T) {
	p := project(t)
	subnet := netip.MustParsePrefix(p.Networks["jiragate"].Ipam.Config[0].Subnet)
	own := p.Services["gateway"].Networks["jiragate"].Ipv4Address
	if !subnet.Contains(netip.MustParseAddr(own)) {
		t.Errorf("%s is not in %s", own, subnet)
	}
	env := p.Services["gateway"].Environment
	if got := *env["JIRAGATE_EGRESS"]; got != "52.54.159.237="+own {
		t.Errorf("the egress address is %s, the gateway's own %s", got, own)
	}
	if got := *env["JIRAGATE_EGRESS_ALLOW_PRIVATE"]; got != subnet.String() {
		t.Errorf("allowed is %s, the network is %s", got, subnet)
	}
}

// build builds the program as it is in the working tree.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "jiragate")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, ".")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// within bounds what a test waits for.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// What Prometheus and Grafana are given names what there is.
func TestOthersFindTheirWay(t *testing.T) {
	p := project(t)
	prometheus, err1 := os.ReadFile("prometheus/prometheus.yml")
	datasources, err2 := os.ReadFile("grafana/datasources.yaml")
	dashboards, err3 := os.ReadFile("grafana/dashboards.yaml")
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	env := p.Services["gateway"].Environment
	for what, c := range map[string]struct {
		text []byte
		want string
	}{
		"the target":    {prometheus, `["` + *env["JIRAGATE_ADMIN_LISTEN"] + `"]`},
		"the token":     {prometheus, "credentials_file: " + *env["JIRAGATE_METRICS_TOKEN_FILE"]},
		"the job":       {prometheus, "job_name: jiragate\n"},
		"the region":    {prometheus, "region: " + *env["JIRAGATE_REGION"]},
		"Prometheus":    {datasources, "http://prometheus:9090"},
		"Jaeger":        {datasources, "http://jaeger:16686"},
		"the dashboard": {dashboards, "path: /etc/jiragate\n"},
	} {
		if !bytes.Contains(c.text, []byte(c.want)) {
			t.Errorf("%s: %q is missing in\n%s", what, c.want, c.text)
		}
	}
	if host, _, _ := strings.Cut(*env["JIRAGATE_ADMIN_LISTEN"], ":"); host != p.Services["gateway"].Hostname {
		t.Errorf("the gateway listens as %s and is %s", host, p.Services["gateway"].Hostname)
	}
}
