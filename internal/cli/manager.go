package cli

import "github.com/coreos/go-systemd/v22/daemon"

// notifyManager tells systemd what has become of the service (sd_notify(3)). Without
// systemd it does nothing.
func notifyManager(state string) {
	// Where it can't be told, systemd's own timeouts say so.
	_, _ = daemon.SdNotify(false, state)
}
