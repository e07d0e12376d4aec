package kubernetes

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// patience is for what another process does; nothing is said of how long it takes.
const patience = 60 * time.Second

// built is a program of the given module, as its users build it.
func built(t *testing.T, module string) string {
	t.Helper()
	program := filepath.Join(folder(t), "program")
	c := exec.CommandContext(t.Context(), "go", "build", "-C", module, "-trimpath", "-o", program, ".")
	c.Env = append(os.Environ(), "GOWORK=off")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", module, err, out)
	}
	return program
}

// folder is a temporary one that other users may enter, as those of containers; the
// testing package's are closed.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jiragate-pod-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// isKubelet: like the kubelet, root gives files to the group of a pod, and runs containers
// as their user. Anybody else does both as himself.
var isKubelet = os.Geteuid() == 0

// machine plays the kubelet for one pod: it mounts below a folder what the kubelet
// mounts below /, and runs containers with paths rewritten to that.
type machine struct {
	objects *objects
	set     *appsv1.StatefulSet
	pod     string
	root    string            // the folder
	rewrite *strings.Replacer // addresses of the cluster, to those of this machine
	more    map[string]string // variables, for what a simulator needs
}

// mount lays out the volumes: secrets as the kubelet's atomic writer does, through two
// symbolic links and readable by the group; claims with the modes of fsGroup.
func (m *machine) mount(t *testing.T) {
	t.Helper()
	for _, c := range containers(&m.set.Spec.Template) {
		for _, v := range c.VolumeMounts {
			dir := filepath.Join(m.root, v.MountPath)
			if _, err := os.Stat(dir); err == nil {
				continue
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			mode := fs.ModeSetgid | 0o775
			for _, volume := range m.set.Spec.Template.Spec.Volumes {
				if volume.Name == v.Name && volume.Secret != nil {
					m.mountSecret(t, dir, named(t, m.objects.secrets, volume.Secret.SecretName), fs.FileMode(*volume.Secret.DefaultMode))
					mode = fs.ModeSetgid | fs.ModeSticky | 0o777
				}
			}
			m.give(t, dir)
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// give has a file belong to the pod's group, if it was made by root.
func (m *machine) give(t *testing.T, path string) {
	t.Helper()
	if !isKubelet {
		return
	}
	if err := os.Chown(path, 0, int(*m.set.Spec.Template.Spec.SecurityContext.FSGroup)); err != nil {
		t.Fatal(err)
	}
}

// mountSecret lays a secret out. A keyset of its own user's, were it behind a symbolic link,
// is refused: without root, who is the kubelet here, it is put there plainly.
func (m *machine) mountSecret(t *testing.T, dir string, secret *corev1.Secret, mode fs.FileMode) {
	t.Helper()
	const version = "..2026_11_28_10_00_00.1"
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
		t.Fatal(err)
	}
	link(version, "..data")
	for name, content := range secret.Data {
		if name == "keyset.json" && !isKubelet {
			place(t, filepath.Join(dir, name), string(content))
			continue
		}
		file := filepath.Join(dir, version, name)
		place(t, file, string(content))
		m.give(t, file)
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		link("..data/"+name, name)
	}
}

// command is a container's, with its own arguments if there are none others.
func (m *machine) command(t *testing.T, program string, c *corev1.Container, args ...string) *exec.Cmd {
	t.Helper()
	env := environment(t, m.objects, c, m.pod)
	here := func(text string) string {
		for _, v := range c.VolumeMounts {
			if file, ok := fileOf(text); ok && strings.HasPrefix(file, v.MountPath+"/") {
				return strings.TrimSuffix(text, file) + filepath.Join(m.root, file)
			}
		}
		return m.rewrite.Replace(text)
	}
	if len(args) == 0 {
		for _, a := range c.Args {
			args = append(args, here(expand(a, env)))
		}
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = m.root
	if pod := m.set.Spec.Template.Spec.SecurityContext; isKubelet {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
			Uid: uint32(*pod.RunAsUser), Gid: uint32(*pod.RunAsGroup), Groups: []uint32{uint32(*pod.FSGroup)},
		}}
	}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+here(value))
	}
	for name, value := range m.more {
		cmd.Env = append(cmd.Env, name+"="+value) // of two the last one counts
	}
	return cmd
}

// container is that of a name.
func (m *machine) container(t *testing.T, name string) *corev1.Container {
	t.Helper()
	for _, c := range containers(&m.set.Spec.Template) {
		if c.Name == name {
			return &c
		}
	}
	t.Fatalf("%s has no container %s", m.set.Name, name)
	return nil
}

// run is kubectl exec, or an init container without arguments; it must succeed.
func (m *machine) run(t *testing.T, program, container, input string, args ...string) string {
	t.Helper()
	cmd := m.command(t, program, m.container(t, container), args...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %q: %v\n%s%s", m.pod, cmd.Args[1:], err, &out, &problems)
	}
	return out.String()
}

// process is a container that runs until it is stopped, or the test ends.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	mu    sync.Mutex
	lines []string // of its standard error
}

func (m *machine) start(t *testing.T, program, container string) *process {
	t.Helper()
	p := &process{cmd: m.command(t, program, m.container(t, container)), ended: make(chan struct{})}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
		}
		_ = p.cmd.Wait() // how it ended shows in what it said
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("%s, %s:\n%s", m.pod, container, p.said(""))
		}
	})
	return p
}

// stop has it end as the kubelet does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		t.Errorf("%s does not end", p.cmd.Path)
		<-p.ended
	}
}

// said is what it has written, of lines that have a text.
func (p *process) said(text string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, l := range p.lines {
		if strings.Contains(l, text) {
			fmt.Fprintln(&b, l)
		}
	}
	return b.String()
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
