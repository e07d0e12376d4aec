package egress

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
)

// askCONNECT asks an HTTP proxy at the end of conn for target (RFC 9110, section
// 9.3.6). The deadline of conn bounds it.
func askCONNECT(conn net.Conn, p *Proxy, target netip.AddrPort) error {
	var b strings.Builder
	fmt.Fprintf(&b, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target)
	if !p.Username.IsZero() {
		pair := p.Username.Reveal() + ":" + p.Password.Reveal()
		b.WriteString("Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) + "\r\n")
	}
	b.WriteString("\r\n")
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return &ProxyError{Proxy: p.String(), Detail: "sending CONNECT", Err: err}
	}
	limited := &io.LimitedReader{R: conn, N: maxProxyAnswer}
	reader := bufio.NewReader(limited)
	answer, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	switch {
	case err == nil:
	case limited.N == 0:
		return &ProxyError{Proxy: p.String(), Detail: fmt.Sprintf("its answer to CONNECT is longer than %d bytes", maxProxyAnswer)}
	case hungUp(err):
		return &silentError{err}
	default:
		// What net/http says of an answer it can't read quotes it.
		return &ProxyError{Proxy: p.String(), Detail: "its answer to CONNECT is not HTTP"}
	}
	switch status := answer.StatusCode; {
	case status >= 200 && status <= 299:
	case status == http.StatusProxyAuthRequired, status == http.StatusUnauthorized:
		return &ProxyError{Proxy: p.String(), Detail: fmt.Sprintf("it refuses the credentials in JIRAGATE_EGRESS (status %d)", status)}
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable:
		return upstreamFailed(target, syscall.EHOSTUNREACH)
	case status == http.StatusGatewayTimeout:
		return upstreamFailed(target, syscall.ETIMEDOUT)
	default:
		return &ProxyError{Proxy: p.String(), Detail: fmt.Sprintf("it refuses to connect (status %d); ask the provider whether the account may CONNECT to port %d", status, target.Port()), refused: status >= 300}
	}
	if reader.Buffered() > 0 {
		// Of TLS the client speaks first: these bytes are not the upstream's.
		return &ProxyError{Proxy: p.String(), Detail: "it sent more than its answer to CONNECT"}
	}
	return nil
}
