package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// head is the head of a request.
type head struct {
	method, target string
	url            *url.URL // of the target
	minor          int      // of HTTP/1
	host           string
	fields         []field // all, Host among them
	expects        bool    // 100-continue

	connect, chunked bool
	length           int64
}

// field is a line of a head, by its canonical name.
type field struct{ name, value string }

// parseHead checks a head, which ends in CRLF CRLF, and finds its framing. Its fields
// are put into fields, which may be used again once they are done with.
func parseHead(text string, fields []field) (h head, _ *framingFault) {
	line, rest := cutLine(text)
	var fault *framingFault
	if h, fault = parseRequestLine(line); fault != nil {
		return head{}, fault
	}
	h.fields = fields[:0]
	var hosts, lengths, codings int
	for len(rest) > 2 {
		line, rest = cutLine(rest)
		if len(h.fields) == maxHeaderFields {
			return head{}, tooManyFields()
		}
		name, value, fault := parseField(line)
		if fault != nil {
			return head{}, fault
		}
		h.fields = append(h.fields, field{name, value})
		switch name {
		case "Host":
			hosts, h.host = hosts+1, value
		case "Content-Length":
			lengths++
			if h.length, fault = parseLength(value); fault != nil {
				return head{}, fault
			}
		case "Expect":
			if h.expects = isWord(value, "100-continue"); !h.expects {
				return head{}, malformed("the only expectation understood is 100-continue")
			}
		case "Trailer":
			if !harmlessTrailers(value) {
				return head{}, malformed("the Trailer field names a field that frames the message")
			}
		case "Transfer-Encoding":
			codings++
			if h.chunked = isWord(value, "chunked"); !h.chunked {
				return head{}, malformed("the only transfer coding understood is chunked")
			}
		}
	}
	switch {
	case hosts > 1:
		return head{}, malformed("the request has more than one Host field")
	case hosts == 0 && h.connect && h.minor == 0:
		// Python's http.client connects so. The target names the host.
	case h.host == "" || !httpguts.ValidHostHeader(h.host):
		return head{}, malformed("the request has no valid Host field")
	case lengths > 1:
		return head{}, malformed("the request has more than one Content-Length field")
	case lengths > 0 && codings > 0:
		return head{}, malformed("the request has both Content-Length and Transfer-Encoding")
	case codings > 1:
		return head{}, malformed("the request has more than one Transfer-Encoding field")
	case codings > 0 && h.minor == 0:
		return head{}, malformed("HTTP/1.0 has no Transfer-Encoding")
	case h.connect && (h.chunked || h.length > 0):
		return head{}, malformed("a CONNECT request has no body")
	}
	if i := strings.Index(h.target, "://"); !h.connect && i > 0 && h.target[0] != '/' {
		authority, _, _ := strings.Cut(h.target[i+len("://"):], "/")
		authority, _, _ = strings.Cut(authority, "?")
		if !strings.EqualFold(authority, h.host) {
			return head{}, malformed("the Host field and the request target name different hosts")
		}
	}
	return h, nil
}

// isWord reports whether value is word, in letters of any case. It must be as long: to
// strings.EqualFold a Kelvin sign is a k, to no other reader of HTTP it is.
func isWord(value, word string) bool {
	return len(value) == len(word) && strings.EqualFold(value, word)
}

// cutLine cuts the first line off a head, in which each LF follows a CR: see advanceHead.
// A CR elsewhere is in no valid line.
func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

// harmlessTrailers reports whether a Trailer field names none of those that
// RFC 9110 section 6.5.1 forbids because they frame the message, which net/http
// would answer by itself.
func harmlessTrailers(value string) bool {
	for name := range strings.SplitSeq(value, ",") {
		switch strings.ToLower(strings.Trim(name, " \t")) {
		case "content-length", "transfer-encoding", "trailer":
			return false
		}
	}
	return true
}

// parseRequestLine reads "METHOD SP target SP HTTP/1.x" (RFC 9112 section 3).
func parseRequestLine(line string) (h head, _ *framingFault) {
	method, rest, ok := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	switch {
	case !ok || !ok2 || !httpguts.ValidHeaderFieldName(method):
		return head{}, malformed("the request line is not METHOD, target and version, separated by single spaces")
	case version == "HTTP/1.1":
		h.minor = 1
	case version != "HTTP/1.0":
		return head{}, malformed("the protocol version is neither HTTP/1.1 nor HTTP/1.0")
	}
	if len(target) > maxTargetBytes {
		return head{}, targetTooLong()
	}
	for i := range len(target) {
		if target[i] <= ' ' || target[i] >= 0x7f {
			return head{}, malformed("the request target has a control character, a space or a byte outside ASCII")
		}
	}
	h.method, h.target, h.connect = method, target, method == "CONNECT"
	// net/http answers these by itself, without a call record; so they are
	// found here first.
	var err error
	if h.connect {
		if h.url, err = url.ParseRequestURI("http://" + target); err != nil || strings.ContainsAny(target, "/?#@") {
			return head{}, malformed("the target of CONNECT is not host:port")
		}
		h.url.Scheme = "" // it has none
	} else if h.url, err = parseTarget(target); err != nil {
		if target != "*" {
			return head{}, malformed("the request target is not a valid URI")
		}
		h.url = &url.URL{Path: "*"}
	}
	return h, nil
}

// parseTarget is url.ParseRequestURI, with a short way for nearly every target: a path in
// which nothing is escaped or has to be, and its query.
func parseTarget(target string) (*url.URL, error) {
	path, query, asks := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") || asks && query == "" {
		return url.ParseRequestURI(target)
	}
	for i := range len(path) {
		if c := path[i]; c != '/' && c != '.' && !plain[c] {
			return url.ParseRequestURI(target)
		}
	}
	return &url.URL{Path: path, RawQuery: query}, nil
}

// parseField splits "name: value" (RFC 9112 section 5), and makes the name canonical.
// Leading white space,
// as of a folded line, and white space before the colon are refused.
func parseField(line string) (name, value string, _ *framingFault) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !httpguts.ValidHeaderFieldName(name) {
		return "", "", malformed("a header field has an invalid name")
	}
	value = strings.Trim(value, " \t")
	if !httpguts.ValidHeaderFieldValue(value) { // CR and LF are not
		return "", "", malformed("a header field has a control character in its value")
	}
	return http.CanonicalHeaderKey(name), value, nil
}

// parseLength reads a Content-Length: digits only, no list, no sign.
func parseLength(s string) (int64, *framingFault) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, malformed("Content-Length is not a number")
		}
	}
	n, err := strconv.ParseInt(s, 10, 63)
	if err != nil {
		return 0, malformed("Content-Length is not a number")
	}
	return n, nil
}
