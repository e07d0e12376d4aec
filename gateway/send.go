package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"

	"jiragate/gateway/egress"
	"jiragate/gateway/pace"
	"jiragate/gateway/upstream"
	"jiragate/tokenstore"
)

// answer is Jira's answer on its way to the client: its header, the first
// piece of its body, and what is still to be read.
type answer struct {
	response *http.Response
	header   http.Header // allowlisted
	first    []byte      // scanned, may be passed on
	whole    bool        // first is all there is
	scanner  scanner
	body     pacedBody
}

// send makes the one round trip. It follows no redirect, and a write is never
// sent again: the transport retries only what never reached Jira (G9).
func (g *Gateway) send(c *Call) (*answer, *refusal) {
	if refused := c.goes(); refused != nil {
		return nil, refused
	}
	transport, err := g.transports.of(c.connection, g.options.Egress, g.roots.Load())
	if err != nil {
		return nil, &refusal{code: CodeUpstreamTLSFailed, cause: err, detail: "The connection's CA certificates cannot be read. Set the connection up again with --upstream-ca-file."}
	}
	// A password that Jira has seen is judged even if the client has left: otherwise
	// each client that gives up is one more bad login.
	judged := c.connection.CredentialKind == tokenstore.KindBasic
	base := c.ctx
	if judged {
		base = context.WithoutCancel(base)
	}
	ctx, span := g.startRequestSpan(base, c)
	defer span.End()
	connected := false

	asked := time.Now()
	response, err := transport.RoundTrip(ctx, c.out, func(conn net.Conn) {
		connected = true
		c.sockets++
		c.leftBy(conn)
	})
	took := time.Since(asked)
	c.elsewhere += took
	if err != nil {
		refused := upstreamRefusal(c.in.Context(), err)
		if !connected && (refused.code == CodeUpstreamTimeout || refused.code == CodeUpstreamUnreachable) {
			refused.detail = "No connection to Jira could be made; nothing was sent."
		}
		g.measureJira(c, took, 0, refused.code)
		c.reached(span)
		failSpan(span, string(refused.code))
		return nil, refused
	}
	c.reached(span)
	answered(span, response)
	g.measureJira(c, took, response.StatusCode, "")
	g.heed(ctx, c, response)
	g.heedLimits(span, c, response)
	body := response.Body.(upstream.Body)
	if judged && !c.creates(response) {
		// From here on, who leaves ends the answer. But for that which has to be read to
		// remember the issue.
		body.EndWith(c.in.Context())
	}
	c.answer = answer{response: response, header: c.returned(), scanner: scanner{secrets: c.secrets}}
	a := &c.answer
	a.body = pacedBody{body, c.started.Add(maxCallTime), c}
	if refused := g.inspect(c, a); refused != nil {
		failSpan(span, string(refused.code))
		a.body.Close()
		return nil, refused
	}
	return a, nil
}

// leftBy records the socket that the call goes out by.
func (c *Call) leftBy(conn net.Conn) {
	if e, ok := conn.(*egress.Conn); ok {
		c.record.UpstreamAddr, c.record.EgressIP = e.Peer(), e.PublicIP()
	}
}

// inspect refuses answers that may not be passed on, and reads the first piece
// of the body: all of it, up to a bound, where its length is known and small, or
// where the gateway has to read it.
func (g *Gateway) inspect(c *Call, a *answer) *refusal {
	r := a.response
	invalid := func(why string) *refusal {
		if r.StatusCode == http.StatusTooManyRequests { // its wait is worth more than its body
			return &refusal{code: CodeRateLimited, retryAfter: pace.ReadSignal(r.StatusCode, r.Header, time.Now()).Wait,
				detail: "Jira asks to wait. Its answer was not passed on as it is: " + why + "."}
		}
		return refuse(CodeUpstreamResponseInvalid, "Jira's answer was not passed on: "+why+".")
	}
	switch {
	case r.StatusCode == http.StatusSwitchingProtocols:
		return invalid("it switches protocols")
	case r.StatusCode == http.StatusProxyAuthRequired:
		return invalid("it asks for proxy credentials")
	case r.StatusCode < 200 || r.StatusCode > 599:
		return invalid("its status is " + strconv.Itoa(r.StatusCode))
	case encoded(r.Header):
		return invalid("it is encoded, although it was asked for unencoded")
	case !responseHeader(a.header, r, c.inside, c.secrets):
		return withheld()
	}
	created := c.creates(r)
	said := r.StatusCode >= http.StatusBadRequest // what it is about may be in its text
	var err error
	if r.ContentLength >= 0 && r.ContentLength <= wholeResponseBytes || created || said {
		patience := wholePatience
		if created {
			patience = upstreamHeaderTimeout
		}
		room := r.ContentLength
		if room < 0 || room > wholeResponseBytes {
			room = 4 << 10
		}
		a.first, a.whole, err = readPatiently(&a.body, c.firstPiece(max(int(room), 1)), patience)
		if said {
			err = nil // the client gets the head and what there is, and sees that it is cut
		}
	} else {
		buffer := streamBuffers.Get().(*[streamBuffer]byte)
		var n int
		n, err = a.body.Read(buffer[:])
		a.first = bytes.Clone(buffer[:n])
		streamBuffers.Put(buffer)
		if errors.Is(err, io.EOF) {
			a.whole, err = true, nil
		}
	}
	if err != nil {
		return upstreamRefusal(c.in.Context(), err)
	}
	switch {
	case created:
		g.published(c, a.first)
	case c.decision.Operation.ID == operationDelete && r.StatusCode == http.StatusNoContent:
		g.deleted(c)
	}
	if a.whole {
		if c.secrets.in(a.first) {
			return withheld()
		}
		return nil
	}
	pass, ok := a.scanner.next(a.first)
	if !ok {
		return withheld()
	}
	a.first = pass
	return nil
}

// creates reports whether r tells that the call has created an issue.
func (c *Call) creates(r *http.Response) bool {
	return c.decision.Operation.ID == operationCreate && r.StatusCode == http.StatusCreated
}

// readPatiently reads a body to its end, as long as it is no longer than
// wholeResponseBytes and takes no longer than patience, but for the pause within it
// that a pacedBody allows. What comes after that is left in it. It is read into first,
// which is empty, as far as that goes.
func readPatiently(body io.Reader, first []byte, patience time.Duration) (_ []byte, whole bool, _ error) {
	end := time.Now().Add(patience)
	for len(first) <= wholeResponseBytes {
		if len(first) == cap(first) {
			first = slices.Grow(first, 512)
		}
		n, err := body.Read(first[len(first):min(cap(first), wholeResponseBytes+1)])
		first = first[:len(first)+n]
		switch {
		case errors.Is(err, io.EOF):
			return first, len(first) <= wholeResponseBytes, nil
		case err != nil:
			return first, false, err
		case time.Now().After(end):
			return first, false, nil
		}
	}
	return first, false, nil
}

// encoded reports whether an answer has a content coding, in any of its fields.
func encoded(h http.Header) bool {
	for _, v := range h["Content-Encoding"] {
		if v = strings.TrimSpace(v); v != "" && !strings.EqualFold(v, "identity") {
			return true
		}
	}
	return false
}

func withheld() *refusal {
	return refuse(CodeResponseWithheld, "The answer held the injected credential. The call may have taken effect in Jira.")
}

// pacedBody ends a response body that keeps its reader waiting for too long, or the
// call's time is over, and its request with it. The time that a slow client takes
// between two reads does not count as waiting.
type pacedBody struct {
	upstream.Body
	end  time.Time // of the call
	call *Call     // which is away while it waits
}

func (b *pacedBody) Read(p []byte) (int, error) {
	now := time.Now()
	defer b.call.away(now)
	b.SetReadDeadline(now.Add(min(upstreamIdleTimeout, b.end.Sub(now))))
	return b.Body.Read(p)
}

// upstreamRefusal turns what failed between gateway and Jira into a code. The
// error itself, which may name addresses, is for the log.
func upstreamRefusal(client context.Context, err error) *refusal {
	r := &refusal{cause: err}
	var unknownAuthority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var timeout net.Error
	var network *net.OpError
	switch {
	case client.Err() != nil:
		r.code, r.detail = CodeClientDisconnected, "The client went away."
	case errors.Is(err, upstream.ErrBusy):
		r.code, r.detail = CodeUpstreamBusy, "All connections to this Jira are taken by calls that wait for its answers. Nothing was sent; try again later."
	case errors.Is(err, egress.ErrUnavailable):
		r.code, r.detail = CodeEgressUnavailable, "None of the region's egress addresses can be used; calls leave from those or not at all."
	case errors.Is(err, egress.ErrForbiddenAddress):
		r.code, r.detail = CodeUpstreamAddressForbidden, "The connection's host resolves to an address that is not public. An operator may allow it with JIRAGATE_EGRESS_ALLOW_PRIVATE."
	case errors.Is(err, egress.ErrResolve):
		r.code, r.detail = CodeUpstreamUnresolvable, "The connection's host name could not be resolved."
	case errors.As(err, &verification), errors.As(err, &unknownAuthority), errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &network) && network.Op == "remote error":
		r.code, r.detail = CodeUpstreamTLSFailed, "Jira's certificate could not be verified, or it speaks no TLS that the gateway does. For a private CA set up the connection with --upstream-ca-file."
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.Canceled), errors.As(err, &timeout) && timeout.Timeout():
		r.code, r.detail = CodeUpstreamTimeout, "Jira did not answer in time. A write may have taken effect; look before sending it again."
	case errors.As(err, &network) && network.Op == "dial":
		r.code, r.detail = CodeUpstreamUnreachable, "No connection to Jira could be made; nothing was sent."
	case broken(err):
		r.code, r.detail = CodeUpstreamUnreachable, "The connection to Jira broke before its answer was complete. A write may have taken effect; look before sending it again."
	default:
		// What net/http says of an answer it can't read may quote it.
		r.cause = fmt.Errorf("an answer that cannot be read: %T", innermost(err))
		r.code, r.detail = CodeUpstreamResponseInvalid, "Jira's answer could not be read. A write may have taken effect; look before sending it again."
	}
	return r
}

// broken reports whether an error is of the connection, not of what came by it.
func broken(err error) bool {
	var network *net.OpError
	var stream http2.StreamError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) || errors.As(err, &stream) ||
		strings.HasPrefix(err.Error(), "http2: ") || strings.HasPrefix(err.Error(), "http: server closed")
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
