package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
)

// About says which report a signature is of.
type About struct {
	Connection string // id
	Month      string // "2026-11"
}

// The seal is an HTML comment behind the page. The page ends in pageEnd, so that the
// comment is no part of it, and holds no sealBegin: text in a page has its "<"
// escaped.
const (
	pageEnd   = "</html>\n"
	sealBegin = "<!-- jiragate-signature\n"
	sealEnd   = "-->\n"
	maxSeal   = 64 << 10 // bytes of a note
)

var (
	hashForm       = regexp.MustCompile(`^[0-9a-f]{64}$`)
	signedTextForm = regexp.MustCompile(`^jiragate audit report\nsha256 ([0-9a-f]{64})\nconnection (\S+) (\S+)\n$`)
)

// SignedText is the text that is signed for a page: three lines, the last of them
// "connection acme 2026-11". The hash is SHA-256 in lower case hexadecimal of all
// bytes of the page.
func SignedText(about About, sha256Hex string) ([]byte, error) {
	if !nameForm.MatchString(about.Connection) {
		return nil, fmt.Errorf("%s is no name of a connection", quoted(about.Connection))
	}
	if _, _, err := Month(about.Month); err != nil {
		return nil, err
	}
	if !hashForm.MatchString(sha256Hex) {
		return nil, errors.New("the hash is not 64 lower case hexadecimal digits")
	}
	return fmt.Appendf(nil, "jiragate audit report\nsha256 %s\nconnection %s %s\n", sha256Hex, about.Connection, about.Month), nil
}

// Seal returns the page with a signature behind it: a comment that holds the signed
// note (c2sp.org/signed-note) of [SignedText]. sign makes the note of that text. The
// page is one that [Report.WriteHTML] has written; one that is sealed is refused.
func Seal(page []byte, about About, sign func(text []byte) (note []byte, err error)) ([]byte, error) {
	if !bytes.HasSuffix(page, []byte(pageEnd)) || bytes.Contains(page, []byte(sealBegin)) {
		return nil, errors.New("seal an audit report: it is no page of a report, or sealed already")
	}
	text, err := SignedText(about, hashOf(page))
	if err != nil {
		return nil, fmt.Errorf("seal an audit report: %w", err)
	}
	note, err := sign(text)
	if err != nil {
		return nil, fmt.Errorf("seal an audit report: %w", err)
	}
	switch {
	case !bytes.HasPrefix(note, append(text, '\n')):
		return nil, errors.New("seal an audit report: what was signed is another text")
	case !fitsComment(note):
		return nil, errors.New("seal an audit report: the signed note does not fit into a comment")
	}
	return bytes.Join([][]byte{page, []byte(sealBegin), note, []byte(sealEnd)}, nil), nil
}

// fitsComment tells whether an HTML comment of the note ends where it should
// (WHATWG HTML, 13.1.6).
func fitsComment(note []byte) bool {
	return len(note) <= maxSeal && bytes.HasSuffix(note, []byte("\n")) && !bytes.Contains(note, []byte("--!>")) &&
		!bytes.Contains(note, []byte("-->")) && !bytes.Contains(note, []byte("<!--"))
}

// Open checks a page that [Seal] has made, and returns the page without its seal and
// what it is about. verify returns the text of a note that is signed by a key that
// one trusts, or an error. Everything is checked: that the page was not changed, that
// there is one seal, and nothing behind it. Whether it is the report that one has
// asked for is for the caller to see, from about.
func Open(sealed []byte, verify func(note []byte) (text []byte, err error)) (page []byte, about About, err error) {
	fail := func(why string) ([]byte, About, error) {
		return nil, About{}, errors.New("open a sealed audit report: " + why)
	}
	at := bytes.LastIndex(sealed, []byte(sealBegin))
	if at < 0 {
		return fail("it has no signature")
	}
	page = sealed[:at:at]
	note, ended := bytes.CutSuffix(sealed[at+len(sealBegin):], []byte(sealEnd))
	switch {
	case !bytes.HasSuffix(page, []byte(pageEnd)):
		return fail("the signature does not stand behind the page")
	case bytes.Contains(page, []byte(sealBegin)):
		return fail("it has more than one signature")
	case !ended || !fitsComment(note):
		return fail("the signature does not end, or something stands behind it")
	}
	text, err := verify(note)
	if err != nil {
		return nil, About{}, fmt.Errorf("open a sealed audit report: %w", err)
	}
	m := signedTextForm.FindSubmatch(text)
	if m == nil {
		return fail("the signed text is not that of an audit report")
	}
	about = About{string(m[2]), string(m[3])}
	if want, err := SignedText(about, string(m[1])); err != nil || !bytes.Equal(text, want) {
		return fail("the signed text is not that of an audit report")
	}
	if string(m[1]) != hashOf(page) {
		return fail("the page is not the one that was signed: it was changed")
	}
	return page, about, nil
}

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
