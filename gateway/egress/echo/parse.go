package echo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// addressNames are the members of a JSON object that hold the caller's address:
// ip (ipify, ipinfo.io, ifconfig.co), origin (httpbin), query (ip-api.com),
// ip_addr (ifconfig.me), address and client_ip (services of one's own). Names
// are compared exactly.
var addressNames = []string{"ip", "origin", "address", "client_ip", "query", "ip_addr"}

// white is what may surround an answer, and what JSON calls white space
// (RFC 8259, section 2).
const white = " \t\r\n"

// Parse reads the answer of an echo service: the value of its Content-Type
// header, which may be empty, and its body of at most 64 KiB. It knows
//
//   - one address as text, with white space around it;
//   - a JSON string that is an address, or a JSON object with an address under
//     ip, origin, address, client_ip, query or ip_addr, whatever else it has;
//   - lines of key=value, one of them ip=, as Cloudflare's /cdn-cgi/trace.
//
// JSON is also recognised where it is called text. Where an answer names an
// address more than once, it must be the same each time. A list is refused even
// so: it says that the request was forwarded on its way, and who of those it
// names was the caller would be a guess. So are addresses that cannot be a
// source: unspecified, multicast, broadcast, with a zone.
//
// An IPv4 address inside an IPv6 one is returned as the IPv4 address. Errors
// quote no more than the beginning of what they are about, escaped.
func Parse(contentType string, body []byte) (netip.Addr, error) {
	if len(body) > maxBody {
		return netip.Addr{}, fmt.Errorf("longer than %d bytes, so not just an address", maxBody)
	}
	text := strings.Trim(string(body), white)
	if text == "" {
		return netip.Addr{}, errors.New("empty")
	}
	form, err := formOf(contentType)
	if err != nil {
		return netip.Addr{}, err
	}
	switch {
	case text[0] == '<':
		return netip.Addr{}, fmt.Errorf("a page of HTML or XML, as of a captive portal or a block page: %s", snippet(text))
	case form == formJSON || text[0] == '{' || text[0] == '"':
		return parseJSON(text)
	case strings.Contains(text, "="):
		return parseTrace(text)
	}
	return parseOne(text)
}

// form is what a content type says of the body.
type form int

const (
	formText form = iota
	formJSON
)

// formOf sorts content types (RFC 9110, section 8.3). text/html is text here:
// some services say so of a bare address.
func formOf(contentType string) (form, error) {
	if contentType == "" {
		return formText, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter):
	case media == "application/json" || strings.HasSuffix(media, "+json"): // RFC 6839, section 3.1
		return formJSON, nil
	case strings.HasPrefix(media, "text/"):
		return formText, nil
	}
	return 0, fmt.Errorf("its content type %s is neither text nor JSON", snippet(contentType))
}

// parseJSON reads a JSON text that is a string or an object.
func parseJSON(text string) (netip.Addr, error) {
	if !json.Valid([]byte(text)) {
		return netip.Addr{}, fmt.Errorf("not valid JSON: %s", snippet(text))
	}
	switch text[0] {
	case '"':
		return parseQuoted(text)
	case '{':
		return parseObject(text)
	}
	return netip.Addr{}, fmt.Errorf("JSON, but neither an object nor a string: %s", snippet(text))
}

// parseObject goes through the members one by one, since decoding into a map or
// a struct would silently keep the last of two members of one name.
func parseObject(text string) (netip.Addr, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return netip.Addr{}, errors.New("not a JSON object")
	}
	var s single
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return netip.Addr{}, errors.New("not a JSON object")
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return netip.Addr{}, errors.New("not a JSON object")
		}
		name, ok := token.(string)
		if !ok || !slices.Contains(addressNames, name) {
			continue
		}
		addr, err := parseQuoted(string(bytes.Trim(value, white)))
		if err != nil {
			return netip.Addr{}, fmt.Errorf("member %s: %w", name, err)
		}
		if err := s.add(addr); err != nil {
			return netip.Addr{}, err
		}
	}
	return s.get("a JSON object without any of " + strings.Join(addressNames, ", "))
}

// parseQuoted reads a JSON string as it is written. No address needs an escape,
// so none is undone.
func parseQuoted(text string) (netip.Addr, error) {
	if len(text) < 2 || text[0] != '"' {
		return netip.Addr{}, fmt.Errorf("not a string: %s", snippet(text))
	}
	return parseOne(text[1 : len(text)-1])
}

// parseTrace reads lines of key=value. Every line must be one.
func parseTrace(text string) (netip.Addr, error) {
	var s single
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found || key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return netip.Addr{}, fmt.Errorf("neither an address nor lines of key=value: %s", snippet(line))
		}
		if key != "ip" {
			continue
		}
		addr, err := parseOne(value)
		if err != nil {
			return netip.Addr{}, fmt.Errorf("line ip: %w", err)
		}
		if err := s.add(addr); err != nil {
			return netip.Addr{}, err
		}
	}
	return s.get("lines of key=value without ip=")
}

// parseOne reads one address that a request may have come from.
func parseOne(text string) (netip.Addr, error) {
	if strings.Contains(text, ",") {
		return netip.Addr{}, fmt.Errorf("a list, so the request was forwarded on its way: %s", snippet(text))
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("not an address: %s", snippet(text))
	}
	if addr.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("an address with a zone: %s", snippet(text))
	}
	addr = addr.Unmap()
	if addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.Addr{}, fmt.Errorf("%s, which no request can come from", addr)
	}
	return addr, nil
}

// single is an address that an answer may repeat, but not change.
type single struct{ addr netip.Addr }

func (s *single) add(addr netip.Addr) error {
	if s.addr.IsValid() && s.addr != addr {
		return fmt.Errorf("two addresses, %s and %s", s.addr, addr)
	}
	s.addr = addr
	return nil
}

func (s *single) get(otherwise string) (netip.Addr, error) {
	if !s.addr.IsValid() {
		return netip.Addr{}, errors.New(otherwise)
	}
	return s.addr, nil
}

// snippet quotes the beginning of s in printable ASCII.
func snippet(s string) string {
	if len(s) > maxSnippet {
		return strconv.QuoteToASCII(s[:maxSnippet]) + "…"
	}
	return strconv.QuoteToASCII(s)
}
