package handover

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain is a successor where it is started as one.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, Flag) {
		os.Exit(successor(os.Getenv("SUCCESSOR")))
	}
	os.Exit(m.Run())
}

// successor does what is asked for, and returns the exit code.
func successor(what string) int {
	line, err := Inherited()
	if err != nil {
		return 3
	}
	switch what {
	case "ends":
		return 4
	case "lingers": // even when the line ends
		select {}
	}
	for {
		m, files, err := line.Receive()
		CloseAll(files)
		switch {
		case errors.Is(err, io.EOF):
			return 0
		case err != nil:
			return 5
		}
		if err := line.Send(Message{Step: Prepared, Version: string(m.Step), Names: os.Args[1:]}); err != nil {
			return 6
		}
	}
}

func start(t *testing.T, what string) *Successor {
	t.Helper()
	s, err := Start(os.Args[0], Arguments([]string{"serve"}), append(os.Environ(), "SUCCESSOR="+what))
	if err != nil {
		t.Fatal(err)
	}
	_ = s.SetDeadline(time.Now().Add(20 * time.Second))
	return s
}

// TestASuccessorTalksByItsLine, and ends with it.
func TestASuccessorTalksByItsLine(t *testing.T) {
	before := openFiles(t)
	s := start(t, "")
	if s.PID() == os.Getpid() {
		t.Error("it is this process")
	}
	f := written(t, "")
	if err := s.Send(Message{Step: Sockets}, f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	m, _, err := s.Receive()
	if err != nil || m.Version != string(Sockets) || !slices.Equal(m.Names, []string{"serve", Flag}) {
		t.Errorf("%+v, %v", m, err)
	}
	if err := s.End(20 * time.Second); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if n := openFiles(t); n != before {
		t.Errorf("%d files are open, %d before", n, before)
	}
}

// TestASuccessorThatFails is told by the end of its line and its exit code; one that
// doesn't end is ended.
func TestASuccessorThatFails(t *testing.T) {
	for what, want := range map[string]string{"ends": "exit status 4", "lingers": "signal: killed"} {
		s := start(t, what)
		if what == "ends" {
			if _, _, err := s.Receive(); !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v", what, err)
			}
		}
		patience := 20 * time.Second
		if what == "lingers" {
			patience = 0
		}
		if err := s.End(patience); err == nil || err.Error() != want {
			t.Errorf("%s: it ended with %v, want %s", what, err, want)
		}
	}
	if _, err := Start("/nowhere", nil, nil); err == nil {
		t.Error("what isn't there was started")
	}
}

// TestTakeOverByHand: without a predecessor, there is nothing at the descriptor, or
// something else.
func TestTakeOverByHand(t *testing.T) {
	f := written(t, "")
	for name, extra := range map[string][]*os.File{"nothing": nil, "a file": {f}} {
		cmd := exec.Command(os.Args[0], Flag)
		cmd.ExtraFiles = extra
		if err := cmd.Run(); err == nil || err.Error() != "exit status 3" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestArguments(t *testing.T) {
	for own, want := range map[string]string{
		"serve":                       "serve " + Flag,
		"serve " + Flag:               "serve " + Flag,
		"serve " + Flag + "=true":     "serve " + Flag,
		"serve --log x " + Flag + "s": "serve --log x " + Flag + "s " + Flag,
	} {
		if got := strings.Join(Arguments(strings.Fields(own)), " "); got != want {
			t.Errorf("of %q it makes %q, want %q", own, got, want)
		}
	}
}
