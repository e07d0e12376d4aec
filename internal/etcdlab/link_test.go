package etcdlab

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// hello is ready for a TLS handshake with the first member of the link. After TLS 1.2's,
// unlike after 1.3's, nothing of the server is on its way any more.
func hello(t *testing.T, c *Cluster, l *Link) *tls.Conn {
	t.Helper()
	raw, err := net.Dial("tcp", l.Endpoints()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	config := c.TLS()
	config.ServerName = c.members[0].host
	config.MaxVersion = tls.VersionTLS12
	config.NextProtos = []string{"h2"}
	return tls.Client(raw, config)
}

// silent checks that what is written is accepted, and that there is neither an answer
// nor an end.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte("anything")); err != nil {
		t.Errorf("write: %v", err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes: %v", n, err)
	}
}

func TestLink(t *testing.T) {
	c := quick(t, Options{})
	link, other := c.Link(t), c.Link(t)
	if all := slices.Concat(c.Endpoints(), link.Endpoints(), other.Endpoints()); len(slices.Compact(slices.Sorted(slices.Values(all)))) != 9 {
		t.Fatalf("endpoints are shared: %q", all)
	}
	client := c.Client(t, link.Endpoints()...)
	put(t, client, "/jiragate/a", "by the link")

	t.Run("cut", func(t *testing.T) {
		open := hello(t, c, link)
		if err := open.Handshake(); err != nil {
			t.Fatal(err)
		}
		link.Cut()
		raw := open.NetConn()
		silent(t, raw)
		fresh := hello(t, c, link)
		silent(t, fresh.NetConn())
		if _, err := client.Get(inVain(t), "/jiragate/a"); err == nil {
			t.Error("a call through a cut link is answered")
		}
		if got := value(t, c.Client(t, other.Endpoints()...), "/jiragate/a"); got != "by the link" {
			t.Errorf("another link finds %q", got)
		}
		link.Heal()
		silent(t, raw)
		silent(t, fresh.NetConn())
		if got := value(t, c.Client(t, link.Endpoints()...), "/jiragate/a"); got != "by the link" {
			t.Errorf("a new client of the healed link finds %q", got)
		}
	})

	t.Run("reset", func(t *testing.T) {
		open := hello(t, c, link)
		if err := open.Handshake(); err != nil {
			t.Fatal(err)
		}
		link.Reset()
		if _, err := io.Copy(io.Discard, open.NetConn()); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a connection ends with %v", err)
		}
		if _, err := net.Dial("tcp", link.Endpoints()[0]); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a new connection: %v", err)
		}
		link.Heal()
		// The client whose connections had gone dead has learned of it by the reset.
		if got := value(t, client, "/jiragate/a"); got != "by the link" {
			t.Errorf("the client of the healed link finds %q", got)
		}
	})
}
