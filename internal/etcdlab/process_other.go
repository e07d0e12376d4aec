//go:build !linux

package etcdlab

import (
	"errors"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return nil }

func supported() error {
	return errors.New("the etcd of the tests needs Linux: a loopback network of 127.0.0.0/8, and processes that end with their parent; run the tests there, in a container for one")
}

// Nothing is started, so nothing is paused.
const (
	pause  = syscall.SIGTERM
	resume = syscall.SIGTERM
)
