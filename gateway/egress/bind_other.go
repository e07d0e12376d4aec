//go:build !linux

package egress

import "syscall"

// bindWithoutPort does nothing where IP_BIND_ADDRESS_NO_PORT is unknown.
func bindWithoutPort(syscall.RawConn) error { return nil }
