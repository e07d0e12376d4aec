package cli

import (
	"errors"
	"fmt"

	"jiragate/internal/harden"
)

// harden is what every command begins with, before it has read anything.
func (a *app) harden() error {
	if err := harden.HideEnvironment(); err != nil {
		// A gateway that doesn't start for it would help nobody.
		a.report(hint(fmt.Errorf("warning: %w: its variables, and what secrets are among them, are in /proc/PID/environ for root and this user", err),
			"give secrets in files"))
	}
	if err := harden.NoDumps(); err != nil {
		return fmt.Errorf("switching core dumps off: %w", err)
	}
	return nil
}

// lockMemory keeps the memory of the process out of swap.
func lockMemory() error {
	err := harden.LockMemory()
	if errors.Is(err, harden.ErrLockLimit) {
		return hint(fmt.Errorf("JIRAGATE_MEMORY_LOCK: %w", err), "make it unlimited: LimitMEMLOCK=infinity of systemd, --ulimit memlock=-1 or --cap-add IPC_LOCK of containers; or keep the process from swap (MemorySwapMax=0) and set it to off")
	}
	if err != nil {
		return fmt.Errorf("JIRAGATE_MEMORY_LOCK: %w", err)
	}
	return nil
}
