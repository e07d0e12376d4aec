package certs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// tinkPrefix is the length of what Tink's ciphertexts begin with: 0x01 and the
// id of the key, big endian.
// https://developers.google.com/tink/wire-format#crypto_output_prefix
const tinkPrefix = 5

// Reseal seals the root's key again, and that of a root that is prepared, under what
// the sealer encrypts with now: in their files, then in memory. When it returns nil, the
// Authority needs no older key any more, calls of [Authority.Leaf] on their way included.
// It reports false where the keys are sealed under that one already.
//
// A crash or an error leaves each file as it was or sealed anew, whole; the
// sealer must open both until Reseal has succeeded. Certificates stay as they
// are. It fails with [ErrFilesDisagree] if the directory has got another root
// since it was opened, and with [fs.ErrNotExist] if it has none any more. It may
// run while leaves are issued, but not in two processes for one directory.
func (a *Authority) Reseal() (changed bool, err error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	present := a.present()
	sealed, changed, err := reseal(a.dir, keyFile, present.sealer, func(r *root) error {
		if !r.cert.Equal(present.cert) {
			return fmt.Errorf("%w: %s holds another root than the one in use: jiragate reload puts it in force", ErrFilesDisagree, keyFile)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	present.mu.Lock()
	present.sealed = sealed
	present.mu.Unlock()
	nextChanged, err := resealNext(a.dir, present.sealer)
	return changed || nextChanged, err
}

// resealNext is for the root that is prepared, whose key no Authority has in memory.
func resealNext(dir string, sealer Sealer) (changed bool, err error) {
	_, changed, err = reseal(dir, nextKeyFile, sealer, func(*root) error { return nil })
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return changed, err
}

// reseal returns what is in the file now.
func reseal(path, file string, sealer Sealer, check func(*root) error) (sealed []byte, changed bool, err error) {
	dir, old, err := openKeyFile(path, file, sealer)
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
	anew, err := sealRoot(file, old.cert, key, sealer)
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
	if err := writeFile(dir, file, anew.encodeKeyFile(), 0o600); err != nil {
		return nil, false, err
	}
	return anew.sealed, true, nil
}

// SealedUnder tells under which keys of a Tink keyset the root's key in dir is sealed,
// and that of a root that is prepared; one that is not in Tink's form is left out. It
// needs no sealer, and proves nothing: that the keys open is for [Open] to say. Where
// there is no root, it fails with [fs.ErrNotExist].
func SealedUnder(dir string) (keyIDs []uint32, err error) {
	for _, file := range []string{keyFile, nextKeyFile} {
		d, r, err := openKeyFile(dir, file, nil)
		if file == nextKeyFile && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if id, ok := sealedUnder(r.sealed); ok && !slices.Contains(keyIDs, id) {
			keyIDs = append(keyIDs, id)
		}
		if err := d.Close(); err != nil {
			return nil, fmt.Errorf("certs: %w", err)
		}
	}
	return keyIDs, nil
}

func sealedUnder(ciphertext []byte) (keyID uint32, ok bool) {
	if len(ciphertext) < tinkPrefix || !bytes.HasPrefix(ciphertext, []byte{1}) {
		return 0, false
	}
	return binary.BigEndian.Uint32(ciphertext[1:tinkPrefix]), true
}

// openKeyFile reads ca-key.pem, or that of the root that is prepared. The caller closes
// the directory.
func openKeyFile(path, file string, sealer Sealer) (*os.Root, *root, error) {
	dir, err := os.OpenRoot(path)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	data, err := readFile(dir, file, 0o077)
	if err != nil {
		err = fmt.Errorf("certs: %w", err)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("certs: there is no root in %s: %w", path, fs.ErrNotExist)
		}
		return nil, nil, errors.Join(err, dir.Close())
	}
	r, err := parseKeyFile(file, data, sealer)
	if err != nil {
		err = fmt.Errorf("certs: %s: %w: restore it from a backup", filepath.Join(path, file), err)
		return nil, nil, errors.Join(err, dir.Close())
	}
	return dir, r, nil
}
