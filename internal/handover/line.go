package handover

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxMessage bounds a message. The largest is about a connection whose client
	// has shown a chain of certificates.
	maxMessage = 1 << 20
	// maxFiles bounds the files beside one message: a gateway listens to four sockets.
	maxFiles = 8
)

// Step is what a message is about.
type Step string

// The steps of a handover, in their order.
const (
	Sockets    Step = "sockets"    // the predecessor's listeners, named in Names
	Prepared   Step = "prepared"   // the successor could start
	Released   Step = "released"   // the predecessor's work is over
	Withdrawn  Step = "withdrawn"  // the predecessor goes on; Error says why
	Serving    Step = "serving"    // the successor has begun
	Failed     Step = "failed"     // the successor could not; Error says why
	Connection Step = "connection" // one connection, described in About
	Done       Step = "done"       // there are no more
)

// Message is one step.
type Message struct {
	Step    Step            `json:"step"`
	Names   []string        `json:"names,omitempty"`
	Version string          `json:"version,omitempty"`
	Error   string          `json:"error,omitempty"`
	About   json.RawMessage `json:"about,omitempty"`
}

// Line is one end of what the two processes talk by. One goroutine may send while
// another receives.
type Line struct {
	conn    *net.UnixConn
	sending sync.Mutex
}

// Send sends a message, and files with it, which stay open here.
func (l *Line) Send(m Message, files ...*os.File) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("hand over: %s: %w", m.Step, err)
	}
	if len(body) > maxMessage || len(files) > maxFiles {
		return fmt.Errorf("hand over: %s: %d bytes and %d files are too much", m.Step, len(body), len(files))
	}
	var beside []byte
	if len(files) > 0 {
		var fds []int
		for _, f := range files {
			fd, err := descriptorOf(f)
			if err != nil {
				return fmt.Errorf("hand over: %s: %w", m.Step, err)
			}
			fds = append(fds, fd)
		}
		beside = unix.UnixRights(fds...)
	}
	l.sending.Lock()
	defer l.sending.Unlock()
	message := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	n, _, err := l.conn.WriteMsgUnix(message, beside, nil) // not always all of it
	if err == nil && n < len(message) {
		_, err = l.conn.Write(message[n:])
	}
	if err != nil {
		return fmt.Errorf("hand over: %s: %w", m.Step, err)
	}
	return nil
}

// descriptorOf is File.Fd, which would make the file blocking, and with it whatever
// shares its description.
func descriptorOf(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	return fd, raw.Control(func(d uintptr) { fd = int(d) })
}

// Receive waits for the next message. Its files are the caller's to close. io.EOF
// means that the other process has closed the line or ended.
func (l *Line) Receive() (Message, []*os.File, error) {
	head, beside := make([]byte, 4), make([]byte, unix.CmsgSpace(4*maxFiles))
	n, nBeside, flags, _, err := l.conn.ReadMsgUnix(head, beside)
	switch {
	case err != nil:
		return Message{}, nil, fmt.Errorf("hand over: %w", err)
	case n == 0:
		return Message{}, nil, io.EOF
	}
	files, err := filesIn(beside[:nBeside])
	if err == nil && flags&unix.MSG_CTRUNC != 0 {
		err = errors.New("files were lost: too many are open (ulimit -n)")
	}
	var m Message
	if err == nil {
		if m, err = l.rest(head, n); errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // which is no end between two messages
		}
	}
	if err != nil {
		CloseAll(files)
		return Message{}, nil, fmt.Errorf("hand over: %w", err)
	}
	return m, files, nil
}

// rest reads the message of which the first n bytes of head were read.
func (l *Line) rest(head []byte, n int) (m Message, err error) {
	if _, err := io.ReadFull(l.conn, head[n:]); err != nil {
		return m, err
	}
	size := binary.BigEndian.Uint32(head)
	if size > maxMessage {
		return m, fmt.Errorf("a message of %d bytes is too long: the other process is no gateway", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(l.conn, body); err != nil {
		return m, err
	}
	return m, json.Unmarshal(body, &m)
}

// SetDeadline bounds Send and Receive.
func (l *Line) SetDeadline(t time.Time) error { return l.conn.SetDeadline(t) }

// Close closes this end.
func (l *Line) Close() error { return l.conn.Close() }

// filesIn are the open files in a control message (unix(7), SCM_RIGHTS).
func filesIn(beside []byte) (files []*os.File, err error) {
	messages, err := unix.ParseSocketControlMessage(beside)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			CloseAll(files)
			return nil, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "handed over"))
		}
	}
	return files, nil
}

// CloseAll closes files.
func CloseAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// Pair returns the two ends of a stream, one as a connection to use here, one as a
// file to send.
func Pair() (net.Conn, *os.File, error) {
	// Nothing of it may get into a process that is started meanwhile.
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	near, far := os.NewFile(uintptr(fds[0]), "near end"), os.NewFile(uintptr(fds[1]), "far end")
	defer near.Close()
	conn, err := net.FileConn(near)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a pair of sockets: %w", err), far.Close())
	}
	return conn, far, nil
}
