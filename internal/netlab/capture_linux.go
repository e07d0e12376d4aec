package netlab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	maxPackets    = 1 << 16 // of one capture
	snapLength    = 256     // bytes read of each frame: all headers that parseFrame reads
	captureBuffer = 8 << 20 // bytes the kernel keeps for the reader
)

// Capture records the packets of a host's interface. What stays on the host's
// loopback interface is not among them.
type Capture struct {
	host    *Host
	socket  *os.File
	done    chan struct{} // closed when read has returned
	packets []Packet      // read's until done is closed
	err     error         // likewise
}

// Capture begins to record what leaves and enters the host. A failure is fatal to
// the test. The capture ends with [Capture.Stop] or with the lab.
func (h *Host) Capture() *Capture {
	h.lab.t.Helper()
	c := &Capture{host: h, done: make(chan struct{})}
	if err := h.namespace.run(c.open); err != nil {
		h.lab.t.Fatalf("lab host %s: capture packets: %v", h.name, err)
	}
	go c.read()
	h.lab.atEnd(func() { c.stop() })
	return c
}

// Stop ends the capture and returns the packets in the order in which the kernel
// saw them. All that was sent before the call is among them. A capture that lost
// packets proves nothing, so that is fatal to the test. Stop is called once.
func (c *Capture) Stop() []Packet {
	t := c.host.lab.t
	t.Helper()
	packets, err := c.stop()
	if err != nil {
		t.Fatalf("lab host %s: the capture is not complete: %v", c.host.name, err)
	}
	return packets
}

func (c *Capture) stop() ([]Packet, error) {
	_ = c.socket.SetReadDeadline(time.Now()) // fails only once closed
	<-c.done
	return c.packets, c.err
}

// open opens the socket (packet(7)). It is bound to one interface before it hears
// anything: until then it has no protocol.
func (c *Capture) open() error {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open packet socket: %w", err)
	}
	c.socket = os.NewFile(uintptr(fd), "packets of "+c.host.name)
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: link.Index}),
	); err != nil {
		c.socket.Close()
		return fmt.Errorf("prepare packet socket: %w", err)
	}
	return nil
}

// networkOrder gives v the byte order of the network, on any machine.
func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// read records until stop sets the deadline, then what is left in the socket.
func (c *Capture) read() {
	defer close(c.done)
	defer c.socket.Close()
	raw, err := c.socket.SyscallConn()
	if err != nil {
		c.err = err
		return
	}
	err = raw.Read(func(fd uintptr) bool {
		c.err = c.drain(int(fd))
		return c.err != nil // false waits for more
	})
	if c.err != nil {
		return
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.err = err
		return
	}
	if err := raw.Control(func(fd uintptr) { c.err = errors.Join(c.drain(int(fd)), lost(int(fd))) }); err != nil {
		c.err = err
	}
}

// drain records all packets that wait in the socket.
func (c *Capture) drain(fd int) error {
	frame := make([]byte, snapLength)
	control := make([]byte, unix.CmsgSpace(int(unsafe.Sizeof(unix.Timespec{}))))
	for {
		n, controlled, _, from, err := unix.Recvmsg(fd, frame, control, 0)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("read packet: %w", err)
		}
		p, ok := parseFrame(frame[:n])
		if !ok {
			continue
		}
		if len(c.packets) == maxPackets {
			return fmt.Errorf("more than %d packets; capture less at a time", maxPackets)
		}
		link, _ := from.(*unix.SockaddrLinklayer)
		p.Outgoing = link == nil || link.Pkttype == unix.PACKET_OUTGOING // in doubt the stricter
		if p.Time, err = timestamp(control[:controlled]); err != nil {
			return err
		}
		c.packets = append(c.packets, p)
	}
}

// timestamp reads what SO_TIMESTAMPNS adds to a message.
func timestamp(control []byte) (time.Time, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}, fmt.Errorf("read packet's time: %w", err)
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			spec := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			return time.Unix(spec.Unix()), nil
		}
	}
	return time.Time{}, errors.New("the kernel gave a packet no time")
}

// lost returns an error if the socket's buffer ever was full.
func lost(fd int) error {
	stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return fmt.Errorf("read the capture's statistics: %w", err)
	}
	if stats.Drops > 0 {
		return fmt.Errorf("%d packets were lost", stats.Drops)
	}
	return nil
}
