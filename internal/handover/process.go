package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// descriptor is where a successor finds its end of the line: the first one after
// standard input, output and error.
const descriptor = 3

// Successor is a process that was started to take over.
type Successor struct {
	*Line
	process *os.Process
	ended   chan struct{}
	err     error // of the process, once ended
}

// Start starts path with args, which do not begin with the program's own name. It
// writes where this process does.
func Start(path string, args, environ []string) (*Successor, error) {
	conn, far, err := Pair()
	if err != nil {
		return nil, err
	}
	defer far.Close()
	cmd := exec.Command(path, args...)
	cmd.Env = environ
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{far}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the successor: %w", err), conn.Close())
	}
	s := &Successor{Line: &Line{conn: conn.(*net.UnixConn)}, process: cmd.Process, ended: make(chan struct{})}
	go func() {
		s.err = cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

// PID is the id of the process.
func (s *Successor) PID() int { return s.process.Pid }

// End ends a successor that is not to take over, and says what it ended with. It has
// patience to end by itself, now that the line is closed.
func (s *Successor) End(patience time.Duration) error {
	_ = s.Close()
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.process.Kill()
		<-s.ended
	}
	return s.err
}

// Flag is the argument that tells a process that it is a successor.
const Flag = "--take-over"

// Arguments are those to start a successor with, made of a process's own.
func Arguments(own []string) []string {
	var args []string
	for _, a := range own {
		if a != Flag && !strings.HasPrefix(a, Flag+"=") {
			args = append(args, a)
		}
	}
	return append(args, Flag)
}

// Inherited is the successor's end of the line, in a process that was started by
// [Start] with [Arguments].
func Inherited() (*Line, error) {
	f := os.NewFile(descriptor, "line to the predecessor")
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, errors.New("no predecessor: " + Flag + " is for a gateway that starts its successor")
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("no predecessor: descriptor 3 is no UNIX socket"), conn.Close())
	}
	return &Line{conn: unixConn}, nil
}
