package public_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"jiragate/gateway/admin/public"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/egress/publication"
	"jiragate/gateway/egress/register"
	"jiragate/policy"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

var (
	first  = netip.MustParseAddr("52.54.159.237")
	second = netip.MustParseAddr("52.73.143.252")
	third  = netip.MustParseAddr("54.144.10.21")
	six    = netip.MustParseAddr("2a05:d018::1")
	old    = netip.MustParseAddr("54.90.200.7")
)

// gateway is what the page is made of, with a clock that stands still until a test
// moves it.
type gateway struct {
	mu         sync.Mutex
	now        time.Time
	document   publication.Document
	signers    []note.Signer
	verifiers  []string
	pem        []byte
	checkpoint []byte

	documents, signatures                          int // how often they were asked for
	failing, signFailing, keyFailing, pointFailing error
	panicking                                      bool
}

// pinned is the US environment while it gets a third address: one is announced, one is
// retired.
func pinned() *gateway {
	g := &gateway{now: at("2026-11-27T06:30:00Z")}
	g.document = publication.Document{
		Region:    "us",
		SyncToken: "1795761000",
		Entries: []register.Entry{
			{Address: six, From: at("2026-06-01T00:00:00Z")},
			{Address: second, From: at("2024-03-01T00:00:00Z"), Until: at("2027-03-31T22:00:00Z")},
			{Address: old, From: at("2021-05-04T00:00:00Z"), Until: at("2024-04-01T00:00:00Z")},
			{Address: third, From: at("2026-12-15T09:00:00Z")},
			{Address: first, From: at("2021-05-04T00:00:00Z")},
		},
		History: []register.Change{
			{Announced: at("2021-05-04T00:00:00Z"), Address: first, Action: register.ActionUse, Effective: at("2021-05-04T00:00:00Z")},
			{Announced: at("2021-05-04T00:00:00Z"), Address: old, Action: register.ActionUse, Effective: at("2021-05-04T00:00:00Z")},
			{Announced: at("2024-01-15T10:00:00Z"), Address: second, Action: register.ActionUse, Effective: at("2024-03-01T00:00:00Z")},
			{Announced: at("2024-01-15T10:00:00Z"), Address: old, Action: register.ActionRetire, Effective: at("2024-04-01T00:00:00Z")},
			{Announced: at("2026-04-20T08:00:00Z"), Address: six, Action: register.ActionUse, Effective: at("2026-06-01T00:00:00Z")},
			{Announced: at("2026-11-02T14:30:00Z"), Address: third, Action: register.ActionUse, Effective: at("2026-12-15T09:00:00Z")},
			{Announced: at("2026-11-20T09:00:00Z"), Address: second, Action: register.ActionRetire, Effective: at("2027-03-31T22:00:00Z")},
		},
		Policy: policy.Default(),
	}
	g.rotate(1)
	g.attest(1204711)
	return g
}

// unpinned is a region without an address, a key or a log.
func unpinned() *gateway {
	return &gateway{now: at("2026-11-27T06:30:00Z"), document: publication.Document{Region: "eu", SyncToken: "0", Policy: policy.Default()}}
}

// rotate makes a key from a seed, which signs from now on.
func (g *gateway) rotate(seed byte) {
	private, verifier, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 64)), "jiragate/us")
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		panic(err)
	}
	key, err := base64.StdEncoding.DecodeString(verifier[strings.LastIndex(verifier, "+")+1:])
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(key[1:]))
	if err != nil {
		panic(err)
	}
	g.signers, g.verifiers = append(g.signers, signer), append(g.verifiers, verifier)
	g.pem = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// attest makes a checkpoint of a log with that many records.
func (g *gateway) attest(size uint64) {
	text := checkpoint.Checkpoint{Origin: "jiragate/us", Size: size, Root: [32]byte{1, 2, 3}}.Text()
	signed, err := note.Sign(&note.Note{Text: string(text)}, g.signers[len(g.signers)-1])
	if err != nil {
		panic(err)
	}
	g.checkpoint = signed
}

// locked runs f while nothing else looks at g.
func (g *gateway) locked(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (g *gateway) advance(d time.Duration) { g.locked(func() { g.now = g.now.Add(d) }) }

func (g *gateway) options(base string) public.Options {
	o := public.Options{
		Base:    base,
		Version: "1.2.3",
		Now: func() time.Time {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.now
		},
		Document: func() publication.Document {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.documents++
			if g.panicking {
				panic("no register")
			}
			d := g.document
			if d.Created = g.now; g.failing != nil {
				d.Policy = nil // which can't be published
			}
			return d
		},
		Checkpoint: func() ([]byte, time.Time, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.checkpoint, at("2026-11-27T06:29:58Z"), g.pointFailing
		},
	}
	if len(g.signers) == 0 {
		return o
	}
	o.Sign = func(text []byte) ([]byte, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.signatures++; g.signFailing != nil {
			return nil, g.signFailing
		}
		return note.Sign(&note.Note{Text: string(text)}, g.signers[len(g.signers)-1])
	}
	o.Key = func() ([]string, []byte, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.verifiers, g.pem, g.keyFailing
	}
	return o
}

func (g *gateway) handler(t testing.TB, base string) *public.Handler {
	t.Helper()
	h, err := public.New(g.options(base))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// read is the body of an answer that has the status 200.
func read(t testing.TB, h http.Handler, target string) string {
	t.Helper()
	answer := ask(h, http.MethodGet, target)
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, %v", target, answer.StatusCode, err)
	}
	return string(b)
}

func parsed(t testing.TB, page string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// elements returns the elements of one kind below n; of every kind for 0.
func elements(n *html.Node, kind atom.Atom) (list []*html.Node) {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && (kind == 0 || c.DataAtom == kind) {
			list = append(list, c)
		}
	}
	return list
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// rows returns the cells of the table whose caption begins so.
func rows(t testing.TB, page, caption string) (list [][]string) {
	t.Helper()
	for _, table := range elements(parsed(t, page), atom.Table) {
		if !strings.HasPrefix(text(elements(table, atom.Caption)[0]), caption) {
			continue
		}
		for _, tr := range elements(table, atom.Tr)[1:] {
			var cells []string
			for c := range tr.ChildNodes() {
				if c.DataAtom == atom.Th || c.DataAtom == atom.Td {
					cells = append(cells, text(c))
				}
			}
			list = append(list, cells)
		}
		return list
	}
	t.Fatalf("no table %q", caption)
	return nil
}

var errOut = errors.New("out of order")
