package netlab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// childVariable makes the test binary a process of a lab instead.
const childVariable = "NETLAB_TEST_CHILD"

func child(job ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join(job, " "), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// asChild does the job of a child, if this is one.
func asChild() {
	job := strings.Fields(os.Getenv(childVariable))
	if len(job) == 0 {
		return
	}
	switch job[0] {
	case "sleep":
		time.Sleep(time.Minute)
	case "dial": // also with names, and from any goroutine
		conn, err := net.Dial("tcp", job[1])
		if err != nil {
			fmt.Print(err)
			os.Exit(1)
		}
		_, _ = io.Copy(os.Stdout, conn)
	}
	os.Exit(0)
}

func TestProcessInAHost(t *testing.T) {
	l := New(t)
	gateway := l.Host("gateway", "10.0.0.5/24")
	jira := l.Host("jira", "10.0.0.9/24")
	echoSource(t, listen(t, jira, "10.0.0.9:443"))
	socket, err := jira.ListenPacket("udp", "10.0.0.9:53")
	if err != nil {
		t.Fatal(err)
	}
	dns := ServeDNS(socket, func(q DNSQuestion) DNSAnswer {
		if q.Name != "jira.acme.example" {
			return DNSAnswer{RCode: dnsmessage.RCodeNameError}
		}
		return Addresses("10.0.0.9")
	})
	defer dns.Close()
	if err := gateway.SetResolvers(netip.MustParseAddr("10.0.0.9")); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"10.0.0.9:443", "jira.acme.example:443"} {
		cmd := child("dial", address)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := gateway.Start(cmd); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil || out.String() != "10.0.0.5" {
			t.Errorf("%s: %q, %v", address, out.String(), err)
		}
	}
	if after, err := os.ReadFile("/etc/resolv.conf"); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the machine's resolv.conf is %q, %v", after, err)
	}
	if err := gateway.Start(exec.Command("/nonexistent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want %v", err, os.ErrNotExist)
	}
}

func TestProcessesEndWithTheLab(t *testing.T) {
	cmd := child("sleep")
	t.Run("lab", func(t *testing.T) {
		if err := New(t).Host("gateway").Start(cmd); err != nil {
			t.Fatal(err)
		}
	})
	if cmd.Process == nil {
		t.Skip("no lab was made")
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("ended with %v, want it killed", err)
	}
}
