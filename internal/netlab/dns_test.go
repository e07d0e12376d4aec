package netlab

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func serveDNS(t *testing.T, answer func(DNSQuestion) DNSAnswer) *DNS {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := ServeDNS(conn, answer)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func lookup(t *testing.T, d *DNS, network, host string) ([]string, error) {
	t.Helper()
	addrs, err := d.Resolver(nil).LookupNetIP(t.Context(), network, host)
	var texts []string
	for _, a := range addrs {
		texts = append(texts, a.Unmap().String())
	}
	slices.Sort(texts)
	return texts, err
}

// The name changes its address between the check and the use.
func TestRebinding(t *testing.T) {
	d := serveDNS(t, InTurn(Addresses("104.192.141.1"), Addresses("169.254.169.254", "::1")))
	for i, want := range [][]string{{"104.192.141.1"}, {"169.254.169.254", "::1"}, {"169.254.169.254", "::1"}} {
		if got, err := lookup(t, d, "ip", "Jira.Acme.example."); err != nil || !slices.Equal(got, want) {
			t.Errorf("lookup %d: %v, %v; want %v", i+1, got, err, want)
		}
	}
	if got, err := lookup(t, d, "ip4", "other.acme.example."); err != nil || !slices.Equal(got, []string{"104.192.141.1"}) {
		t.Errorf("another name is at its own beginning: %v, %v", got, err)
	}
	count := map[DNSQuestion]int{}
	for _, q := range d.Questions() {
		count[q]++
	}
	want := map[DNSQuestion]int{{"jira.acme.example", dnsmessage.TypeA}: 3, {"jira.acme.example", dnsmessage.TypeAAAA}: 3, {"other.acme.example", dnsmessage.TypeA}: 1}
	for q, n := range want {
		if count[q] != n {
			t.Errorf("%v was asked %d times, want %d", q, count[q], n)
		}
	}
}

func TestDNSAnswers(t *testing.T) {
	many := DNSAnswer{}
	for i := range 100 {
		many.Addrs = append(many.Addrs, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	tests := []struct {
		name   string
		answer DNSAnswer
		addrs  int
		check  func(*net.DNSError) bool
	}{
		{"no such name", DNSAnswer{RCode: dnsmessage.RCodeNameError}, 0, func(e *net.DNSError) bool { return e.IsNotFound }},
		{"a name without addresses", DNSAnswer{}, 0, func(e *net.DNSError) bool { return e.IsNotFound }},
		{"addresses of the other family", Addresses("2600::9"), 0, func(e *net.DNSError) bool { return e.IsNotFound }},
		{"broken server", DNSAnswer{RCode: dnsmessage.RCodeServerFailure}, 0, func(e *net.DNSError) bool { return e.IsTemporary }},
		{"more than fits", many, maxDNSAddrs, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := serveDNS(t, InTurn(test.answer))
			got, err := lookup(t, d, "ip4", "jira.acme.example.")
			failed, isDNS := errors.AsType[*net.DNSError](err)
			if len(got) != test.addrs || isDNS != (test.check != nil) || isDNS && !test.check(failed) {
				t.Errorf("%v, %#v", got, err)
			}
		})
	}
}

// A dropped question gets no reply: the next thing that comes is the next one's.
func TestDNSSilence(t *testing.T) {
	d := serveDNS(t, InTurn(DNSAnswer{Drop: true}, Addresses("10.0.0.9")))
	conn, err := net.Dial("udp", d.conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for id := range uint16(2) {
		if _, err := conn.Write(query(t, id, dnsmessage.TypeA)); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 512)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	var reply dnsmessage.Message
	if err := reply.Unpack(b[:n]); err != nil || reply.ID != 1 {
		t.Errorf("reply %+v, %v; want the second question's", reply, err)
	}
	if got := len(d.Questions()); got != 2 {
		t.Errorf("%d questions", got)
	}
}

func query(t testing.TB, id uint16, kind dnsmessage.Type) []byte {
	t.Helper()
	packed, err := (&dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("jira.acme.example."), Type: kind, Class: dnsmessage.ClassINET}},
	}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// FuzzDNSReply: a reply is well-formed, and to that query.
func FuzzDNSReply(f *testing.F) {
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeTXT} {
		query := query(f, 7, kind)
		f.Add(query)
		f.Add(query[:len(query)-1])
	}
	f.Fuzz(func(t *testing.T, query []byte) {
		d := &DNS{answer: func(DNSQuestion) DNSAnswer { return Addresses("10.0.0.9", "2600::9") }}
		packed := d.reply(query)
		if packed == nil {
			return
		}
		var asked, reply dnsmessage.Message
		if err := reply.Unpack(packed); err != nil {
			t.Fatal(err)
		}
		var parser dnsmessage.Parser
		header, err := parser.Start(query)
		if err != nil {
			t.Fatal(err)
		}
		if asked.Questions, err = parser.AllQuestions(); err != nil {
			t.Fatal(err)
		}
		if !reply.Response || reply.ID != header.ID || !slices.Equal(reply.Questions, asked.Questions) {
			t.Errorf("%x was answered %+v", query, reply)
		}
		for _, a := range reply.Answers {
			if a.Header.Type != asked.Questions[0].Type || a.Header.Name != asked.Questions[0].Name {
				t.Errorf("%+v answers %+v", a, asked.Questions)
			}
		}
	})
}
