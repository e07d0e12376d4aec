package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// hidden fails if a process shows one of the secrets, or any of its environment.
func hidden(t *testing.T, what string, pid int, secrets map[string]string) {
	t.Helper()
	for _, file := range []string{"environ", "cmdline"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range secrets {
			if strings.Contains(string(content), value) {
				t.Errorf("%s shows the value of %s in %s", what, name, file)
			}
		}
		if file == "environ" && (len(content) == 0 || strings.Trim(string(content), "\x00") != "") {
			t.Errorf("%s shows %d bytes of environment: %q", what, len(content), content)
		}
	}
}

// TestNoSecretInProc: whatever secret somebody gives the gateway in a variable, the kernel
// shows it to nobody, neither of the gateway, nor of the process that it hands over to, nor
// of a command. They have the variables all the same.
func TestNoSecretInProc(t *testing.T) {
	f := newFleeting(t)
	keys, err := os.ReadFile(f.path("data/keyset.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.path("data/keyset.json")); err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{
		"GATEWAY_KEYSET":             string(keys),
		"JIRAGATE_EGRESS":            "198.51.100.7=http://user:EgressS3cret@127.0.0.1:9",
		"JIRAGATE_WEBHOOK_URL":       "https://127.0.0.1:9/hooks/WebhookS3cret",
		"OTEL_EXPORTER_OTLP_HEADERS": "api-key=HeaderS3cret",
		"AWS_SECRET_ACCESS_KEY":      "AwsS3cret",
		"VAULT_TOKEN":                "VaultS3cret",
		"A_STRANGERS":                "StrangersS3cret",
	}
	f.environ = append(f.environ, "JIRAGATE_KEY_URI=env:GATEWAY_KEYSET", "JIRAGATE_WEBHOOK_SECRET_FILE="+
		f.file("webhook-secret", []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")))
	for name, value := range secrets {
		f.environ = append(f.environ, name+"="+value)
	}

	f.begin(f.command())
	f.says(`gateway ready`, 1)
	hidden(t, "the gateway", f.pids[0], secrets)

	// It hands its variables on: without the keyset the next one couldn't start.
	f.upgrade()
	f.says(`gateway ready`, 2)
	hidden(t, "the next process", f.pids[1], secrets)

	// A command that waits for a secret.
	command := f.command()
	command.Args = []string{"jiragate", "connection", "credential", "acme", "--oauth-token-file", "-"}
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command has begun", func() bool {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", command.Process.Pid))
		return err == nil && len(content) > 0 && content[0] == 0
	})
	hidden(t, "a command", command.Process.Pid, secrets)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // it has got nothing, and says so

	config := f.command()
	config.Args = []string{"jiragate", "config"}
	out, err := config.Output()
	if err != nil || !regexp.MustCompile(`(?m)^JIRAGATE_EGRESS +198.51.100.7=http://127.0.0.1:9 +environment`).Match(out) {
		t.Errorf("config: %v\n%s", err, out)
	}
}

// TestProcessIsNotDumpable: the files of the gateway's process are root's, as they are of
// a process that is not dumpable (proc_pid(5)), whoever runs it. That it leaves no core file
// either is tested in package harden, since what runs commands here has no more core files to
// inherit.
func TestProcessIsNotDumpable(t *testing.T) {
	real, err := exec.LookPath("jiragate")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Open(real)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	dir, err := os.MkdirTemp("", "jiragate-") // t.TempDir is in a folder that nobody else may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	command := &exec.Cmd{Path: "/proc/self/fd/3", Args: []string{"jiragate", "serve"}, ExtraFiles: []*os.File{program}, Dir: dir,
		Env: []string{"JIRAGATE_DATA_DIR=" + filepath.Join(dir, "data"), "JIRAGATE_PROXY_LISTEN=127.0.0.1:0", "JIRAGATE_ADMIN_LISTEN=127.0.0.1:0"}}
	if os.Geteuid() == 0 {
		const nobody = 65534
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	log, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(log) // until it ends
		said <- string(text)
	}()
	t.Cleanup(func() { _ = command.Process.Kill() }) // it has ended before
	eventually(t, "the gateway runs", func() bool {
		_, err := os.Stat(filepath.Join(dir, "data", socketName))
		return err == nil
	})
	info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 {
		t.Errorf("its files belong to user %d", owner)
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	text := <-said
	if err := command.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, text)
	}
}
