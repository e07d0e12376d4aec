package etcdlab

import "syscall"

// attributes have the process killed when the test process dies, however it does.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

func supported() error { return nil }

const (
	pause  = syscall.SIGSTOP
	resume = syscall.SIGCONT
)
