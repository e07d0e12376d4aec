package handover

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair are the two ends of a line.
func pair(t testing.TB) (here, there *Line) {
	t.Helper()
	near, far, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	other, err := net.FileConn(far)
	if err != nil {
		t.Fatal(err)
	}
	here, there = &Line{conn: near.(*net.UnixConn)}, &Line{conn: other.(*net.UnixConn)}
	for _, l := range []*Line{here, there} {
		t.Cleanup(func() { l.Close() })
		if err := l.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return here, there
}

// openFiles are how many descriptors this process has.
func openFiles(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("open files can't be counted here")
	}
	return len(list)
}

// written is a file with this content, which is read from its beginning.
func written(t *testing.T, content string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestMessagesArriveWithTheirFiles, in their order and with what is in them, however long.
func TestMessagesArriveWithTheirFiles(t *testing.T) {
	here, there := pair(t)
	before := openFiles(t)
	sent := []struct {
		message Message
		files   []string
	}{
		{Message{Step: Sockets, Names: []string{"proxy", "admin"}}, []string{"one", "two"}},
		{Message{Step: Prepared, Version: "v2"}, nil},
		{Message{Step: Connection, About: json.RawMessage(`"` + strings.Repeat("x", maxMessage/2) + `"`)}, []string{"three"}},
		{Message{Step: Done}, []string{"1", "2", "3", "4", "5", "6", "7", "8"}},
	}
	done := make(chan error, 1)
	go func() {
		var err error
		for _, s := range sent {
			var files []*os.File
			for _, content := range s.files {
				files = append(files, written(t, content))
			}
			err = errors.Join(err, here.Send(s.message, files...))
			CloseAll(files) // those at the other end are others
		}
		done <- err
	}()
	for _, s := range sent {
		m, files, err := there.Receive()
		if err != nil {
			t.Fatalf("%s: %v", s.message.Step, err)
		}
		if !reflect.DeepEqual(m, s.message) {
			t.Errorf("%s: another message arrived", s.message.Step)
		}
		var got []string
		for _, f := range files {
			content, err := io.ReadAll(f)
			if err != nil {
				t.Error(err)
			}
			if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("%s: a process that is started gets the file, too (%v)", s.message.Step, err)
			}
			got = append(got, string(content))
		}
		CloseAll(files)
		if !reflect.DeepEqual(got, s.files) {
			t.Errorf("%s: files %q, want %q", s.message.Step, got, s.files)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := openFiles(t); n != before {
		t.Errorf("%d files are open, %d before", n, before)
	}
}

// TestWhatIsTooMuchIsNotSent: the other end would not take it.
func TestWhatIsTooMuchIsNotSent(t *testing.T) {
	here, there := pair(t)
	f := written(t, "")
	for name, send := range map[string]func() error{
		"message": func() error { return here.Send(Message{Step: Failed, Error: strings.Repeat("x", maxMessage)}) },
		"files":   func() error { return here.Send(Message{Step: Sockets}, f, f, f, f, f, f, f, f, f) },
		"closed": func() error {
			closed := written(t, "")
			closed.Close()
			return here.Send(Message{Step: Sockets}, closed)
		},
	} {
		if err := send(); err == nil {
			t.Errorf("%s: it was sent", name)
		}
	}
	if err := here.Send(Message{Step: Done}); err != nil {
		t.Fatal(err)
	}
	if m, _, err := there.Receive(); err != nil || m.Step != Done {
		t.Errorf("the next message: %v, %v", m, err)
	}
}

// TestTheEndOfTheLine: an end between two messages is io.EOF, one within a message isn't.
// Files that came with it are closed.
func TestTheEndOfTheLine(t *testing.T) {
	body, err := json.Marshal(Message{Step: Done})
	if err != nil {
		t.Fatal(err)
	}
	whole := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	for _, tt := range []struct {
		name string
		sent []byte
		want error
	}{
		{"nothing", nil, io.EOF},
		{"half of the length", whole[:2], io.ErrUnexpectedEOF},
		{"no body", whole[:4], io.ErrUnexpectedEOF},
		{"half of the body", whole[:len(whole)-3], io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := openFiles(t)
			here, there := pair(t)
			if len(tt.sent) > 0 {
				f := written(t, "")
				if _, _, err := here.conn.WriteMsgUnix(tt.sent, unix.UnixRights(int(f.Fd())), nil); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
			here.Close()
			if _, files, err := there.Receive(); !errors.Is(err, tt.want) || len(files) > 0 {
				t.Errorf("%d files, %v; want %v", len(files), err, tt.want)
			}
			there.Close()
			if n := openFiles(t); n != before {
				t.Errorf("%d files are open, %d before", n, before)
			}
		})
	}
}

// TestWhatIsTooLongIsNotRead, whatever the length says.
func TestWhatIsTooLongIsNotRead(t *testing.T) {
	here, there := pair(t)
	if _, err := here.conn.Write([]byte{0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := there.Receive(); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("%v", err)
	}
}

// TestFilesThatCannotBeTakenAreSaidToBeLost: the process may open no more of them.
func TestFilesThatCannotBeTakenAreSaidToBeLost(t *testing.T) {
	here, there := pair(t)
	one, two := written(t, "1"), written(t, "2")
	before := openFiles(t)
	if err := here.Send(Message{Step: Sockets}, one, two); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	next, err := os.Open(os.DevNull) // the next free descriptor
	if err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: uint64(next.Fd()), Max: limit.Max}
	next.Close()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	_, files, err := there.Receive()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err == nil || !strings.Contains(err.Error(), "ulimit -n") || len(files) > 0 {
		t.Errorf("%d files, %v", len(files), err)
	}
	if n := openFiles(t); n != before {
		t.Errorf("%d files are open, %d before", n, before)
	}
}

// TestSendAndReceiveEndInTime: nobody waits for ever for a process that does nothing.
func TestSendAndReceiveEndInTime(t *testing.T) {
	here, there := pair(t)
	if err := there.SetDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := there.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Receive: %v", err)
	}
	if err := here.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil { // until nothing more fits in between
		err = here.Send(Message{Step: Failed, Error: strings.Repeat("x", 64<<10)})
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Send: %v", err)
	}
}

// FuzzReceive: whatever comes over the line, Receive ends with a message or an error,
// reads no further than one message, and leaves no file open.
func FuzzReceive(f *testing.F) {
	message := func(body string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	f.Add(message(`{"step":"done"}`), 0)
	f.Add(message(`{"step":"connection","about":{"peer":"192.0.2.1:1"}}`), 1)
	f.Add(message(`{`), 2)
	f.Add([]byte{0, 0}, 1)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, '{'}, 3)
	f.Fuzz(func(t *testing.T, sent []byte, files int) {
		if len(sent) > 64<<10 {
			t.Skip("it has to fit in between")
		}
		here, there := pair(t)
		before := openFiles(t)
		var beside []byte
		if files = files & 7; files > 0 && len(sent) > 0 {
			fds := make([]int, files) // standard input, so many times
			beside = unix.UnixRights(fds...)
		}
		if len(sent) > 0 {
			n, _, err := here.conn.WriteMsgUnix(sent, beside, nil)
			if err != nil || n != len(sent) {
				t.Skip(err)
			}
		}
		here.conn.CloseWrite()
		m, got, err := there.Receive()
		if err == nil {
			if len(got) != len(beside)/4 && len(got) != files {
				t.Errorf("%d files arrived, %d were sent", len(got), files)
			}
			size := int(binary.BigEndian.Uint32(sent))
			var want Message
			if json.Unmarshal(sent[4:4+size], &want) != nil || !reflect.DeepEqual(m, want) {
				t.Errorf("%q became %+v", sent, m)
			}
			rest, _ := io.ReadAll(there.conn)
			if !bytes.Equal(rest, sent[4+size:]) {
				t.Errorf("%q is left of %q", rest, sent)
			}
		} else if len(got) > 0 {
			t.Errorf("files with %v", err)
		}
		CloseAll(got)
		if n := openFiles(t); n != before {
			t.Errorf("%d files are open, %d before", n, before)
		}
	})
}
