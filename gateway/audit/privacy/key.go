package privacy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"jiragate/internal/privatefile"
)

// What a pseudonym is of, so that no two kinds can have the same.
const (
	domainIdentifier = "path identifier"
	domainAddress    = "client address"
)

const (
	keySize = 32 // bytes
	sumSize = 16 // bytes of a hash that a pseudonym has
)

// encoding has 26 characters for 16 bytes.
var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Key makes pseudonyms. It is safe for concurrent use. Printed in whatever way, it
// shows nothing.
type Key struct {
	secret []byte
	macs   sync.Pool // of *mac: to begin one with a key takes as long as the rest
}

// mac makes one hash after the other.
type mac struct {
	hash    hash.Hash
	message []byte
	sum     [sha256.Size]byte
}

// OpenKey reads the key in the file. Where there is none, it fails with
// [io/fs.ErrNotExist], and with [ErrWrongSealer] where it does not open.
func OpenKey(path string, sealer Sealer) (*Key, error) {
	e, _, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("privacy: open the key of pseudonyms: %w", err)
	}
	secret, err := e.unseal(sealer)
	if err != nil {
		return nil, fmt.Errorf("privacy: %s: %w", path, err)
	}
	return &Key{secret: secret}, nil
}

// openOrCreate makes a key where there is none.
func openOrCreate(path string, sealer Sealer) (*Key, error) {
	k, err := OpenKey(path, sealer)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := create(path, sealer); err != nil {
		return nil, fmt.Errorf("privacy: make a key of pseudonyms in %s: %w", path, err)
	}
	return OpenKey(path, sealer) // maybe another process's
}

// create leaves a file alone that another process has made meanwhile: both go on
// with that one.
func create(path string, sealer Sealer) error {
	secret := make([]byte, keySize)
	defer clear(secret)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	sealed, err := seal(secret, sealer)
	if err != nil {
		return err
	}
	content, err := encode(entry{time.Now().UTC().Truncate(time.Second), sealed})
	if err != nil {
		return err
	}
	err = privatefile.Create(path, content)
	if errors.Is(err, fs.ErrExist) {
		// That process may not have got so far yet.
		return privatefile.SyncDir(filepath.Dir(path))
	}
	return err
}

// Pseudonym returns that of an identifier in the records of a connection; an empty
// connection stands for the records that name none. value is the identifier as Jira
// has it, without escapes.
func (k *Key) Pseudonym(connection, value string) string {
	return k.pseudonym(domainIdentifier, connection, value)
}

// AddressPseudonym returns that of a client's address. An IPv4 address in the form
// of an IPv6 one is the IPv4 address, and a zone is left out.
func (k *Key) AddressPseudonym(ip netip.Addr) string {
	return k.pseudonym(domainAddress, "", ip.Unmap().WithZone("").String())
}

func (k *Key) pseudonym(parts ...string) string {
	m, ok := k.macs.Get().(*mac)
	if !ok {
		m = &mac{hash: hmac.New(sha256.New, k.secret)}
	}
	defer k.macs.Put(m)
	m.message = m.message[:0]
	for _, s := range parts {
		m.message = binary.BigEndian.AppendUint64(m.message, uint64(len(s)))
		m.message = append(m.message, s...)
	}
	m.hash.Reset()
	m.hash.Write(m.message) // a hash takes everything
	var text [1 + 26]byte
	text[0] = '~'
	encoding.Encode(text[1:], m.hash.Sum(m.sum[:0])[:sumSize])
	return string(text[:])
}

// Format prints nothing of the key, whatever the verb.
func (k *Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[key of pseudonyms]") }
