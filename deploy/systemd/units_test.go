package systemd_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"
)

// most is how exposed the service may be, of ten (systemd-analyze(1), security).
const most = 1.5

// options are those of a unit, by section and name.
type options map[string][]string

func read(t *testing.T, name string) options {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := unit.DeserializeOptions(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	o := make(options)
	for _, u := range all {
		o[u.Section+"."+u.Name] = append(o[u.Section+"."+u.Name], u.Value)
	}
	return o
}

// one is an option that is there once.
func (o options) one(t *testing.T, name string) string {
	t.Helper()
	if len(o[name]) != 1 {
		t.Fatalf("%s is %q", name, o[name])
	}
	return o[name][0]
}

func (o options) seconds(t *testing.T, name string) int {
	t.Helper()
	n, err := strconv.Atoi(o.one(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// environment is the example of the settings.
func environment(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open("environment")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	values := make(map[string]string)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "#JIRAGATE_"), "="); ok {
			values[strings.TrimPrefix(name, "JIRAGATE_")] = value
		}
	}
	return values
}

// TestSockets: their names are those that the gateway knows, and their addresses those of
// the settings.
func TestSockets(t *testing.T) {
	settings := environment(t)
	service := read(t, "jiragate.service")
	for name, variable := range map[string]string{"proxy": "PROXY_LISTEN", "admin": "ADMIN_LISTEN"} {
		file := "jiragate-" + name + ".socket"
		socket := read(t, file)
		if got := socket.one(t, "Socket.FileDescriptorName"); got != name {
			t.Errorf("%s: FileDescriptorName=%s", file, got)
		}
		address := socket.one(t, "Socket.ListenStream")
		if address != settings[variable] {
			t.Errorf("%s listens on %s, and JIRAGATE_%s is %s", file, address, variable, settings[variable])
		}
		if host, _, err := net.SplitHostPort(address); err != nil || !net.ParseIP(host).IsLoopback() {
			t.Errorf("%s listens on %s, which others reach without TLS", file, address)
		}
		if got := socket.one(t, "Socket.Service"); got != "jiragate.service" {
			t.Errorf("%s: Service=%s", file, got)
		}
		for _, list := range []string{"Unit.Requires", "Unit.After"} {
			if !slices.Contains(strings.Fields(service.one(t, list)), file) {
				t.Errorf("the service has %s %q, without %s", list, service[list], file)
			}
		}
	}
}

// TestService: what the gateway needs of its unit besides what systemd-analyze judges.
func TestService(t *testing.T) {
	s := read(t, "jiragate.service")
	for name, want := range map[string]string{
		"Service.Type": "notify", "Service.NotifyAccess": "main",
		"Service.StateDirectoryMode": "0700", "Service.UMask": "0077", "Service.LimitCORE": "0", "Service.MemorySwapMax": "0",
		"Service.WorkingDirectory": environment(t)["DATA_DIR"], "Service.StateDirectory": filepath.Base(environment(t)["DATA_DIR"]),
		// A mount of the file alone would hide the new program from an upgrade.
		"Service.ExecPaths": filepath.Dir(strings.Fields(s.one(t, "Service.ExecStart"))[0]),
	} {
		if got := s.one(t, name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	if stop := s.seconds(t, "Service.TimeoutStopSec"); stop < 30+10 {
		t.Errorf("it is killed after %d seconds, while calls may finish for 30", stop)
	}
}

// TestCredentials: the settings name the files that systemd makes of the credentials.
func TestCredentials(t *testing.T) {
	var names []string
	for _, c := range read(t, "credentials.conf")["Service.LoadCredential"] {
		name, path, _ := strings.Cut(c, ":")
		names = append(names, name)
		if !filepath.IsAbs(path) {
			t.Errorf("%s is at %q", name, path)
		}
	}
	if dir, name := filepath.Split(environment(t)["OAUTH_CLIENT_SECRET_FILE"]); dir != "/run/credentials/jiragate.service/" || !slices.Contains(names, name) {
		t.Errorf("JIRAGATE_OAUTH_CLIENT_SECRET_FILE is %s%s, of the credentials %v", dir, name, names)
	}
}

// analyze is systemd's judge of units. It starts nothing.
func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI_REQUIRE_SYSTEMD") != "" {
			t.Fatal(err)
		}
		t.Skipf("%v: make tools installs it", err)
	}
	out, err := exec.Command(program, append([]string{"--no-pager"}, args...)...).CombinedOutput()
	return string(out), err
}

// TestVerify: systemd understands each line of the units.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, name := range []string{"jiragate.service", "jiragate-proxy.socket", "jiragate-admin.socket"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// It wants a program that is there.
		paths = append(paths, filepath.Join(dir, name))
		if err := os.WriteFile(paths[len(paths)-1], []byte(strings.ReplaceAll(string(text), "/usr/local/bin/jiragate", self)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := analyze(t, append([]string{"verify", "--man=no"}, paths...)...); err != nil || strings.Contains(out, dir) {
		t.Errorf("%v\n%s", err, out)
	}
	// It tells what it doesn't understand.
	wrong := filepath.Join(dir, "jiragate-admin.socket")
	if err := os.WriteFile(wrong, []byte("[Socket]\nListenStreams=127.0.0.1:8081\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := analyze(t, "verify", "--man=no", wrong); !strings.Contains(out, "ListenStreams") {
		t.Errorf("an option that there is not is no matter:\n%s", out)
	}
}

// TestExposure is what systemd makes of the sandbox.
func TestExposure(t *testing.T) {
	out, err := analyze(t, "security", "--offline=true", "--threshold="+strconv.Itoa(most*10), "./jiragate.service")
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	level := regexp.MustCompile(`Overall exposure level for jiragate\.service: (\d+\.\d)`).FindStringSubmatch(out)
	if level == nil {
		t.Fatalf("it gives no level:\n%s", out)
	}
	if got, err := strconv.ParseFloat(level[1], 64); err != nil || got > most {
		t.Errorf("the exposure is %s, want %.1f at most", level[1], most)
	}
}
