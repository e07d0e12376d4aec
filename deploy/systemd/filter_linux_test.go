package systemd_test

import (
	"slices"
	"strings"
	"testing"

	"jiragate/deploy/internal/confined"
)

func TestMain(m *testing.M) { confined.Main(m) }

// groups are systemd's lists of system calls, with what each holds.
func groups(t *testing.T) map[string][]string {
	t.Helper()
	out, err := analyze(t, "syscall-filter")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	all := make(map[string][]string)
	var group string
	for line := range strings.Lines(out) {
		name := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "@"):
			group = name
		case name != "" && !strings.HasPrefix(name, "#") && group != "":
			all[group] = append(all[group], name)
		}
	}
	return all
}

// filter is what systemd makes of SystemCallFilter= (systemd.exec(5)): the first line says
// that it is a list of what is allowed, those with ~ take away.
func filter(t *testing.T) (f confined.Filter) {
	t.Helper()
	known := groups(t)
	allowed := make(map[string]bool)
	var set func(name string, to bool)
	set = func(name string, to bool) {
		if !strings.HasPrefix(name, "@") {
			allowed[name] = to
			return
		}
		if len(known[name]) == 0 {
			t.Fatalf("systemd knows no %s", name)
		}
		for _, n := range known[name] {
			set(n, to)
		}
	}
	set("@default", true)
	lines := read(t, "jiragate.service")["Service.SystemCallFilter"]
	if len(lines) == 0 || strings.HasPrefix(lines[0], "~") {
		t.Fatalf("SystemCallFilter= is %q", lines)
	}
	for _, line := range lines {
		names, less := strings.CutPrefix(line, "~")
		for _, name := range strings.Fields(names) {
			set(name, !less)
		}
	}
	for name, ok := range allowed {
		if ok {
			f.Names = append(f.Names, name)
		}
	}
	return f
}

// TestWork: the gateway does its whole work under the unit's filter, and asks for nothing
// else: any other system call would be its end.
func TestWork(t *testing.T) {
	f := filter(t)
	for _, name := range []string{"mlockall", "mlock2"} { // JIRAGATE_MEMORY_LOCK, which the work below does without
		if !slices.Contains(f.Names, name) {
			t.Errorf("%s is not allowed", name)
		}
	}
	f.Kill = true
	confined.Run(t, f)
}

// TestRefused: what whoever got into the gateway would ask for is refused. Namespaces and
// kinds of sockets are those of RestrictNamespaces= and RestrictAddressFamilies=.
func TestRefused(t *testing.T) {
	s := read(t, "jiragate.service")
	if s.one(t, "Service.RestrictNamespaces") != "yes" || s.one(t, "Service.RestrictAddressFamilies") != "AF_INET AF_INET6 AF_UNIX AF_NETLINK" {
		t.Error("namespaces or sockets are not restricted")
	}
	confined.Probe(t, filter(t), "clone into a namespace", "clone3", "socket of packets", "socket of virtual machines")
}
