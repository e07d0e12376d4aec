package keyset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"jiragate/internal/privatefile"
	"jiragate/tokenstore/secret"
)

// maxKeyset is the most that is read or written of a keyset, in bytes. A key
// takes about 300 in JSON.
const maxKeyset = 256 << 10

// place is a file in which a keyset is kept, as Tink's JSON: in clear, or
// encrypted under a key of a key management service.
type place struct {
	path string
	kms  *kmsKey // nil: in clear
}

// load reads the keyset, and makes it first where there is no file and o says so.
func (p *place) load(ctx context.Context, o Options) (*Keyset, privatefile.Sum, error) {
	k, sum, err := p.read(ctx)
	if o.Create && errors.Is(err, fs.ErrNotExist) {
		if err := p.create(ctx, o.From); err != nil {
			return nil, privatefile.Sum{}, fmt.Errorf("making a keyset in file %s: %w", p.path, err)
		}
		// Read back, because another process may have been faster, and so that nothing
		// is ever sealed under a keyset that the service encrypts but doesn't decrypt.
		k, sum, err = p.read(ctx)
	}
	if err != nil {
		return nil, privatefile.Sum{}, fmt.Errorf("opening the keyset: %w", err)
	}
	return k, sum, nil
}

// sum is that of the file as it is now.
func (p *place) sum() (privatefile.Sum, error) {
	content, err := p.content()
	if err != nil {
		return privatefile.Sum{}, err
	}
	defer clear(content)
	return privatefile.SumOf(content), nil
}

func (p *place) content() ([]byte, error) {
	f, err := privatefile.OpenKept(p.path)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxKeyset+1))
	return content, errors.Join(err, f.Close())
}

func (p *place) read(ctx context.Context) (*Keyset, privatefile.Sum, error) {
	content, err := p.content()
	if err != nil {
		return nil, privatefile.Sum{}, err
	}
	k, err := p.decode(ctx, content)
	if err != nil {
		return nil, privatefile.Sum{}, fmt.Errorf("file %s: %w", p.path, err)
	}
	return k, privatefile.SumOf(content), nil
}

// create leaves a file alone that another process has made meanwhile: both go
// on with that one.
func (p *place) create(ctx context.Context, from *Live) error {
	k, err := New()
	if err != nil {
		return err
	}
	if from != nil {
		k = from.keys.Load()
	}
	content, err := p.encode(ctx, k)
	if err != nil {
		return err
	}
	if err := privatefile.Create(p.path, content); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// replace stores k in the place of the keyset whose file had the sum old. It
// returns the sum of the file now.
func (p *place) replace(ctx context.Context, old privatefile.Sum, k *Keyset) (privatefile.Sum, error) {
	if privatefile.Brought(p.path) {
		return privatefile.Sum{}, fmt.Errorf("%s was brought and is not the gateway's own to change: change the keyset where it comes from, bring it, and jiragate reload", p.path)
	}
	content, err := p.encode(ctx, k)
	if err != nil {
		return privatefile.Sum{}, err
	}
	if p.kms != nil {
		// A keyset that opens must not give way to one that doesn't, because the key's
		// policy has changed since the start, say.
		if again, err := p.decode(ctx, content); err != nil {
			return privatefile.Sum{}, fmt.Errorf("trying what was encrypted: %w", err)
		} else if again.primary != k.primary {
			return privatefile.Sum{}, fmt.Errorf("what was encrypted under %s decrypts to another keyset", p.kms.uri)
		}
	}
	err = privatefile.Replace(p.path, old, content)
	if errors.Is(err, privatefile.ErrChanged) {
		return privatefile.Sum{}, fmt.Errorf("%s: %w since it was read: jiragate reload, or a restart, reads it again", p.path, ErrChanged)
	}
	if err != nil {
		return privatefile.Sum{}, fmt.Errorf("storing it: %w", err)
	}
	return privatefile.SumOf(content), nil
}

func (p *place) encode(ctx context.Context, k *Keyset) ([]byte, error) {
	var b bytes.Buffer
	if p.kms == nil {
		json, err := k.JSON()
		if err != nil {
			return nil, err
		}
		b.WriteString(json.Reveal())
	} else {
		// What Handle.WriteWithContext does, which however makes text of the errors of
		// a service, and can't be told to wipe.
		var plaintext bytes.Buffer
		if err := insecurecleartextkeyset.Write(k.handle, tinkkeyset.NewBinaryWriter(&plaintext)); err != nil {
			return nil, errors.New("encoding the keyset failed")
		}
		defer clear(plaintext.Bytes())
		ciphertext, err := p.kms.encrypt(ctx, plaintext.Bytes())
		if err != nil {
			return nil, err
		}
		encrypted := &tinkpb.EncryptedKeyset{EncryptedKeyset: ciphertext, KeysetInfo: k.handle.KeysetInfo()}
		if err := tinkkeyset.NewJSONWriter(&b).WriteEncrypted(encrypted); err != nil {
			return nil, errors.New("writing the encrypted keyset as JSON failed")
		}
	}
	b.WriteByte('\n')
	if b.Len() > maxKeyset {
		return nil, fmt.Errorf("it would be longer than %d bytes: drop old keys first", maxKeyset)
	}
	return b.Bytes(), nil
}

func (p *place) decode(ctx context.Context, content []byte) (*Keyset, error) {
	if len(content) > maxKeyset {
		return nil, fmt.Errorf("it is longer than %d bytes", maxKeyset)
	}
	encrypted, err := tinkkeyset.NewJSONReader(bytes.NewReader(content)).ReadEncrypted()
	isEncrypted := err == nil && len(encrypted.GetEncryptedKeyset()) > 0
	switch {
	case p.kms == nil && isEncrypted:
		return nil, errors.New("the keyset in it is encrypted: name the key of the key management service (aws-kms:, gcp-kms: or hcvault:) in the key URI, instead of the file")
	case p.kms == nil:
		return Parse(secret.New(string(content)))
	case isEncrypted:
		return p.decrypt(ctx, encrypted.GetEncryptedKeyset())
	}
	if k, err := tinkkeyset.NewJSONReader(bytes.NewReader(content)).Read(); err == nil && len(k.GetKey()) > 0 {
		return nil, fmt.Errorf("the keyset in it is in clear, although the key URI names a key management service: to go on with it, set the key URI to file:%s", p.path)
	}
	return nil, errors.New("it is not an encrypted Tink keyset in JSON")
}

func (p *place) decrypt(ctx context.Context, ciphertext []byte) (*Keyset, error) {
	plaintext, err := p.kms.decrypt(ctx, ciphertext)
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	handle, err := insecurecleartextkeyset.Read(tinkkeyset.NewBinaryReader(bytes.NewReader(plaintext)))
	if err != nil {
		return nil, errors.New("what is encrypted in it is not a Tink keyset")
	}
	return fromHandle(handle)
}
