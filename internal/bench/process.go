package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that is measured, with all the processes that it has started.
type process struct {
	name    string
	command *exec.Cmd
	cancel  context.CancelFunc
	log     string
	stdin   io.Closer
	exited  chan struct{} // nil until it runs
}

// newProcess is a program that ends when ctx does, or stop is called. Its standard error
// goes to a file in dir.
func newProcess(ctx context.Context, dir, name string, environ []string, program string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	ctx, cancel := context.WithCancel(ctx)
	p := &process{name: name, cancel: cancel, log: log.Name(), command: exec.CommandContext(ctx, program, args...)}
	p.command.Env, p.command.Dir = environ, dir
	p.command.Cancel = func() error { return p.command.Process.Signal(syscall.SIGTERM) }
	p.command.WaitDelay = 5 * time.Second
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.command.Stderr, err = os.OpenFile(log.Name(), os.O_WRONLY|os.O_APPEND, 0)
	return p, err
}

// run begins it without waiting for anything that it says.
func (p *process) run() error {
	if err := p.command.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	p.exited = make(chan struct{})
	go func() {
		defer close(p.exited)
		_ = p.command.Wait()
		_ = p.command.Stderr.(*os.File).Close()
	}()
	return nil
}

// role begins it and returns the first line that it says.
func (p *process) role() (string, error) {
	out, err := p.command.StdoutPipe()
	if err != nil {
		return "", err
	}
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return "", err
	}
	lines := bufio.NewReader(out)
	if err := p.command.Start(); err != nil {
		return "", fmt.Errorf("starting %s: %w", p.name, err)
	}
	line, err := lines.ReadString('\n')
	p.exited = make(chan struct{})
	go func() {
		defer close(p.exited)
		_ = p.command.Wait()
	}()
	if err != nil {
		<-p.exited
		return "", fmt.Errorf("%s has said nothing: %w: %s", p.name, err, p.lastWords())
	}
	return strings.TrimSpace(line), nil
}

// stop ends it, by force if it has to.
func (p *process) stop() {
	p.cancel()
	if p.stdin != nil {
		_ = p.stdin.Close()
	}
	if p.exited != nil {
		<-p.exited
	}
}

// lastWords is the end of what it wrote on standard error.
func (p *process) lastWords() string {
	b, _ := os.ReadFile(p.log)
	return strings.TrimSpace(string(b[max(0, len(b)-2000):]))
}

// members are the process and its children, as nginx's workers.
func (p *process) members() []int {
	all := []int{p.command.Process.Pid}
	for i := 0; i < len(all); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		for _, task := range tasks {
			b, _ := os.ReadFile(task)
			for child := range strings.FieldsSeq(string(b)) {
				if pid, err := strconv.Atoi(child); err == nil {
					all = append(all, pid)
				}
			}
		}
	}
	return all
}

// processor is the time that it has had on processors.
func (p *process) processor() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range p.members() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		t, err := processorOf(b)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", p.name, err)
		}
		sum += t
	}
	return sum, nil
}

// processorOf reads the time from a file stat of a process (proc_pid_stat(5)).
func processorOf(stat []byte) (time.Duration, error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Linux runs
	// The name of the program, in brackets, may have anything in it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("a file stat of %d fields", len(fields))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, err
}

// memory is its resident set in bytes.
func (p *process) memory() (int64, error) {
	var sum int64
	for _, pid := range p.members() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		n, err := residentOf(b)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", p.name, err)
		}
		sum += n
	}
	return sum, nil
}

// residentOf reads the resident set from a file status of a process (proc_pid_status(5)).
func residentOf(status []byte) (int64, error) {
	for line := range bytes.Lines(status) {
		rest, ok := bytes.CutPrefix(line, []byte("VmRSS:"))
		if !ok {
			continue
		}
		number, unit, _ := strings.Cut(strings.TrimSpace(string(rest)), " ")
		if unit != "kB" {
			return 0, fmt.Errorf("VmRSS is %q", rest)
		}
		kb, err := strconv.ParseInt(number, 10, 64)
		return kb << 10, err
	}
	return 0, errors.New("no VmRSS in the status of the process")
}

// peak is the largest resident set while something is done, by a look each 20 ms.
func (p *process) peak(do func() error) (int64, error) {
	done := make(chan struct{})
	found := make(chan int64)
	go func() {
		var sizes []int64
		for {
			if n, err := p.memory(); err == nil {
				sizes = append(sizes, n)
			}
			select {
			case <-done:
				found <- slices.Max(append(sizes, 0))
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	err := do()
	close(done)
	return <-found, err
}
