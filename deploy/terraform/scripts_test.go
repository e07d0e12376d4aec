package terraform_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bench is a directory in which a script runs as if that were the machine: its paths are
// moved there, and the programs that would change a machine write into a log instead.
type bench struct {
	t   *testing.T
	dir string
}

func newBench(t *testing.T, conf string) bench {
	t.Helper()
	b := bench{t, t.TempDir()}
	for _, dir := range []string{"bin", "tmp", "run", "etc/jiragate", "usr/local/bin", "data/checkpoints"} {
		if err := os.MkdirAll(filepath.Join(b.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.write("etc/jiragate/machine.conf", conf+"DATA_DIR="+b.dir+"/data\n", 0o644)
	b.write("etc/fstab", "", 0o644)
	for _, name := range []string{"mkfs.xfs", "mount", "mountpoint", "systemctl", "systemd-sysusers", "chown", "blkid", "aws", "curl", "ip", "sleep"} {
		b.stub(name, "")
	}
	b.stub("stat", "echo jiragate")
	// As install(1), but for the owner, which only root could give.
	b.stub("install", `args=; while [ $# -gt 0 ]; do case $1 in -o | -g) shift ;; *) args="$args $1" ;; esac; shift; done; exec /usr/bin/install $args`)
	return b
}

func (b bench) write(name, content string, mode os.FileMode) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(content), mode); err != nil {
		b.t.Fatal(err)
	}
}

func (b bench) read(name string) string {
	b.t.Helper()
	content, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	return string(content)
}

func (b bench) stub(name, script string) {
	b.t.Helper()
	b.write("bin/"+name, "#!/bin/sh\necho \""+name+" $*\" >>"+b.dir+"/log\n"+script+"\n", 0o755)
}

func (b bench) run(script string) (string, error) {
	b.t.Helper()
	content := readScript(b.t, script)
	for _, path := range []string{"/etc/jiragate", "/etc/fstab", "/run/jiragate-secrets", "/usr/local/bin"} {
		content = strings.ReplaceAll(content, path, b.dir+path)
	}
	// A file stands for the block device.
	sh := exec.Command("sh", "-c", strings.Replace(content, "[ -b ", "[ -e ", 1))
	sh.Env = []string{"TMPDIR=" + b.dir + "/tmp", "PATH=" + b.dir + "/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	out, err := sh.CombinedOutput()
	return string(out), err
}

func readScript(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("region", "files", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestScriptsAreShell(t *testing.T) {
	scripts, err := filepath.Glob("region/files/*.sh")
	if err != nil || len(scripts) != 4 {
		t.Fatalf("%v, %v", scripts, err)
	}
	for _, script := range scripts {
		if out, err := exec.Command("sh", "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		if content := readScript(t, filepath.Base(script)); !strings.HasPrefix(content, "#!/bin/sh\n") || !strings.Contains(content, "\nset -eu\n") {
			t.Errorf("%s does not stop at errors", script)
		}
	}
}

// CI has shellcheck; see make tools.
func TestShellcheck(t *testing.T) {
	program, err := exec.LookPath("shellcheck")
	if err != nil {
		if os.Getenv("CI_REQUIRE_SHELLCHECK") != "" {
			t.Fatal("no shellcheck: make tools")
		}
		t.Skip("no shellcheck: make tools")
	}
	scripts, err := filepath.Glob("region/files/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	// SC1091: machine.conf is made of a template, and has a test of its own.
	if out, err := exec.Command(program, append([]string{"--exclude=SC1091"}, scripts...)...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A program that is not the one asked for is not installed; a volume that has anything is
// not formatted.
func TestSetup(t *testing.T) {
	const release = "#!/bin/sh\necho jiragate 1.0.0\n"
	good := fmt.Sprintf("%x", sha256.Sum256([]byte(release)))
	for _, tt := range []struct {
		name, sha256 string
		blkid        int
		fails        string
		formatted    bool
	}{
		{"a new volume", good, 2, "", true},
		{"a volume with data", good, 0, "", false},
		{"a volume that can't be read", good, 8, "nothing was formatted", false},
		{"another program", strings.Repeat("0", 64), 0, "has another SHA-256", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, fmt.Sprintf("VOLUME=/dev/null\nRELEASE_URL=s3://releases/jiragate\nRELEASE_SHA256=%s\nCHECKPOINTS_BUCKET=\n", tt.sha256))
			b.write("release", release, 0o644)
			b.stub("blkid", fmt.Sprintf("exit %d", tt.blkid))
			b.stub("aws", `cp `+b.dir+`/release "$5"`)
			out, err := b.run("setup.sh")
			if (err != nil) != (tt.fails != "") || !strings.Contains(out, tt.fails) {
				t.Fatalf("%v\n%s", err, out)
			}
			log := b.read("log")
			if got := strings.Contains(log, "mkfs.xfs"); got != tt.formatted {
				t.Errorf("formatted: %t\n%s", got, log)
			}
			if installed := b.read("usr/local/bin/jiragate"); (installed == release) != (err == nil) {
				t.Errorf("installed is %q", installed)
			}
			if started := strings.Contains(log, "systemctl enable --now jiragate.service"); started != (err == nil) {
				t.Errorf("started: %t\n%s", started, log)
			}
			if err == nil && strings.Count(b.read("etc/fstab"), "/data xfs nodev,nosuid,noexec,nofail") != 1 {
				t.Errorf("fstab: %s", b.read("etc/fstab"))
			}
		})
	}
}

// A release that is packed, and the script run twice.
func TestSetupUnpacks(t *testing.T) {
	b := newBench(t, "")
	if err := os.Mkdir(filepath.Join(b.dir, "jiragate_1.0.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.write("jiragate_1.0.0/jiragate", "#!/bin/sh\necho jiragate 1.0.0\n", 0o755)
	b.write("jiragate_1.0.0/README.md", "jiragate\n", 0o644)
	if out, err := exec.Command("tar", "-C", b.dir, "-czf", b.dir+"/release", "jiragate_1.0.0").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b.write("etc/jiragate/machine.conf", fmt.Sprintf(
		"VOLUME=/dev/null\nDATA_DIR=%s/data\nRELEASE_URL=https://releases.example.com/jiragate.tar.gz\nRELEASE_SHA256=%x\nCHECKPOINTS_BUCKET=b\n",
		b.dir, sha256.Sum256([]byte(b.read("release")))), 0o644)
	b.stub("curl", `while [ $# -gt 1 ]; do [ "$1" = --output ] && cp `+b.dir+`/release "$2"; shift; done`)
	for range 2 {
		if out, err := b.run("setup.sh"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if b.read("usr/local/bin/jiragate") != b.read("jiragate_1.0.0/jiragate") || strings.Count(b.read("etc/fstab"), "\n") != 1 {
		t.Errorf("fstab: %s", b.read("etc/fstab"))
	}
	if log := b.read("log"); !strings.Contains(log, "enable --now jiragate-checkpoints.timer") || !strings.Contains(log, "--proto =https --proto-redir =https --tlsv1.2") {
		t.Errorf("log:\n%s", log)
	}
}

// Secrets go into files that others can't read, and into nothing else.
func TestSecrets(t *testing.T) {
	b := newBench(t, "")
	b.write("etc/jiragate/machine.conf", `SECRET_FILES="`+b.dir+`/run/jiragate-secrets/proxy-key=`+arn+`key `+b.dir+`/etc/jiragate/proxy.pem=`+arn+"cert\"\n", 0o644)
	b.stub("aws", "echo secret-of $6")
	if out, err := b.run("secrets.sh"); err != nil || out != "" {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string]struct {
		content string
		mode    os.FileMode
	}{
		"run/jiragate-secrets/proxy-key": {"secret-of " + arn + "key\n", 0o600},
		"etc/jiragate/proxy.pem":         {"secret-of " + arn + "cert\n", 0o644},
	} {
		info, err := os.Stat(filepath.Join(b.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if b.read(name) != want.content || info.Mode().Perm() != want.mode {
			t.Errorf("%s: %q, %v", name, b.read(name), info.Mode())
		}
	}
	if log := b.read("log"); !strings.Contains(log, "--region us-east-1 ") || strings.Contains(log, "secret-of") {
		t.Errorf("log:\n%s", log)
	}

	b.stub("aws", "exit 255")
	if out, err := b.run("secrets.sh"); err == nil || b.read("etc/jiragate/proxy.pem") != "secret-of "+arn+"cert\n" {
		t.Errorf("a secret that can't be had has to fail, and leave what is there: %v\n%s", err, out)
	}
}

// What is in the bucket is removed here; what isn't, and what may be unfinished, stays.
func TestCheckpoints(t *testing.T) {
	b := newBench(t, "CHECKPOINTS_BUCKET=kept\nCHECKPOINTS_REGION=eu-central-1\nCHECKPOINTS_PREFIX=us\n")
	old := time.Now().Add(-10 * time.Minute)
	for _, name := range []string{"a-1", "a-2", "a-3"} {
		b.write("data/checkpoints/"+name, name, 0o600)
		if name == "a-3" {
			continue
		}
		if err := os.Chtimes(filepath.Join(b.dir, "data/checkpoints", name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	b.stub("aws", `case "$*" in *us/a-1*) exit 255 ;; esac`)
	if out, err := b.run("checkpoints.sh"); err == nil {
		t.Errorf("one failed, and nobody is told: %s", out)
	}
	left, err := filepath.Glob(filepath.Join(b.dir, "data/checkpoints/*"))
	if err != nil || len(left) != 2 || filepath.Base(left[0]) != "a-1" || filepath.Base(left[1]) != "a-3" {
		t.Errorf("left: %v, %v", left, err)
	}
	if log := b.read("log"); !strings.Contains(log, "s3api put-object --region eu-central-1 --bucket kept --key us/a-2 --body ") {
		t.Errorf("log:\n%s", log)
	}
}

// A missing address is added to the interface with the default route; what is there is
// left alone.
func TestLocalAddresses(t *testing.T) {
	b := newBench(t, "LOCAL_IPS=\"10.0.1.10 10.0.1.11\"\nPREFIX_LENGTH=24\n")
	b.stub("ip", `case "$*" in
*"address show") echo "2: ens5    inet 10.0.1.10/24 metric 512 brd 10.0.1.255 scope global dynamic ens5" ;;
*"route show default") echo "default via 10.0.1.1 dev ens5 proto dhcp src 10.0.1.10 metric 512" ;;
esac`)
	if out, err := b.run("addresses.sh"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var added []string
	for line := range strings.Lines(b.read("log")) {
		if strings.HasPrefix(line, "ip address add") {
			added = append(added, strings.TrimSpace(line))
		}
	}
	if len(added) != 1 || added[0] != "ip address add 10.0.1.11/24 dev ens5" {
		t.Errorf("added: %q", added)
	}
}
