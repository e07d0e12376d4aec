package jirasim

import (
	"strings"
	"sync"
	"time"
)

// Kind is a way of misbehaving.
type Kind string

// Faults that delay the request.
const (
	// Latency waits Delay before the request is carried out.
	Latency Kind = "latency"
)

// Faults that stand in for Jira's answer. Jira does not see the request, unless
// AfterWork is set: then it is carried out and its answer lost.
const (
	// ResetBeforeHeaders resets the TCP connection without an answer.
	ResetBeforeHeaders Kind = "reset-before-headers"
	// ErrorStatus answers Status (503) with a JSON error, and Retry-After if
	// Delay is set.
	ErrorStatus Kind = "error-status"
	// HTMLPage answers Status (502) with an HTML page, as a load balancer does.
	HTMLPage Kind = "html-page"
	// RateLimit answers 429 with Retry-After Delay (5 s) and Reason
	// (jira-burst-based) as Atlassian documents.
	RateLimit Kind = "rate-limit"
	// Redirect answers Status (302) with Location.
	Redirect Kind = "redirect"
	// SwitchingProtocols answers 101 and echoes what is sent afterwards. On
	// HTTP/2, which has no 101, it is an interim answer before Jira's.
	SwitchingProtocols Kind = "switching-protocols"
	// Raw writes Value to the connection as it is and closes it: for framing
	// that no server sends. HTTP/1.1 only; on HTTP/2 the connection is reset.
	Raw Kind = "raw"
	// Endless answers 200 with a chunked body of Count (0: endless) chunks of
	// Size (1024) bytes, flushed one by one with Delay between them.
	Endless Kind = "endless"
)

// Faults with which the customer's side says no, in the words of the real thing.
// They too stand in for Jira's answer, where the kind can happen to the request:
// otherwise, and on the authorization server, Jira answers as ever. [Sim.AllowFrom]
// refuses by address instead of by request.
const (
	// IPRefused: the address is not on the list. Cloud answers Status (403) with
	// an ErrorCollection; for Data Center an nginx in front of it answers, with a page.
	IPRefused Kind = "ip-refused"
	// AppRefused, on Cloud: the integration may not access the site; Status (403).
	AppRefused Kind = "app-refused"
	// SiteUnavailable: Cloud answers Status (404), as of a site that was suspended
	// or deleted; Data Center answers POST with Status (400), its licence has
	// expired.
	SiteUnavailable Kind = "site-unavailable"
	// BasicAuthDisabled, on Data Center: passwords are not taken, whether good or
	// bad; Status (403). Requests with another credential pass.
	BasicAuthDisabled Kind = "basic-auth-disabled"
	// PermissionRefused: the account lacks a permission; Status (403), and Value
	// for the message, for another language.
	PermissionRefused Kind = "permission-refused"
)

// Faults that spoil Jira's own answer.
const (
	// ResetAfterHeaders sends the header and half the body, then resets.
	ResetAfterHeaders Kind = "reset-after-headers"
	// Truncate promises Size (1024) bytes more than it sends.
	Truncate Kind = "truncate"
	// HugeHeaders adds Size (1 MiB) bytes in Count (16) header fields.
	HugeHeaders Kind = "huge-headers"
	// EarlyHints sends Count (100) interim 103 answers first.
	EarlyHints Kind = "early-hints"
	// Challenge adds Set-Cookie, WWW-Authenticate and Proxy-Authenticate.
	Challenge Kind = "challenge"
	// AddHeader adds the field Name: Value.
	AddHeader Kind = "add-header"
	// ContentType replaces the Content-Type by Value (text/plain).
	ContentType Kind = "content-type"
	// Gzip encodes the body although nobody asked.
	Gzip Kind = "gzip"
	// Trailers ends the body with trailer fields: Set-Cookie, WWW-Authenticate
	// and the reflected credential.
	Trailers Kind = "trailers"
	// ReflectBody answers with the credential in a JSON body.
	ReflectBody Kind = "reflect-body"
	// ReflectHeader adds the credential in the header field Name (ETag).
	ReflectHeader Kind = "reflect-header"
	// ReflectLate answers with a chunked body that has the credential after Size
	// (256 KiB) bytes, torn in two by a flush.
	ReflectLate Kind = "reflect-late"
)

// Form is how a credential is reflected.
type Form string

// The forms of reflection. Of a request without an Authorization header (one to
// the token endpoint, say) the body is reflected instead, in any form.
const (
	FormVerbatim Form = ""        // the value of Authorization, scheme included
	FormBare     Form = "bare"    // what follows the scheme
	FormDecoded  Form = "decoded" // Basic: the password alone; otherwise as FormBare
	FormBase64   Form = "base64"  // the bare credential in (another) base64
	FormURL      Form = "url"     // the bare credential, percent-encoded
)

// Fault is misbehaviour to come. Which fields mean something, and their
// defaults, is said at each [Kind].
type Fault struct {
	Kind Kind

	// Origin, Method and PathPrefix select requests; empty selects all. The
	// prefix is compared with the raw request target, and with the path as Jira
	// reads it below its base path ("/rest/api/3/issue"), or below the origin on
	// the authorization server.
	Origin     Origin
	Method     string
	PathPrefix string
	// Times is how many requests it hits before it is spent; 0 means that it
	// stays until cleared.
	Times int
	// AfterWork has the request carried out before its answer is replaced.
	AfterWork bool

	Delay       time.Duration
	Status      int
	Size, Count int
	Location    string // default https://evil.example/rest/api/3/myself
	Name, Value string
	Reason      string
	Form        Form
}

// faults are the faults that wait for requests.
type faults struct {
	mu     sync.Mutex
	active []*Fault
}

// Fault arms a fault and returns what disarms it. Where several faults fit a
// request each of them counts it: delays add up, the first to replace the answer
// wins, and what spoils the answer spoils it in the order of arming.
func (s *Sim) Fault(f Fault) (clear func()) {
	armed := &f
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = append(s.faults.active, armed)
	return func() {
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		s.faults.remove(armed)
	}
}

// ClearFaults disarms all faults; requests under way keep theirs.
func (s *Sim) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = nil
}

func (fs *faults) remove(f *Fault) {
	kept := fs.active[:0:0]
	for _, a := range fs.active {
		if a != f {
			kept = append(kept, a)
		}
	}
	fs.active = kept
}

// take returns the faults for a request, and spends them.
func (fs *faults) take(o Origin, method, target, path string) []Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var out []Fault
	for _, f := range fs.active {
		if f.Origin != "" && f.Origin != o || f.Method != "" && f.Method != method {
			continue
		}
		if !strings.HasPrefix(target, f.PathPrefix) && !strings.HasPrefix(path, f.PathPrefix) {
			continue
		}
		out = append(out, *f)
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				fs.remove(f)
			}
		}
	}
	return out
}
