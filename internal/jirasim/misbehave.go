package jirasim

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// misbehaviour carries the faults of one request to the wire.
type misbehaviour struct {
	sim     *Sim
	origin  Origin
	faults  []Fault
	w       http.ResponseWriter
	r       *http.Request
	body    []byte // of the request
	aborted bool   // the client left
}

// wait holds the request back; false means that the client has left.
func (m *misbehaviour) wait() bool {
	for _, f := range m.faults {
		if f.Kind == Latency && !m.sleep(f.Delay) {
			return false
		}
	}
	return true
}

func (m *misbehaviour) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-m.r.Context().Done():
		m.aborted = true
		return false
	}
}

// replacement has the request carried out, unless a fault stands in for that,
// and returns what is to be answered. A status of 0 is a fault of the wire.
func (m *misbehaviour) replacement(carryOut func() reply) reply {
	var standIn *reply
	var kept []Fault
	afterWork := false
	for _, f := range m.faults {
		p, ok := m.standIn(f)
		switch {
		case !ok:
			kept = append(kept, f)
		case standIn == nil: // the first wins, further ones are dropped
			standIn, afterWork = &p, f.AfterWork
			kept = append(kept, f)
		}
	}
	m.faults = kept
	if standIn == nil {
		return carryOut()
	}
	if afterWork {
		carryOut()
	}
	return *standIn
}

func (m *misbehaviour) standIn(f Fault) (reply, bool) {
	switch f.Kind {
	case ErrorStatus:
		status := cmp.Or(f.Status, http.StatusServiceUnavailable)
		p := failure(status, cmp.Or(f.Value, http.StatusText(status)))
		if f.Delay > 0 {
			p.header.Set("Retry-After", strconv.Itoa(int(f.Delay.Seconds())))
		}
		return p, true
	case HTMLPage:
		status := cmp.Or(f.Status, http.StatusBadGateway)
		return htmlReply(status, http.StatusText(status), fmt.Sprintf("<h1>%d %s</h1>", status, http.StatusText(status))), true
	case RateLimit:
		return m.limited(f), true
	case Redirect:
		return redirectReply(cmp.Or(f.Status, http.StatusFound), cmp.Or(f.Location, "https://evil.example/rest/api/3/myself")), true
	case SwitchingProtocols:
		return reply{}, m.r.ProtoMajor == 1
	case ResetBeforeHeaders, Raw, Endless:
		return reply{}, true
	}
	return m.refusal(f)
}

// send puts the answer on the wire, spoiled as the faults say.
func (m *misbehaviour) send(p reply) {
	for _, f := range m.faults {
		p = m.spoil(f, p)
	}
	if acceptsGzip(m.r.Header) && len(p.body) > 256 {
		p = p.gzipped()
		p.header.Add("Vary", "Accept-Encoding")
	}
	for _, f := range m.faults {
		if m.misframe(f, p) {
			return
		}
	}
	p.write(m.w)
}

// spoil changes an answer that can still be sent in good order.
func (m *misbehaviour) spoil(f Fault, p reply) reply {
	if p.status == 0 {
		return p
	}
	switch f.Kind {
	case HugeHeaders:
		count := cmp.Or(f.Count, 16)
		filler := strings.Repeat("x", cmp.Or(f.Size, 1<<20)/count)
		for i := range count {
			p.header.Set("X-Filler-"+strconv.Itoa(i), filler)
		}
	case Challenge:
		p.header.Add("Set-Cookie", "cloud.session.token=simulated; Path=/; Secure; HttpOnly")
		p.header.Add("WWW-Authenticate", `Basic realm="who are you?"`)
		p.header.Add("Proxy-Authenticate", `Basic realm="and your proxy?"`)
	case AddHeader:
		p.header.Add(f.Name, f.Value)
	case ContentType:
		p.header.Set("Content-Type", cmp.Or(f.Value, "text/plain"))
	case Gzip:
		p = p.gzipped()
	case ReflectBody:
		p = jsonReply(http.StatusOK, obj{"method": m.r.Method, "echo": m.secret(f.Form)})
	case ReflectHeader:
		name := cmp.Or(f.Name, "ETag")
		value := m.secret(f.Form)
		if name == "ETag" {
			value = strconv.Quote(value)
		}
		p.header.Set(name, value)
	}
	return p
}

// misframe sends the answer in bad order; false means that it is not that fault's
// business, or not the whole of it.
func (m *misbehaviour) misframe(f Fault, p reply) bool {
	switch f.Kind {
	case ResetAfterHeaders, Truncate, Trailers, ReflectLate:
		if p.status == 0 {
			return false // nothing to spoil: another fault has the wire
		}
	}
	switch f.Kind {
	case EarlyHints:
		m.w.Header().Set("Link", "</early.css>; rel=preload")
		for range cmp.Or(f.Count, 100) {
			m.w.WriteHeader(http.StatusEarlyHints)
		}
		m.w.Header().Del("Link")
		return false
	case SwitchingProtocols:
		if m.r.ProtoMajor == 1 {
			m.switchProtocols()
			return true
		}
		m.w.WriteHeader(http.StatusSwitchingProtocols)
		return false
	case ResetBeforeHeaders:
		m.reset()
	case ResetAfterHeaders:
		p.header.Set("Content-Length", strconv.Itoa(len(p.body)))
		p.writeHead(m.w)
		_, _ = m.w.Write(p.body[:len(p.body)/2])
		m.flush()
		m.reset()
	case Raw:
		m.raw(f.Value)
	case Truncate:
		p.header.Set("Content-Length", strconv.Itoa(len(p.body)+cmp.Or(f.Size, 1024)))
		p.writeHead(m.w)
		_, _ = m.w.Write(p.body)
	case Endless:
		m.endless(f)
	case ReflectLate:
		m.reflectLate(f)
	case Trailers:
		p.writeHead(m.w)
		_, _ = m.w.Write(p.body)
		m.flush() // without it a short body gets a Content-Length and no trailers
		m.w.Header().Set(http.TrailerPrefix+"Set-Cookie", "JSESSIONID=trailer; Path=/")
		m.w.Header().Set(http.TrailerPrefix+"WWW-Authenticate", "Basic")
		m.w.Header().Set(http.TrailerPrefix+"X-Reflected", m.secret(f.Form))
	default:
		return false
	}
	return true
}

func (m *misbehaviour) flush() bool {
	if http.NewResponseController(m.w).Flush() != nil || m.r.Context().Err() != nil {
		m.aborted = true
		return false
	}
	return true
}

func (m *misbehaviour) reset() {
	resetConn(m.r.Context())
	panic(http.ErrAbortHandler)
}

// hijack takes the connection over; it ends with the simulator.
func (m *misbehaviour) hijack(use func(*bufio.ReadWriter)) {
	conn, rw, err := http.NewResponseController(m.w).Hijack()
	if err != nil {
		m.reset()
	}
	defer conn.Close()
	stop := context.AfterFunc(m.sim.ctx, func() { _ = conn.Close() })
	defer stop()
	use(rw)
}

func (m *misbehaviour) raw(bytes string) {
	m.hijack(func(rw *bufio.ReadWriter) {
		_, _ = rw.WriteString(bytes)
		_ = rw.Flush()
	})
}

func (m *misbehaviour) switchProtocols() {
	m.hijack(func(rw *bufio.ReadWriter) {
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if rw.Flush() != nil {
			return
		}
		for {
			b, err := rw.ReadByte()
			if err != nil || rw.WriteByte(b) != nil || rw.Flush() != nil {
				return
			}
		}
	})
}

func (m *misbehaviour) endless(f Fault) {
	m.w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	chunk := strings.Repeat(" ", cmp.Or(f.Size, 1024)-1) + "\n"
	for i := 0; f.Count == 0 || i < f.Count; i++ {
		if _, err := io.WriteString(m.w, chunk); err != nil {
			m.aborted = true
			return
		}
		if !m.flush() || f.Delay > 0 && !m.sleep(f.Delay) {
			return
		}
	}
}

func (m *misbehaviour) reflectLate(f Fault) {
	m.w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	secret := m.secret(f.Form)
	half := len(secret) / 2
	_, _ = io.WriteString(m.w, `{"filler":"`+strings.Repeat("x", cmp.Or(f.Size, 256<<10))+`","echo":"`+secret[:half])
	if m.flush() {
		_, _ = io.WriteString(m.w, secret[half:]+`"}`)
	}
}

// secret returns the credential of the request in the form asked for.
func (m *misbehaviour) secret(form Form) string {
	value := m.r.Header.Get("Authorization")
	if value == "" {
		return string(m.body)
	}
	scheme, bare, _ := strings.Cut(value, " ")
	switch form {
	case FormVerbatim:
		return value
	case FormDecoded:
		if decoded, err := base64.StdEncoding.DecodeString(bare); strings.EqualFold(scheme, "Basic") && err == nil {
			_, password, _ := strings.Cut(string(decoded), ":")
			return password
		}
	case FormBase64:
		return base64.StdEncoding.EncodeToString([]byte(bare))
	case FormURL:
		return url.QueryEscape(bare)
	}
	return bare
}
