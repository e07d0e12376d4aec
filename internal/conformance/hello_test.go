package conformance

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// hello is a ClientHello as no TLS library would send it (RFC 8446 section 4.1.2).
type hello struct {
	version     uint16 // 0x0304 is offered by extension, the others by their field
	suites      []uint16
	compression []byte // none means null
}

// Names of what hellos say.
const (
	ssl3, tls10, tls11, tls12, tls13 uint16 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304

	fallbackSCSV      = 0x5600 // RFC 7507
	renegotiationSCSV = 0x00ff // RFC 5746

	extensionHeartbeat      = 15
	extensionExtendedMaster = 23
	extensionRenegotiation  = 0xff01

	alertInappropriateFallback = 86
)

// vector is b with its length before it, in so many bytes.
func vector(lengthBytes int, b []byte) []byte {
	length := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
	return append(length[4-lengthBytes:], b...)
}

func words(values ...uint16) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func extension(id uint16, content []byte) []byte { return append(words(id), vector(2, content)...) }

// bytes is the hello in records.
func (h hello) bytes() []byte {
	extensions := [][]byte{
		extension(10, vector(2, words(29, 23, 24, 25))), // groups: X25519, P-256, P-384, P-521
		extension(11, vector(1, []byte{0})),             // points: uncompressed
		extension(13, vector(2, words(0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0401, 0x0501, 0x0203, 0x0201))),
		extension(extensionHeartbeat, []byte{1}),
		extension(extensionExtendedMaster, nil),
		extension(extensionRenegotiation, []byte{0}),
	}
	field := h.version
	if h.version == tls13 {
		field = tls12
		// Without a key share the server asks for one, and says which suite it chose.
		extensions = append(extensions, extension(43, vector(1, words(tls13))), extension(51, vector(2, nil)))
	}
	if h.compression == nil {
		h.compression = []byte{0}
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	body := bytes.Join([][]byte{
		words(field), random, vector(1, nil), vector(2, words(h.suites...)), vector(1, h.compression), vector(2, bytes.Join(extensions, nil)),
	}, nil)
	message := append([]byte{1}, vector(3, body)...)
	var records []byte
	for len(message) > 0 {
		n := min(len(message), 16<<10)
		records = append(append(records, 22, 3, 1), vector(2, message[:n])...)
		message = message[n:]
	}
	return records
}

// serverHello is what a server chose.
type serverHello struct {
	version, suite uint16
	random         []byte
	compression    byte
	extensions     []uint16
}

// alert is a server's refusal; -1 where it closed, or said in plain text what it
// thinks of the message.
type alert int

func (a alert) Error() string { return fmt.Sprintf("TLS alert %d", int(a)) }

// ask sends message to a server and reads its hello. The error is an alert where the
// server refused.
func ask(t *testing.T, address string, message []byte) (serverHello, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write(message); err != nil {
		t.Fatal(err)
	}
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatalf("the server neither answers nor closes: %v", err)
		}
		return serverHello{}, alert(-1)
	}
	if head[0] != 21 && head[0] != 22 {
		return serverHello{}, alert(-1) // plain text
	}
	record := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(conn, record); err != nil {
		t.Fatal(err)
	}
	switch {
	case head[0] == 21 && len(record) == 2:
		return serverHello{}, alert(record[1])
	case head[0] == 22 && len(record) > 4 && record[0] == 2:
		return parseServerHello(record[4:])
	}
	t.Fatalf("the server's first record is of type %d, and %d bytes", head[0], len(record))
	return serverHello{}, nil
}

func parseServerHello(b []byte) (h serverHello, err error) {
	take := func(n int) []byte {
		if n > len(b) {
			err = errors.New("a ServerHello that ends early")
			return make([]byte, n)
		}
		var taken []byte
		taken, b = b[:n], b[n:]
		return taken
	}
	word := func() uint16 { return binary.BigEndian.Uint16(take(2)) }
	h.version, h.random = word(), take(32)
	take(int(take(1)[0])) // session
	h.suite, h.compression = word(), take(1)[0]
	word() // length of the extensions
	for len(b) > 0 && err == nil {
		id := word()
		content := take(int(word()))
		if id == 43 && len(content) == 2 {
			h.version = binary.BigEndian.Uint16(content)
		}
		h.extensions = append(h.extensions, id)
	}
	return h, err
}

// accepted are the cipher suites that a server accepts of all that a hello can name.
func accepted(t *testing.T, address string, version uint16) []uint16 {
	t.Helper()
	var found []uint16
	const batch = 1 << 12
	for first := 0; first < 1<<16; first += batch {
		var offered []uint16
		for n := first; n < first+batch; n++ {
			if n != fallbackSCSV && n != renegotiationSCSV {
				offered = append(offered, uint16(n))
			}
		}
		for {
			chosen, err := ask(t, address, hello{version: version, suites: offered}.bytes())
			if err != nil {
				var refused alert
				if !errors.As(err, &refused) {
					t.Fatal(err)
				}
				break
			}
			if chosen.version != version {
				t.Fatalf("version %#x was answered with %#x", version, chosen.version)
			}
			var others []uint16
			for _, suite := range offered {
				if suite != chosen.suite {
					others = append(others, suite)
				}
			}
			if len(others) == len(offered) {
				t.Fatalf("suite %#x was chosen, but not offered", chosen.suite)
			}
			found, offered = append(found, chosen.suite), others
		}
	}
	return found
}
