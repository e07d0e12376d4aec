package cli

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"jiragate/gateway/admin"
)

// processActor is who runs this process, for the records of what it does.
func processActor() admin.Actor {
	return actorOf(strconv.Itoa(os.Getuid()), strconv.Itoa(os.Getpid()))
}

// actorOf names a user of this machine by login name, or by number where it has
// none.
func actorOf(uid, pid string) admin.Actor {
	name := "uid=" + uid
	if login, ok := loginName(passwdFile, uid); ok {
		name = login
	}
	return admin.Actor{Name: "operator:" + name, Addr: "unix:pid=" + pid}
}

const (
	passwdFile = "/etc/passwd"
	maxPasswd  = 1 << 20 // bytes
)

// loginName looks a user up in a file as passwd(5) has it. Package os/user is not
// asked, since it may take the word of $USER for who runs the process.
func loginName(file, uid string) (name string, ok bool) {
	f, err := os.Open(file)
	if err != nil {
		return "", false
	}
	defer f.Close() // only read from
	for lines := bufio.NewScanner(io.LimitReader(f, maxPasswd)); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) == 7 && fields[2] == uid && fields[0] != "" {
			return fields[0], true
		}
	}
	return "", false
}

// peerListener notes of each connection to the admin socket who is at its other
// end. It hands that on as the remote address, which wrappers leave alone.
type peerListener struct{ net.Listener }

func (l peerListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	actor := admin.Actor{Name: "operator:unknown", Addr: "unix:"}
	if uid, pid := peer(conn); uid != "" {
		actor = actorOf(uid, pid)
	}
	return peerConn{conn, actor}, nil
}

type peerConn struct {
	net.Conn
	actor admin.Actor
}

func (c peerConn) RemoteAddr() net.Addr { return peerAddr(c.actor) }

// peerAddr is an actor in the place of an address.
type peerAddr admin.Actor

func (peerAddr) Network() string  { return "unix" }
func (a peerAddr) String() string { return a.Addr }

type actorKey struct{}

// withPeer passes on whom a peerListener has noted. It is for
// http.Server.ConnContext.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	a, _ := conn.RemoteAddr().(peerAddr)
	return context.WithValue(ctx, actorKey{}, admin.Actor(a))
}

// peerActor is whom withPeer has noted.
func peerActor(r *http.Request) admin.Actor {
	actor, _ := r.Context().Value(actorKey{}).(admin.Actor)
	return actor
}
