package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The run starts this program in its other roles.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-role" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Every section, for a moment: whether it works, not what it finds.
func TestBench(t *testing.T) {
	dir := t.TempDir()
	document := filepath.Join(dir, "performance.md")
	if err := os.WriteFile(document, []byte("# Performance\n"+beginMarker+"\n"+endMarker+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := command(t.Context(), []string{"-for", "100ms", "-rounds", "1", "-tunnels", "20", "-settle", "100ms",
		"-connections", "200", "-clients", "20", "-large", "4", "-json", filepath.Join(dir, "results.json"), "-write", document}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, noNginx := exec.LookPath("/usr/sbin/nginx")
	if _, err := exec.LookPath("nginx"); err == nil {
		noNginx = nil
	}
	for _, sec := range sections() {
		if !strings.Contains(string(b), "### "+sec.title) || !strings.Contains(out.String(), sec.title) {
			t.Errorf("section %s is missing", sec.name)
		}
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "not measured") && !strings.Contains(line, "nginx") && !strings.Contains(line, "resolving") && !strings.Contains(line, "deciding") {
			t.Error(line)
		}
	}
	if strings.Contains(string(b), "nginx's | at least 0.60 | not measured") != (noNginx != nil) {
		t.Errorf("nginx is measured where it is installed:\n%s", b)
	}
	noneLeft(t)
}

// An interrupted run says so, and leaves nothing behind.
func TestInterruptedBench(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &trigger{at: "Calls by", do: cancel}
	err := command(ctx, []string{"-for", "100ms", "-rounds", "1", "-gateway", "/none", "-only", "calls,tunnels", "-ways", direct + "," + goproxyLoop}, out)
	if err == nil || !strings.Contains(err.Error(), "tunnels: interrupted") {
		t.Errorf("error %v", err)
	}
	noneLeft(t)
}

func TestWhatCannotBeMeasuredIsRefused(t *testing.T) {
	for want, args := range map[string][]string{
		`no section "call"`:   {"-only", "call"},
		`no way "squid"`:      {"-ways", "nginx,squid"},
		"-rounds":             {"-rounds", "0"},
		"4,096":               {"-tunnels", "5000"},
		"-clients":            {"-clients", "3"},
		`no role "scientist"`: {"-role", "scientist"},
		"no such file":        {"-for", "1ms", "-micro", filepath.Join(t.TempDir(), "none"), "-gateway", "/none"},
	} {
		if err := command(t.Context(), args, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

// A failure names the way and what was answered.
func TestFailureIsNamed(t *testing.T) {
	dir := t.TempDir()
	s, err := newStage(t.Context(), dir, "/none")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	w := newWay("the HTTP/2 upstream", s.http2, s.http2, s.roots)
	_, err = closed(t.Context(), []*way{w}, 2, time.Second, pathSmall)
	if err == nil || !strings.Contains(err.Error(), "the HTTP/2 upstream, calling: answered with") || !strings.Contains(err.Error(), "505") {
		t.Errorf("error %v", err)
	}
}

// trigger does something once text was written.
type trigger struct {
	bytes.Buffer
	at string
	do func()
}

func (w *trigger) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.at) {
		w.do()
	}
	return n, err
}

// noneLeft checks that this process has no children.
func noneLeft(t *testing.T) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for child := range strings.FieldsSeq(string(b)) {
			if _, err := strconv.Atoi(child); err == nil {
				name, _ := os.ReadFile("/proc/" + child + "/cmdline")
				t.Errorf("process %s is left: %q", child, name)
			}
		}
	}
}
