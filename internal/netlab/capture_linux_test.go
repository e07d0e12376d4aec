package netlab

import (
	"errors"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestCaptureSeesWhatWasSent(t *testing.T) {
	l := New(t)
	gateway := l.Host("gateway", "10.0.0.5/24", "10.0.0.6/24", "2600:1f18::5/64")
	jira := l.Host("jira", "10.0.0.9/24", "2600:1f18::9/64")
	echoSource(t, listen(t, jira, ":443"))
	tests := []struct {
		name, from, to string
	}{
		{"the kernel's choice", "", "10.0.0.9:443"},
		{"a pinned address", "10.0.0.6", "10.0.0.9:443"},
		{"IPv6", "2600:1f18::5", "[2600:1f18::9]:443"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			left, arrived := gateway.Capture(), jira.Capture()
			begin := time.Now()
			dial, source := gateway.DialContext, "10.0.0.5"
			if test.from != "" {
				dial, source = gateway.DialFrom(netip.MustParseAddr(test.from)), test.from
			}
			if _, err := ask(t, dial, test.to); err != nil {
				t.Fatal(err)
			}
			from, to := netip.MustParseAddr(source), netip.MustParseAddrPort(test.to)
			packets := left.Stop()
			if got := Sources(packets); len(got) != 1 || got[from] < 3 {
				t.Errorf("sources %v, want %s alone", got, from)
			}
			opened := 0
			for _, p := range packets {
				if p.Time.Before(begin.Add(-time.Second)) || p.Time.After(time.Now().Add(time.Second)) {
					t.Errorf("at the wrong time: %s", p)
				}
				if p.Protocol != TCP {
					continue
				}
				here, there := p.Src, p.Dst
				if !p.Outgoing {
					here, there = there, here
				}
				if here.Addr() != from || there != to {
					t.Errorf("not of this connection: %s", p)
				}
				if p.SYN {
					opened++
				}
			}
			if opened != 1 {
				t.Errorf("%d connections were opened", opened)
			}
			// What left there arrived here, and the reverse.
			if got := Sources(arrived.Stop()); len(got) != 1 || got[to.Addr()] < 3 {
				t.Errorf("the other side's sources %v, want %s alone", got, to.Addr())
			}
		})
	}
}

func TestCaptureOfUDP(t *testing.T) {
	l := New(t)
	gateway := l.Host("gateway", "10.0.0.5/24")
	socket, err := l.Host("jira", "10.0.0.9/24").ListenPacket("udp", "10.0.0.9:53")
	if err != nil {
		t.Fatal(err)
	}
	capture := gateway.Capture()
	conn, err := gateway.DialContext(t.Context(), "udp", "10.0.0.9:53")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = socket.SetDeadline(time.Now().Add(10 * time.Second))
	for range 3 {
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := socket.ReadFrom(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	want := map[netip.Addr]int{netip.MustParseAddr("10.0.0.5"): 3}
	packets := capture.Stop()
	if got := Sources(packets); !maps.Equal(got, want) {
		t.Errorf("sources %v, want %v, of %v", got, want, packets)
	}
	for _, p := range packets {
		if p.Outgoing && (p.Protocol != UDP || p.Dst != netip.MustParseAddrPort("10.0.0.9:53") || p.SYN) {
			t.Errorf("sent %s", p)
		}
	}
}

func TestCaptureOfAnIdleHost(t *testing.T) {
	h := New(t).Host("gateway", "10.0.0.5/24", "2600:1f18::5/64")
	capture := h.Capture()
	echoSource(t, listen(t, h, ":443"))
	if _, err := ask(t, h.DialContext, "10.0.0.5:443"); err != nil {
		t.Fatal(err)
	}
	if got := Sources(capture.Stop()); len(got) != 0 {
		t.Errorf("what a host says to itself left it: %v", got)
	}
}

// What the reader had no time for is read at the end, and what the kernel had no
// room for is not passed over.
func TestEndOfACapture(t *testing.T) {
	h := New(t).Host("gateway", "10.0.0.5/24")
	conn, err := h.DialContext(t.Context(), "udp", "224.0.0.9:53") // sent at once, without a neighbour's address
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tests := []struct {
		name  string
		begin func(*Capture) error
		want  string
	}{
		{"all is there", func(*Capture) error { return nil }, ""},
		{"too small a buffer", func(c *Capture) error {
			raw, err := c.socket.SyscallConn()
			if err != nil {
				return err
			}
			var failed error
			err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1) })
			return errors.Join(err, failed)
		}, "were lost"},
		{"too many packets", func(c *Capture) error { c.packets = make([]Packet, maxPackets-10); return nil }, "more than 65536"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Capture{host: h, done: make(chan struct{})}
			if err := h.namespace.run(c.open); err != nil {
				t.Fatal(err)
			}
			if err := test.begin(c); err != nil {
				t.Fatal(err)
			}
			before := len(c.packets)
			for range 100 {
				if _, err := conn.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			_ = c.socket.SetReadDeadline(time.Now().Add(-time.Second))
			c.read()
			switch {
			case test.want == "" && (c.err != nil || len(c.packets)-before != 100):
				t.Errorf("%d packets, %v; want 100", len(c.packets)-before, c.err)
			case test.want != "" && (c.err == nil || !strings.Contains(c.err.Error(), test.want)):
				t.Errorf("error %v, want one with %q", c.err, test.want)
			}
		})
	}
}

// A capture that is not complete is no proof, and says so.
func TestIncompleteCaptureIsFatal(t *testing.T) {
	fake := &fakeT{TB: t, dir: t.TempDir()}
	made := false
	fake.run(func() {
		capture := New(fake).Host("gateway", "10.0.0.5/24").Capture()
		made = true
		_ = capture.socket.Close()
		capture.Stop()
		t.Error("Stop returned")
	})
	if !made {
		t.Skip("no lab was made: " + fake.skipped)
	}
	if !strings.Contains(fake.fatal, "capture is not complete") {
		t.Errorf("fatal %q", fake.fatal)
	}
}
