package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// socketName is the admin socket in the data directory.
const socketName = "admin.sock"

// maxSocketPath is what fits in sockaddr_un.sun_path everywhere: 104 bytes on
// the BSDs, 108 on Linux (unix(7)), one of them for the closing zero.
const maxSocketPath = 100

// withSocketPath calls use with a path of the admin socket in dir that the
// system accepts. A path that is too long is shortened by way of an open
// directory, which Linux shows as /proc/self/fd/N.
func withSocketPath(dir string, use func(path string) error) error {
	path := filepath.Join(dir, socketName)
	if len(path) <= maxSocketPath {
		return use(path)
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the path of the admin socket, %s, is longer than %d bytes: choose a shorter JIRAGATE_DATA_DIR", path, maxSocketPath)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() // only a handle
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName))
}

// listenSocket makes the admin socket of dir, mode 0600. The caller holds the
// lock of the store in dir, so a socket that is there already has nobody
// behind it and is replaced. Close what is returned with closeSocket.
func listenSocket(dir string) (net.Listener, error) {
	real := filepath.Join(dir, socketName)
	switch info, err := os.Lstat(real); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is in the way of the admin socket: remove it", real)
	default:
		if err := os.Remove(real); err != nil {
			return nil, fmt.Errorf("removing the socket of a gateway that is gone: %w", err)
		}
	}
	var l *net.UnixListener
	err := withSocketPath(dir, func(path string) (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("making the admin socket: %w", err)
	}
	// The path it was made with may mean nothing by then.
	l.SetUnlinkOnClose(false)
	// Until here the directory's mode 0700 keeps others out.
	if err := os.Chmod(real, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeSocket takes the name away, before the lock of the store is given up.
func removeSocket(dir string) error {
	if err := os.Remove(filepath.Join(dir, socketName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// errNoGateway: nobody listens at the admin socket, so that nothing was asked.
var errNoGateway = errors.New("no gateway runs")

// dialSocket connects to the gateway that runs on dir.
func dialSocket(ctx context.Context, dir string) (conn net.Conn, err error) {
	err = withSocketPath(dir, func(path string) (err error) {
		var d net.Dialer
		conn, err = d.DialContext(ctx, "unix", path)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		err = fmt.Errorf("%w: %w", errNoGateway, err)
	}
	return conn, err
}
