package cli

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"

	"jiragate/internal/handover"
)

// Names of the gateway's sockets, for systemd (FileDescriptorName=) and between a
// gateway and its successor.
const (
	proxySocket  = "proxy"
	adminSocket  = "admin"
	publicSocket = "public"
	localSocket  = "local" // the admin socket in the data directory
)

// sockets are listeners that somebody else has opened, by name: systemd, or the gateway
// before this one. They go before the addresses that are configured.
type sockets map[string]net.Listener

// activated are the sockets that systemd has opened (sd_listen_fds(3)). It may open
// those with a network address.
func activated() (sockets, error) {
	files := activation.Files(true)
	defer handover.CloseAll(files)
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	s, err := socketsOf(names, files)
	if err != nil {
		return nil, fmt.Errorf("the sockets that systemd has opened: %w", err)
	}
	for name, l := range s {
		if _, ok := l.Addr().(*net.TCPAddr); !ok || !slices.Contains([]string{proxySocket, adminSocket, publicSocket}, name) {
			return nil, errors.Join(
				hint(fmt.Errorf("systemd has opened a socket %q at %s, which is none of the gateway's", name, l.Addr()),
					"give each socket unit one ListenStream=ADDRESS:PORT, and FileDescriptorName=proxy, admin or public"),
				s.close())
		}
	}
	return s, nil
}

// socketsOf are the listeners behind files, which the caller closes.
func socketsOf(names []string, files []*os.File) (sockets, error) {
	s := make(sockets)
	if len(names) != len(files) {
		return nil, fmt.Errorf("%d sockets have %d names", len(files), len(names))
	}
	for i, f := range files {
		if s[names[i]] != nil {
			return nil, errors.Join(hint(fmt.Errorf("there are two named %q", names[i]),
				"give each socket unit one ListenStream= and a FileDescriptorName= of its own: proxy, admin or public"), s.close())
		}
		l, err := net.FileListener(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", names[i], err), s.close())
		}
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		s[names[i]] = l
	}
	return s, nil
}

// listen returns the socket of that name, or else opens one at the address that the
// variable gives.
func (s sockets) listen(name, variable string, a listenAddress) (net.Listener, error) {
	if l := s[name]; l != nil {
		delete(s, name)
		return l, nil
	}
	l, err := net.Listen("tcp", string(a))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return l, nil
}

// local returns the admin socket of dir.
func (s sockets) local(dir string) (net.Listener, error) {
	if l := s[localSocket]; l != nil {
		delete(s, localSocket)
		return l, nil
	}
	return listenSocket(dir)
}

// unused refuses what nobody has asked for: calls to it would wait for ever.
func (s sockets) unused() error {
	if len(s) == 0 {
		return nil
	}
	names := strings.Join(slices.Sorted(maps.Keys(s)), ", ")
	return errors.Join(hint(fmt.Errorf("there is a socket for %s, which nothing listens to", names),
		"for public pages of their own set JIRAGATE_PUBLIC_LISTEN to the socket's address"), s.close())
}

func (s sockets) close() error {
	var errs []error
	for name, l := range s {
		errs = append(errs, l.Close())
		delete(s, name)
	}
	return errors.Join(errs...)
}

// socketFiles are the files behind the server's listeners, and their names. The
// sockets stay open until the files are closed, whatever becomes of the server.
func (s *Server) socketFiles() (names []string, files []*os.File, err error) {
	for _, l := range []struct {
		name string
		net.Listener
	}{{proxySocket, s.proxy}, {adminSocket, s.admin}, {publicSocket, s.public}, {localSocket, s.socket}} {
		if l.Listener == nil {
			continue
		}
		f, err := l.Listener.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			handover.CloseAll(files)
			return nil, nil, fmt.Errorf("the %s socket: %w", l.name, err)
		}
		names, files = append(names, l.name), append(files, f)
	}
	return names, files, nil
}
