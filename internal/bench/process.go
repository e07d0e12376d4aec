package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that is measured, with all the processes that it has started.
type process struct {
	name    string
	command *exec.Cmd
	stdin   io.Closer
	exited  chan struct{}
}

// start runs a program until stop. Its standard error goes to a file in dir.
func start(dir, name string, environ []string, program string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{name: name, command: exec.Command(program, args...), exited: make(chan struct{})}
	p.command.Env, p.command.Stderr, p.command.Dir = environ, log, dir
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return p, nil
}

// run begins it without waiting for anything that it says.
func (p *process) run() error {
	if err := p.command.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	go func() {
		defer close(p.exited)
		_ = p.command.Wait()
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
	if err := p.command.Start(); err != nil {
		return "", fmt.Errorf("starting %s: %w", p.name, err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		defer close(p.exited)
		_ = p.command.Wait()
	}()
	if err != nil {
		return "", fmt.Errorf("%s has said nothing: %w", p.name, err)
	}
	return strings.TrimSpace(line), nil
}

func (p *process) stop() {
	if p.stdin != nil {
		_ = p.stdin.Close()
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(5 * time.Second):
		_ = p.command.Process.Kill()
		<-p.exited
	}
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

// processor is the time that it has had on processors (proc_pid_stat(5)).
func (p *process) processor() (time.Duration, error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Linux runs
	var ticks int64
	for _, pid := range p.members() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		for _, i := range []int{11, 12} { // utime, stime
			n, err := strconv.ParseInt(fields[i], 10, 64)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * tick, nil
}

// memory is its resident set in bytes.
func (p *process) memory() (int64, error) {
	var sum int64
	for _, pid := range p.members() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		_, rest, ok := bytes.Cut(b, []byte("VmRSS:"))
		if !ok {
			return 0, errors.New("no VmRSS")
		}
		kb, err := strconv.ParseInt(strings.Fields(string(rest))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += kb << 10
	}
	return sum, nil
}
