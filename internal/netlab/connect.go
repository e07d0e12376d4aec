package netlab

import (
	"bufio"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
)

const (
	maxConnectHead = 64 << 10 // bytes of a CONNECT's head
	established    = "HTTP/1.1 200 Connection established\r\n\r\n"
	askBasic       = "Proxy-Authenticate: Basic realm=\"netlab\"\r\n"
)

// ServeConnect runs an HTTP proxy on l that knows CONNECT alone (RFC 9110,
// section 9.3.6). On a [crypto/tls.NewListener] it is an HTTPS proxy. The caller
// closes it.
func ServeConnect(l net.Listener, o ProxyOptions) *Proxy { return startProxy(l, o, serveConnect) }

func serveConnect(p *Proxy, conn net.Conn) {
	limited := &io.LimitedReader{R: conn, N: maxConnectHead}
	reader := bufio.NewReader(limited)
	request, err := http.ReadRequest(reader)
	if err != nil {
		refuse(conn, http.StatusBadRequest)
		return
	}
	limited.N = math.MaxInt64
	username, password, _ := parseBasic(request.Header.Get("Proxy-Authorization"))
	header := request.Header.Clone()
	header.Del("Proxy-Authorization")
	refused := p.options.Username != "" && !p.admits(username, password)
	place := p.note(conn, ProxyRequest{Username: username, Refused: refused, Target: request.Host, Header: header})
	connect := func() (net.Conn, int) {
		upstream, err := p.dial(place, request.Host)
		if err == nil {
			return upstream, 0
		}
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			return nil, http.StatusGatewayTimeout
		}
		return nil, http.StatusBadGateway
	}
	switch _, _, err := net.SplitHostPort(request.Host); {
	case refused:
		refuse(conn, http.StatusProxyAuthRequired)
	case request.Method != http.MethodConnect:
		refuse(conn, http.StatusMethodNotAllowed)
	case err != nil:
		refuse(conn, http.StatusBadRequest)
	case p.fails(conn, OnRequest, func() {
		if upstream, status := connect(); status == 0 {
			p.tunnel(conn, reader, upstream)
		}
	}):
	default:
		upstream, status := connect()
		if status != 0 {
			refuse(conn, status)
			return
		}
		if _, err := io.WriteString(conn, established); err != nil {
			upstream.Close()
			return
		}
		p.tunnel(conn, reader, upstream)
	}
}

// refuse answers as a proxy that behaves and says no.
func refuse(conn net.Conn, status int) { _, _ = conn.Write(Answer(status).Send) }

// admits compares in constant time, as a proxy should.
func (p *Proxy) admits(username, password string) bool {
	return subtle.ConstantTimeCompare(fmt.Appendf(nil, "%q %q", username, password), fmt.Appendf(nil, "%q %q", p.options.Username, p.options.Password)) == 1
}

// parseBasic reads credentials of RFC 7617, section 2.
func parseBasic(field string) (username, password string, ok bool) {
	scheme, encoded, _ := strings.Cut(field, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(decoded), ":")
}
