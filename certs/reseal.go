package certs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// tinkPrefix is the length of what Tink's ciphertexts begin with: 0x01 and the
// id of the key, big endian.
// https://developers.google.com/tink/wire-format#crypto_output_prefix
const tinkPrefix = 5

// Reseal seals the root's key again, under what the sealer encrypts with now: in
// ca-key.pem, then in memory. When it returns nil, the Authority needs no older
// key any more, calls of [Authority.Leaf] on their way included. It reports false
// where the key is sealed under that one already.
//
// A crash or an error leaves ca-key.pem as it was or sealed anew, whole; the
// sealer must open both until Reseal has succeeded. Certificates stay as they
// are. It fails with [ErrFilesDisagree] if the directory has got another root
// since it was opened. It may run while leaves are issued, but not in two
// processes for one directory.
func (a *Authority) Reseal() (changed bool, err error) {
	a.resealing.Lock()
	defer a.resealing.Unlock()
	present := a.present()
	sealed, changed, err := reseal(a.dir, present.sealer, func(r *root) error {
		if !r.cert.Equal(present.cert) {
			return fmt.Errorf("%w: %s holds another root than the one in use: jiragate reload puts it in force", ErrFilesDisagree, keyFile)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	present.mu.Lock()
	defer present.mu.Unlock()
	present.sealed = sealed
	return changed, nil
}

// Reseal is [Authority.Reseal] for a directory on which no Authority is open: one
// would go on with what it has in memory. Where there is no root, it fails with
// [fs.ErrNotExist].
func Reseal(dir string, sealer Sealer) (changed bool, err error) {
	_, changed, err = reseal(dir, sealer, func(*root) error { return nil })
	return changed, err
}

// reseal returns what is in the file now.
func reseal(path string, sealer Sealer, check func(*root) error) (sealed []byte, changed bool, err error) {
	dir, old, err := openKeyFile(path, sealer)
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	if err := check(old); err != nil {
		return nil, false, fmt.Errorf("certs: seal the root key again: %w", err)
	}
	key, err := old.unseal()
	if err != nil {
		return nil, false, fmt.Errorf("certs: seal the root key again: %w", err)
	}
	anew, err := sealRoot(old.cert, key, sealer)
	if err != nil {
		return nil, false, fmt.Errorf("certs: %w", err)
	}
	if before, ok := sealedUnder(old.sealed); ok {
		if now, ok := sealedUnder(anew.sealed); ok && now == before {
			return old.sealed, false, nil
		}
	}
	// A key that nothing opens must not take the place of one that opens.
	if _, err := anew.unseal(); err != nil {
		return nil, false, fmt.Errorf("certs: try the root key sealed again: %w", err)
	}
	if err := writeFile(dir, keyFile, anew.encodeKeyFile(), 0o600); err != nil {
		return nil, false, err
	}
	return anew.sealed, true, nil
}

// SealedUnder tells under which key of a Tink keyset the root's key in dir is
// sealed; ok is false if it is not in Tink's form. It needs no sealer, and proves
// nothing: that the key opens is for [Open] to say. Where there is no root, it
// fails with [fs.ErrNotExist].
func SealedUnder(dir string) (keyID uint32, ok bool, err error) {
	d, r, err := openKeyFile(dir, nil)
	if err != nil {
		return 0, false, err
	}
	keyID, ok = sealedUnder(r.sealed)
	return keyID, ok, d.Close()
}

func sealedUnder(ciphertext []byte) (keyID uint32, ok bool) {
	if len(ciphertext) < tinkPrefix || !bytes.HasPrefix(ciphertext, []byte{1}) {
		return 0, false
	}
	return binary.BigEndian.Uint32(ciphertext[1:tinkPrefix]), true
}

// openKeyFile reads ca-key.pem. The caller closes the directory.
func openKeyFile(path string, sealer Sealer) (*os.Root, *root, error) {
	dir, err := os.OpenRoot(path)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	data, err := readFile(dir, keyFile, 0o077)
	if err != nil {
		err = fmt.Errorf("certs: %w", err)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("certs: there is no root in %s: %w", path, fs.ErrNotExist)
		}
		return nil, nil, errors.Join(err, dir.Close())
	}
	r, err := parseKeyFile(data, sealer)
	if err != nil {
		err = fmt.Errorf("certs: %s: %w: restore it from a backup", filepath.Join(path, keyFile), err)
		return nil, nil, errors.Join(err, dir.Close())
	}
	return dir, r, nil
}
