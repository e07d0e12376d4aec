package netlab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

func loopback(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// target echoes what it is sent, behind the address that it was sent from.
func target(t *testing.T) string {
	t.Helper()
	l := loopback(t)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				fmt.Fprintf(conn, "%s ", addrPort(conn.RemoteAddr()).Addr())
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return l.Addr().String()
}

func stop(t *testing.T, p *Proxy) {
	t.Helper()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if _, open := p.Connections(); open != 0 {
			t.Errorf("%d connections are open after Close", open)
		}
	})
}

// talk sends bytes as they are and returns all that comes back, in the way of
// curl --raw. It ends what it sends, and fails after a time that no test needs.
func talk(t *testing.T, conn net.Conn, sent string) (string, error) {
	t.Helper()
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, sent); err != nil {
		return "", err
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(conn)
	return string(b), err
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func basic(credentials string) string {
	return "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(credentials)) + "\r\n"
}

func connect(target string, fields ...string) string {
	return "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n" + strings.Join(fields, "") + "\r\n"
}

// dialLoopback keeps tests from asking the machine's name servers.
func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	if !ap.Addr().IsLoopback() {
		return nil, fmt.Errorf("%s is outside", ap)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// status is the number in an answer's first line, or the whole answer.
func status(answer string) string {
	if rest, ok := strings.CutPrefix(answer, "HTTP/1.1 "); ok && len(rest) > 3 {
		return rest[:3]
	}
	return answer
}

func TestConnect(t *testing.T) {
	to := target(t)
	closed := loopback(t)
	closed.Close()
	p := ServeConnect(loopback(t), ProxyOptions{Username: "gate", Password: "way:1", Dial: dialLoopback})
	stop(t, p)
	good := basic("gate:way:1")
	tests := []struct {
		name, sent, status, tunnelled string
		want                          ProxyRequest
	}{
		{"right, and the client does not wait for the answer", connect(to, good, "X-Seen: yes\r\n") + "hello", "200", "127.0.0.1 hello", ProxyRequest{Username: "gate", Target: to}},
		{"no credentials", connect(to), "407", "", ProxyRequest{Refused: true, Target: to}},
		{"a wrong password", connect(to, basic("gate:way")), "407", "", ProxyRequest{Username: "gate", Refused: true, Target: to}},
		{"a colon moved", connect(to, basic("gate:way:1:")), "407", "", ProxyRequest{Username: "gate", Refused: true, Target: to}},
		{"another scheme", connect(to, "Proxy-Authorization: Bearer x\r\n"), "407", "", ProxyRequest{Refused: true, Target: to}},
		{"a name", connect("jira.invalid:443", good), "502", "", ProxyRequest{Username: "gate", Target: "jira.invalid:443"}},
		{"nobody listens", connect(closed.Addr().String(), good), "502", "", ProxyRequest{Username: "gate", Target: closed.Addr().String()}},
		{"no port", connect("127.0.0.1", good), "400", "", ProxyRequest{Username: "gate", Target: "127.0.0.1"}},
		{"not CONNECT", "GET http://" + to + "/ HTTP/1.1\r\nHost: " + to + "\r\n" + good + "\r\n", "405", "", ProxyRequest{Username: "gate", Target: to}},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer, err := talk(t, dial(t, p), test.sent)
			if err != nil || status(answer) != test.status {
				t.Fatalf("answer %q, %v; want %s", answer, err, test.status)
			}
			if _, tunnelled, _ := strings.Cut(answer, "\r\n\r\n"); tunnelled != test.tunnelled {
				t.Errorf("tunnelled %q, want %q", tunnelled, test.tunnelled)
			}
			if asks := strings.Contains(answer, "Proxy-Authenticate: Basic "); asks != (test.status == "407") {
				t.Errorf("asks for credentials: %v, with %q", asks, answer)
			}
			got := p.Requests()
			if len(got) != i+1 {
				t.Fatalf("requests %v", got)
			}
			check(t, got[i], test.want, test.status == "200")
			if got[i].Header.Get("Proxy-Authorization") != "" || test.status == "200" && got[i].Header.Get("X-Seen") != "yes" {
				t.Errorf("header %v", got[i].Header)
			}
		})
	}
	if answer, err := talk(t, dial(t, p), "no HTTP\r\n\r\n"); err != nil || status(answer) != "400" {
		t.Errorf("answer %q, %v", answer, err)
	}
	if got := len(p.Requests()); got != len(tests) {
		t.Errorf("%d requests: what is no request was counted", got)
	}
	if accepted, _ := p.Connections(); accepted != len(tests)+1 {
		t.Errorf("%d connections", accepted)
	}
}

func check(t *testing.T, got, want ProxyRequest, connected bool) {
	t.Helper()
	if got.Username != want.Username || got.Refused != want.Refused || got.Target != want.Target {
		t.Errorf("request %+v, want %+v", got, want)
	}
	if !got.Client.IsValid() || got.Source.IsValid() != connected {
		t.Errorf("client %s, source %s", got.Client, got.Source)
	}
}

func TestConnectBehindTLS(t *testing.T) {
	to := target(t)
	certificate, root := NewCertificate(t, "127.0.0.1", "proxy.example")
	p := ServeConnect(tls.NewListener(loopback(t), &tls.Config{Certificates: []tls.Certificate{certificate}}), ProxyOptions{})
	stop(t, p)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		t.Fatalf("root %q", root)
	}
	for _, name := range []string{"127.0.0.1", "proxy.example"} {
		conn, err := tls.Dial("tcp", p.Addr(), &tls.Config{RootCAs: roots, ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := talk(t, conn, connect(to)+"hello"); err != nil || !strings.HasSuffix(answer, "127.0.0.1 hello") {
			t.Errorf("answer %q, %v", answer, err)
		}
	}
	// What is wrong from the start is wrong before TLS.
	for _, f := range []Fault{{}, {Then: ThenReset}, Garbage(OnAccept)} {
		p.Misbehave(f)
		if _, err := tls.Dial("tcp", p.Addr(), &tls.Config{RootCAs: roots}); err == nil {
			t.Errorf("fault %+v: TLS was established", f)
		}
	}
	p.Misbehave(Fault{Stage: OnRequest, Then: ThenReset})
	conn, err := tls.Dial("tcp", p.Addr(), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, connect(to))
	if _, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("a reset is seen as %v", err)
	}
	p.Behave()
	if _, err := tls.Dial("tcp", p.Addr(), &tls.Config{RootCAs: roots, ServerName: "other.example"}); err == nil {
		t.Error("a certificate for another name")
	}
}

func TestConnectFaults(t *testing.T) {
	to := target(t)
	p := ServeConnect(loopback(t), ProxyOptions{})
	stop(t, p)
	tests := []struct {
		name  string
		fault Fault
		want  func(answer string, err error) bool
	}{
		{"407", Answer(407), func(a string, err error) bool {
			return err == nil && status(a) == "407" && strings.Contains(a, askBasic)
		}},
		{"504", Answer(504), func(a string, err error) bool { return err == nil && status(a) == "504" }},
		{"closed at once", Fault{}, func(a string, err error) bool { return a == "" }},
		{"closed after the request", Fault{Stage: OnRequest}, func(a string, err error) bool { return err == nil && a == "" }},
		{"reset", Fault{Stage: OnRequest, Then: ThenReset}, func(a string, err error) bool { return err != nil }},
		{"garbage at once", Garbage(OnAccept), func(a string, err error) bool { return err == nil && strings.Contains(a, "garbage") }},
		{"a huge header", HugeHeader(1 << 20), func(a string, err error) bool {
			return err == nil && len(a) > 1<<20 && strings.HasSuffix(a, "\r\n\r\n127.0.0.1 hello")
		}},
		{"bytes behind the answer", ExtraBytes("extra"), func(a string, err error) bool {
			return err == nil && strings.HasSuffix(a, "\r\n\r\nextra127.0.0.1 hello")
		}},
		{"byte by byte", Fault{Stage: OnRequest, Send: []byte("slow"), Pause: time.Microsecond}, func(a string, err error) bool { return err == nil && a == "slow" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p.Misbehave(test.fault)
			before := len(p.Requests())
			answer, err := talk(t, dial(t, p), connect(to)+"hello")
			if !test.want(answer, err) {
				t.Errorf("%d bytes, %.100q, %v", len(answer), answer, err)
			}
			asked := len(p.Requests()) - before
			if want := min(int(test.fault.Stage), 1); asked != want {
				t.Errorf("%d requests, want %d", asked, want)
			}
		})
	}
	p.Behave()
	if answer, err := talk(t, dial(t, p), connect(to)+"hello"); err != nil || status(answer) != "200" {
		t.Errorf("behaving, it answers %q, %v", answer, err)
	}
}

func TestAddrPort(t *testing.T) {
	for in, want := range map[string]string{"[::ffff:10.0.0.5]:443": "10.0.0.5:443", "[2600::5]:443": "[2600::5]:443", "pipe": ""} {
		got := addrPort(&net.UnixAddr{Name: in})
		if got.IsValid() != (want != "") || got.IsValid() && got != netip.MustParseAddrPort(want) {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}
