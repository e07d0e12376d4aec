package gateway

import "net/http"

// admit refuses a message whose framing has two readings, finds who sent it,
// and refuses what cannot be a call: plain text on an open listener, upgrades,
// encoded bodies. The client of a tunnel is looked up anew for each request.
func (g *Gateway) admit(c *Call) *refusal {
	r := c.in
	refused := g.whoCalls(c)
	if fault := c.origin.framingFault(r); fault != nil {
		c.record.Method, c.record.Path = "", ""
		return refuse(fault.code, "The request was not understood: "+fault.detail+".")
	}
	switch {
	case refused != nil:
		return refused
	case !c.origin.private:
		return refuse(CodePlaintext, "Use CONNECT (https:// through the proxy), or make the proxy listener TLS with JIRAGATE_PROXY_TLS_CERT and _KEY.")
	case len(r.Header["Upgrade"]) > 0 || len(r.Header["Http2-Settings"]) > 0:
		return refuse(CodeUpgradeForbidden, "Send the request without Upgrade; WebSocket and h2c are not let through.")
	case len(r.Header["Content-Encoding"]) > 0:
		return refuse(CodeEncodingForbidden, "Send the body without Content-Encoding.")
	case c.origin.framing != nil: // framedConn has found that it isn't too large
		return nil
	case headFields(r.Header) > maxHeaderFields:
		return refuse(CodeHeaderTooLarge, "The request was not understood: "+tooManyFields().detail+".")
	case len(r.RequestURI) > maxTargetBytes:
		return refuse(CodeTargetTooLong, "The request was not understood: "+targetTooLong().detail+".")
	case headBytes(r) > maxHeadBytes:
		return refuse(CodeHeaderTooLarge, "The request was not understood: "+headTooLarge().detail+".")
	}
	return nil
}

// whoCalls finds the client of a call, and puts it into the record.
func (g *Gateway) whoCalls(c *Call) (refused *refusal) {
	switch {
	case c.operator:
		return nil
	case c.door == doorTunnel:
		c.identity, refused = c.origin.tunnel.renew(g.directory())
	default:
		c.identity, refused = g.identified(c)
	}
	c.record.Client = c.client()
	return refused
}

func headFields(h http.Header) (n int) {
	for _, values := range h {
		n += len(values)
	}
	return n
}

// headBytes is the size of a request's header as HTTP/2 counts it (RFC 9113
// section 6.5.2), without the 32 bytes that it adds for each field.
func headBytes(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	return n
}

// confirm looks again at what a change of connections, clients or grants may
// have taken away while the body was arriving, or the call waited for its turn.
func (g *Gateway) confirm(c *Call) *refusal {
	dir := g.directory()
	if dir == c.resolver.directory {
		return nil
	}
	if refused := g.whoCalls(c); refused != nil {
		return refused
	}
	now, ok := dir.Connection(c.connection.ID)
	switch {
	case !ok || now.Incarnation != c.connection.Incarnation:
		return replaced()
	case !c.operator && !c.identity.client.Granted(now.ID):
		return notGranted()
	}
	c.connection = now
	return c.resolver.usable(now)
}
