package diagnosis

import (
	"bytes"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// page is what an HTML page says of itself. Text is lower case, with single spaces.
type page struct {
	title      string
	headings   []string // h1 and h2
	text       string   // the beginning of what is in the body
	cloudflare int      // the number of Cloudflare's error; 0: none
	address    string   // of the visitor, as Cloudflare's pages have it
}

// Bounds of what is kept of a page.
const (
	maxHeadings = 8
	maxText     = 2 << 10 // bytes, of text and of each heading
)

// The marks of Cloudflare's error pages.
const (
	cloudflareCode    = "cf-error-code"
	cloudflareAddress = "cf-footer-ip"
)

// readPage reads a page as far as it goes.
func readPage(body []byte) page {
	var p page
	var text strings.Builder
	inBody := false
	for z := html.NewTokenizer(bytes.NewReader(body)); ; {
		switch z.Next() {
		case html.ErrorToken:
			p.text = plain(text.String())
			return p
		case html.TextToken:
			if inBody && text.Len() < maxText {
				text.Write(z.Text())
				text.WriteByte(' ')
			}
		case html.StartTagToken:
			t := z.Token()
			switch {
			case t.Data == "body":
				inBody = true
			case t.Data == "title" && p.title == "":
				p.title = textUntil(z, t.Data)
			case t.Data == "script", t.Data == "style":
				_ = textUntil(z, t.Data)
			case attribute(t, "class") == cloudflareCode:
				p.cloudflare = number(textUntil(z, t.Data))
			case attribute(t, "id") == cloudflareAddress:
				p.address = textUntil(z, t.Data)
			case (t.Data == "h1" || t.Data == "h2") && len(p.headings) < maxHeadings:
				p.readHeading(z, t.Data)
			}
		}
	}
}

// readHeading reads a heading, in which Cloudflare has the number of its error.
func (p *page) readHeading(z *html.Tokenizer, name string) {
	var b strings.Builder
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.TextToken:
			if b.Len() < maxText {
				b.Write(z.Text())
			}
		case html.StartTagToken:
			if t := z.Token(); attribute(t, "class") == cloudflareCode {
				p.cloudflare = number(textUntil(z, t.Data))
			}
		case html.EndTagToken:
			if end, _ := z.TagName(); string(end) == name {
				p.headings = append(p.headings, plain(b.String()))
				return
			}
		}
	}
}

// textUntil returns the text up to the end tag of that name; "" if it is not there.
func textUntil(z *html.Tokenizer, name string) string {
	var b strings.Builder
	for {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.TextToken:
			if b.Len() < maxText {
				b.Write(z.Text())
			}
		case html.EndTagToken:
			if end, _ := z.TagName(); string(end) == name {
				return plain(b.String())
			}
		}
	}
}

func attribute(t html.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func plain(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

func number(s string) int {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// cloud reads the page of Atlassian's edge for a site that it cannot reach, as
// quoted in https://github.com/OctopusDeploy/Issues/issues/7463.
func (p page) cloud() Reason {
	if p.title == "atlassian cloud notifications - page unavailable" {
		return SiteUnavailable
	}
	return ""
}

// inFront recognises the refusals of what stands in front of a Data Center.
func (s said) inFront(status int, header http.Header) Reason {
	if status == http.StatusForbidden && fromCloudflare(header) {
		if reason := s.ofCloudflare(header); reason != "" {
			return reason
		}
	}
	switch p := s.page; {
	case status == http.StatusForbidden && p.title == "403 forbidden" &&
		(slices.Contains(p.headings, "403 forbidden") || slices.Contains(p.headings, "forbidden")):
		// nginx and what is made of it (load balancers of AWS, Azure's
		// Application Gateway), and Apache.
		return FirewallRefused
	case status == http.StatusForbidden && p.title == "error: the request could not be satisfied" && slices.Contains(p.headings, "403 error"):
		return FirewallRefused // CloudFront
	case p.title == "request rejected" && strings.HasPrefix(p.text, "the requested url was rejected. please consult with your administrator."):
		return FirewallRefused // F5; its status is up to the customer
	}
	return ""
}

func fromCloudflare(header http.Header) bool {
	return strings.EqualFold(header.Get("Server"), "cloudflare") || header.Get("Cf-Ray") != ""
}

// ofCloudflare reads Cloudflare's errors
// (https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/).
func (s said) ofCloudflare(header http.Header) Reason {
	code := s.cloudflare
	if code == 0 {
		code = s.page.cloudflare
	}
	switch code {
	case 1005, 1006, 1007, 1008, 1009, 1106:
		// The address, the network or the country that it is in.
		return IPRefused
	case 1010, 1012, 1020:
		return FirewallRefused
	}
	if code == 0 && (header.Get("Cf-Mitigated") == "challenge" || s.page.title == "attention required! | cloudflare") {
		return FirewallRefused
	}
	return ""
}

// SeenAddress returns the address from which the call arrived, where the page of
// an answer names it: Cloudflare's error pages do, Atlassian's answers do not. It
// is the word of whoever answered, for people to compare with the egress address.
func SeenAddress(body []byte) (netip.Addr, bool) {
	body = bytes.TrimSpace(body[:min(len(body), maxBody)])
	if len(body) == 0 || body[0] != '<' {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(readPage(body).address)
	if err != nil || a.Zone() != "" || !a.IsGlobalUnicast() {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}
