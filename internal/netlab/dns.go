package netlab

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// DNSQuestion is what a resolver asked.
type DNSQuestion struct {
	Name string // in lower case, without the dot at the end
	Type dnsmessage.Type
}

// DNSAnswer is what it is told. The zero value says that the name exists and has
// no address.
type DNSAnswer struct {
	Addrs []netip.Addr     // those of the question's family are sent, up to 32
	TTL   uint32           // seconds
	RCode dnsmessage.RCode // such as dnsmessage.RCodeNameError
	Drop  bool             // send nothing; Go's resolver then waits 5 s for each attempt, even if nobody waits for it
}

// Addresses is the answer that a name has these addresses, not to be kept.
func Addresses(addrs ...string) DNSAnswer {
	var a DNSAnswer
	for _, text := range addrs {
		a.Addrs = append(a.Addrs, netip.MustParseAddr(text))
	}
	return a
}

// InTurn answers the first question for a name and type with the first answer,
// of which there must be one, the second with the second, and any more with the
// last. A lookup of both families asks one question of each type.
func InTurn(answers ...DNSAnswer) func(DNSQuestion) DNSAnswer {
	var mu sync.Mutex
	asked := map[DNSQuestion]int{}
	return func(q DNSQuestion) DNSAnswer {
		mu.Lock()
		defer mu.Unlock()
		n := asked[q]
		asked[q] = min(n+1, len(answers)-1)
		return answers[n]
	}
}

// Bounds of a name server.
const (
	maxDNSQuery  = 4 << 10 // bytes
	maxDNSAddrs  = 32      // of one answer, so that it fits into one datagram
	maxQuestions = 1 << 14 // that are kept
)

// DNS is a running name server. It is safe for concurrent use.
type DNS struct {
	conn   net.PacketConn
	answer func(DNSQuestion) DNSAnswer
	done   chan struct{}

	mu        sync.Mutex
	questions []DNSQuestion
}

// ServeDNS runs a name server on conn, a UDP socket, that answers as answer says,
// which is called for one question at a time. The caller closes it. A host that
// starts processes ([Host.SetResolvers]) asks on port 53.
func ServeDNS(conn net.PacketConn, answer func(DNSQuestion) DNSAnswer) *DNS {
	d := &DNS{conn: conn, answer: answer, done: make(chan struct{})}
	go d.serve()
	return d
}

// Questions returns what was asked so far, oldest first. Go's resolver may append
// the machine's search domains to a name that does not exist.
func (d *DNS) Questions() []DNSQuestion {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.questions)
}

// Resolver returns a resolver that asks this server alone, through dial: the
// DialContext of a [Host] that the server's address can be reached from, or nil
// for the machine's own network. Names in the machine's /etc/hosts are answered
// from there.
func (d *DNS) Resolver(dial DialFunc) *net.Resolver {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, "udp", d.conn.LocalAddr().String())
	}}
}

// Close closes the socket and waits until the server has ended.
func (d *DNS) Close() error {
	err := d.conn.Close()
	<-d.done
	return err
}

func (d *DNS) serve() {
	defer close(d.done)
	query := make([]byte, maxDNSQuery)
	for {
		n, from, err := d.conn.ReadFrom(query)
		if err != nil {
			return
		}
		if reply := d.reply(query[:n]); reply != nil {
			_, _ = d.conn.WriteTo(reply, from)
		}
	}
}

// reply returns the answer to a query of one question (RFC 1035, section 4), or
// nil if there is none to give.
func (d *DNS) reply(query []byte) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil || header.Response || header.OpCode != 0 {
		return nil
	}
	questions, err := parser.AllQuestions()
	if err != nil || len(questions) != 1 {
		return nil
	}
	asked := questions[0]
	q := DNSQuestion{Name: strings.ToLower(strings.TrimSuffix(asked.Name.String(), ".")), Type: asked.Type}
	d.mu.Lock()
	if len(d.questions) < maxQuestions {
		d.questions = append(d.questions, q)
	}
	d.mu.Unlock()
	a := d.answer(q)
	if a.Drop {
		return nil
	}
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: header.ID, Response: true, Authoritative: true, RCode: a.RCode,
			RecursionDesired: header.RecursionDesired, RecursionAvailable: true,
		},
		Questions: questions,
	}
	for _, addr := range a.Addrs {
		if body := resource(addr, asked.Type); body != nil && len(message.Answers) < maxDNSAddrs {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: asked.Name, Class: dnsmessage.ClassINET, TTL: a.TTL},
				Body:   body,
			})
		}
	}
	packed, err := message.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// resource returns addr as a record of the type asked for, nil if it has none.
func resource(addr netip.Addr, kind dnsmessage.Type) dnsmessage.ResourceBody {
	switch {
	case kind == dnsmessage.TypeA && addr.Is4():
		return &dnsmessage.AResource{A: addr.As4()}
	case kind == dnsmessage.TypeAAAA && addr.Is6():
		return &dnsmessage.AAAAResource{AAAA: addr.As16()}
	}
	return nil
}
