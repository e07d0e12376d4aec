package netlab

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// Numbers of RFC 1928, sections 3 to 6, and RFC 1929.
const (
	socksVersion   = 5
	socksNoLogin   = 0x00 // methods
	socksLogin     = 0x02
	socksNoMethod  = 0xff
	loginVersion   = 1
	socksConnect   = 1 // command
	socksIPv4      = 1 // address types
	socksName      = 3
	socksIPv6      = 4
	replyDone      = 0 // replies
	replyFailed    = 1
	replyNoNetwork = 3
	replyNoHost    = 4
	replyRefused   = 5
	replyNoCommand = 7
	replyNoType    = 8
)

// ServeSOCKS5 runs a SOCKS5 proxy on l: CONNECT alone, without credentials or
// with a user name and password. The caller closes it.
func ServeSOCKS5(l net.Listener, o ProxyOptions) *Proxy { return startProxy(l, o, serveSOCKS5) }

func serveSOCKS5(p *Proxy, conn net.Conn) {
	reader := bufio.NewReader(conn)
	username, ok := p.greet(conn, reader)
	if !ok {
		return
	}
	request, err := readSOCKSRequest(reader)
	if errors.Is(err, errAddressType) {
		_, _ = conn.Write(socksReply(replyNoType, nil))
	}
	if err != nil {
		return
	}
	place := p.note(conn, ProxyRequest{Username: username, Target: request.target()})
	switch {
	case request.command != socksConnect:
		_, _ = conn.Write(socksReply(replyNoCommand, nil))
		return
	case p.fails(conn, OnRequest, func() {
		if upstream, err := p.dial(place, request.target()); err == nil {
			p.tunnel(conn, reader, upstream)
		}
	}):
		return
	}
	upstream, err := p.dial(place, request.target())
	if err != nil {
		_, _ = conn.Write(socksReply(replyFor(err), nil))
		return
	}
	if _, err := conn.Write(socksReply(replyDone, upstream.LocalAddr())); err != nil {
		upstream.Close()
		return
	}
	p.tunnel(conn, reader, upstream)
}

// greet agrees on a method and takes the client's credentials.
func (p *Proxy) greet(conn net.Conn, reader *bufio.Reader) (username string, ok bool) {
	methods, err := readSOCKSGreeting(reader)
	if err != nil || p.fails(conn, OnGreeting, nil) {
		return "", false
	}
	want := byte(socksNoLogin)
	if p.options.Username != "" {
		want = socksLogin
	}
	for _, m := range methods {
		ok = ok || m == want
	}
	if !ok {
		p.note(conn, ProxyRequest{Refused: true})
		_, _ = conn.Write([]byte{socksVersion, socksNoMethod})
		return "", false
	}
	if _, err := conn.Write([]byte{socksVersion, want}); err != nil || want == socksNoLogin {
		return "", err == nil
	}
	username, password, err := readSOCKSLogin(reader)
	if err != nil || p.fails(conn, OnLogin, nil) {
		return "", false
	}
	if !p.admits(username, password) {
		p.note(conn, ProxyRequest{Username: username, Refused: true})
		_, _ = conn.Write([]byte{loginVersion, 1})
		return "", false
	}
	_, err = conn.Write([]byte{loginVersion, 0})
	return username, err == nil
}

// readSOCKSGreeting reads the methods that a client offers (RFC 1928, section 3).
func readSOCKSGreeting(r *bufio.Reader) (methods []byte, err error) {
	version, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	if version != socksVersion {
		return nil, fmt.Errorf("read SOCKS greeting: version %d, want %d", version, socksVersion)
	}
	return readCounted(r)
}

// readSOCKSLogin reads credentials (RFC 1929, section 2).
func readSOCKSLogin(r *bufio.Reader) (username, password string, err error) {
	version, err := r.ReadByte()
	if err != nil {
		return "", "", err
	}
	if version != loginVersion {
		return "", "", fmt.Errorf("read SOCKS login: version %d, want %d", version, loginVersion)
	}
	name, err := readCounted(r)
	if err != nil {
		return "", "", err
	}
	secret, err := readCounted(r)
	return string(name), string(secret), err
}

// readCounted reads one byte and as many bytes as it says.
func readCounted(r *bufio.Reader) ([]byte, error) {
	n, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return b, err
}

// socksRequest is a client's request (RFC 1928, section 4). The host is the text
// of an address or, of type socksName, what the client sent.
type socksRequest struct {
	command, kind byte
	host          string
	port          uint16
}

func (r socksRequest) target() string {
	return net.JoinHostPort(r.host, strconv.Itoa(int(r.port)))
}

var errAddressType = errors.New("read SOCKS request: unknown address type")

func readSOCKSRequest(r *bufio.Reader) (socksRequest, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return socksRequest{}, err
	}
	if head[0] != socksVersion || head[2] != 0 {
		return socksRequest{}, fmt.Errorf("read SOCKS request: version %d and reserved byte %d, want %d and 0", head[0], head[2], socksVersion)
	}
	request := socksRequest{command: head[1], kind: head[3]}
	var err error
	switch request.kind {
	case socksIPv4:
		var b [4]byte
		_, err = io.ReadFull(r, b[:])
		request.host = netip.AddrFrom4(b).String()
	case socksIPv6:
		var b [16]byte
		_, err = io.ReadFull(r, b[:])
		request.host = netip.AddrFrom16(b).String()
	case socksName:
		var b []byte
		b, err = readCounted(r)
		request.host = string(b)
	default:
		err = errAddressType
	}
	if err != nil {
		return socksRequest{}, err
	}
	var port [2]byte
	_, err = io.ReadFull(r, port[:])
	request.port = binary.BigEndian.Uint16(port[:])
	return request, err
}

// socksReply is an answer to a request, with the address that the proxy connects
// from if there is one (RFC 1928, section 6).
func socksReply(code byte, from net.Addr) []byte {
	source := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if from != nil {
		if ap := addrPort(from); ap.IsValid() {
			source = ap
		}
	}
	kind := byte(socksIPv4)
	if source.Addr().Is6() {
		kind = socksIPv6
	}
	b := append([]byte{socksVersion, code, 0, kind}, source.Addr().AsSlice()...)
	return binary.BigEndian.AppendUint16(b, source.Port())
}

// replyFor is the code that tells of a failure to connect.
func replyFor(err error) byte {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return replyRefused
	case errors.Is(err, syscall.EHOSTUNREACH):
		return replyNoHost
	case errors.Is(err, syscall.ENETUNREACH):
		return replyNoNetwork
	}
	return replyFailed
}
