//go:build !linux

package egress

import "syscall"

// boundSilence does nothing where TCP_USER_TIMEOUT is unknown.
func boundSilence(syscall.RawConn) error { return nil }

// bindWithoutPort does nothing where IP_BIND_ADDRESS_NO_PORT is unknown.
func bindWithoutPort(syscall.RawConn) error { return nil }
