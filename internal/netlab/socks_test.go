package netlab

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/proxy"
)

// socksAsk is a request for the target, in the way of a client that does not wait.
func socksAsk(target string) string {
	ap := netip.MustParseAddrPort(target)
	kind := "\x01"
	if ap.Addr().Is6() {
		kind = "\x04"
	}
	return "\x05\x01\x00" + kind + string(ap.Addr().AsSlice()) + string(binary.BigEndian.AppendUint16(nil, ap.Port()))
}

func TestSOCKS5(t *testing.T) {
	to := target(t)
	closed := loopback(t)
	closed.Close()
	open := ServeSOCKS5(loopback(t), ProxyOptions{Dial: dialLoopback})
	stop(t, open)
	shut := ServeSOCKS5(loopback(t), ProxyOptions{Username: "gate", Password: "way", Dial: dialLoopback})
	stop(t, shut)
	const login = "\x05\x02\x00\x02"
	done := "\x05\x00\x00\x01\x7f\x00\x00\x01" // the port follows
	tests := []struct {
		name  string
		proxy *Proxy
		sent  string
		want  string // how the answer begins
		end   string // and ends
		asked []ProxyRequest
	}{
		{"nobody is asked", open, "\x05\x01\x00" + socksAsk(to) + "hello", "\x05\x00" + done, "127.0.0.1 hello", []ProxyRequest{{Target: to}}},
		{"a name", open, "\x05\x01\x00" + "\x05\x01\x00\x03\x0cjira.invalid\x01\xbb", "\x05\x00\x05\x01\x00", "", []ProxyRequest{{Target: "jira.invalid:443"}}},
		{"nobody listens", open, "\x05\x01\x00" + socksAsk(closed.Addr().String()), "\x05\x00\x05\x05\x00", "", []ProxyRequest{{Target: closed.Addr().String()}}},
		{"BIND", open, "\x05\x01\x00" + "\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50", "\x05\x00\x05\x07\x00", "", []ProxyRequest{{Target: "127.0.0.1:80"}}},
		{"an address type of no protocol", open, "\x05\x01\x00" + "\x05\x01\x00\x02\x7f\x00\x00\x01\x00\x50", "\x05\x00\x05\x08\x00", "", nil},
		{"IPv6", open, "\x05\x01\x00" + socksAsk("[2600::9]:443"), "\x05\x00\x05\x01", "", []ProxyRequest{{Target: "[2600::9]:443"}}},
		{"SOCKS4", open, "\x04\x01\x00\x50\x7f\x00\x00\x01\x00", "", "", nil},
		{"HTTP", open, connect(to), "", "", nil},
		{"login offered where none is needed", open, "\x05\x01\x02", "\x05\xff", "", []ProxyRequest{{Refused: true}}},

		{"right", shut, login + "\x01\x04gate\x03way" + socksAsk(to) + "hello", "\x05\x02\x01\x00" + done, "127.0.0.1 hello", []ProxyRequest{{Username: "gate", Target: to}}},
		{"no login offered", shut, "\x05\x01\x00", "\x05\xff", "", []ProxyRequest{{Refused: true}}},
		{"wrong password", shut, login + "\x01\x04gate\x03wax", "\x05\x02\x01\x01", "", []ProxyRequest{{Username: "gate", Refused: true}}},
		{"the border moved", shut, login + "\x01\x05gatew\x02ay", "\x05\x02\x01\x01", "", []ProxyRequest{{Username: "gatew", Refused: true}}},
		{"login of another version", shut, login + "\x05\x04gate\x03way", "\x05\x02", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := len(test.proxy.Requests())
			answer, err := talk(t, dial(t, test.proxy), test.sent)
			if test.want != "" && !strings.HasPrefix(answer, test.want) || test.want == "" && answer != "" {
				t.Errorf("answer %q, %v; want %q", answer, err, test.want)
			}
			if !strings.HasSuffix(answer, test.end) {
				t.Errorf("answer %q, %v; want %q at the end", answer, err, test.end)
			}
			got := test.proxy.Requests()[before:]
			if len(got) != len(test.asked) {
				t.Fatalf("requests %+v, want %+v", got, test.asked)
			}
			for i := range got {
				check(t, got[i], test.asked[i], test.end != "")
			}
		})
	}
}

// A client of another make gets through, and reports what it is told.
func TestSOCKS5WithAnotherClient(t *testing.T) {
	to := target(t)
	p := ServeSOCKS5(loopback(t), ProxyOptions{Username: "gate", Password: "way"})
	stop(t, p)
	dialer, err := proxy.SOCKS5("tcp", p.Addr(), &proxy.Auth{User: "gate", Password: "way"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dialer.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said := make([]byte, len("127.0.0.1 hello"))
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, said); err != nil || string(said) != "127.0.0.1 hello" {
		t.Errorf("%q, %v", said, err)
	}
	for code, want := range map[byte]string{
		1: "general SOCKS server failure", 2: "connection not allowed by ruleset", 3: "network unreachable", 4: "host unreachable",
		5: "connection refused", 6: "TTL expired", 7: "command not supported", 8: "address type not supported",
	} {
		p.Misbehave(Reply(code))
		if _, err := dialer.Dial("tcp", to); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("reply %d: %v, want %q", code, err, want)
		}
	}
	for _, f := range []Fault{WrongVersion(), Garbage(OnAccept), Garbage(OnLogin), Garbage(OnRequest), {Stage: OnGreeting}, {Stage: OnLogin}, {Stage: OnRequest, Then: ThenReset}} {
		p.Misbehave(f)
		if _, err := dialer.Dial("tcp", to); err == nil {
			t.Errorf("fault %+v went unnoticed", f)
		}
	}
	p.Behave()
	again, err := dialer.Dial("tcp", to)
	if err != nil {
		t.Fatalf("behaving: %v", err)
	}
	again.Close()
}

// FuzzSOCKSRequest: what was read, written again, is what was read.
func FuzzSOCKSRequest(f *testing.F) {
	f.Add([]byte(socksAsk("10.0.0.9:443")))
	f.Add([]byte(socksAsk("[2600::9]:443")))
	f.Add([]byte("\x05\x01\x00\x03\x09jira:\x00.[]\x01\xbbrest"))
	f.Add([]byte("\x05\x01\x00\x03\x00\x01\xbb"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		request, err := readSOCKSRequest(r)
		if err != nil {
			return
		}
		again := []byte{socksVersion, request.command, 0, request.kind}
		switch request.kind {
		case socksName:
			again = append(append(again, byte(len(request.host))), request.host...)
		default:
			again = append(again, netip.MustParseAddr(request.host).AsSlice()...)
		}
		again = binary.BigEndian.AppendUint16(again, request.port)
		rest, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(append(again, rest...), b) {
			t.Errorf("%x was read as %+v and %x", b, request, rest)
		}
	})
}

// FuzzSOCKSLogin: the border between name and password is where the client put it.
func FuzzSOCKSLogin(f *testing.F) {
	f.Add([]byte("\x01\x04gate\x03way"))
	f.Add([]byte("\x01\x00\x00"))
	f.Add([]byte("\x01\xffshort"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		username, password, err := readSOCKSLogin(r)
		if err != nil {
			return
		}
		again := append(append([]byte{loginVersion, byte(len(username))}, username...), byte(len(password)))
		again = append(again, password...)
		if !bytes.HasPrefix(b, again) {
			t.Errorf("%x was read as %q and %q", b, username, password)
		}
	})
}

// FuzzSOCKSGreeting: no method is made up.
func FuzzSOCKSGreeting(f *testing.F) {
	f.Add([]byte("\x05\x02\x00\x02"))
	f.Add([]byte("\x05\x00"))
	f.Add([]byte("\x04\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		methods, err := readSOCKSGreeting(bufio.NewReader(bytes.NewReader(b)))
		if err == nil && !bytes.HasPrefix(b, append([]byte{socksVersion, byte(len(methods))}, methods...)) {
			t.Errorf("%x was read as %x", b, methods)
		}
		if err != nil && len(b) >= 2 && b[0] == socksVersion && len(b) >= 2+int(b[1]) {
			t.Errorf("%x: %v", b, err)
		}
	})
}

func TestReplyFor(t *testing.T) {
	if got := replyFor(errors.New("anything")); got != replyFailed {
		t.Errorf("reply %d", got)
	}
	if got := socksReply(replyDone, &net.TCPAddr{IP: net.ParseIP("2600::5"), Port: 443}); len(got) != 22 || got[3] != socksIPv6 {
		t.Errorf("reply %x", got)
	}
}
