package keyset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"google.golang.org/api/option"

	"jiragate/tokenstore/secret"
)

// Options of [Open].
type Options struct {
	// Create makes a new keyset where its file doesn't exist yet. The file has mode
	// 0600, and appears as a whole or not at all.
	Create bool
	// From is what Create makes the keyset of, so that it moves to another place; nil
	// means new keys.
	From *Live

	// EncryptedFile is where the keyset lies that is encrypted under a key of a key
	// management service. Other key URIs don't use it.
	EncryptedFile string

	// Logger is told when the keyset was read again without anybody asking. Optional.
	Logger *slog.Logger

	google  []option.ClientOption // of tests
	timeout time.Duration         // of tests; 0 means kmsTimeout
}

// Open opens the keyset that a key URI names:
//
//	file:PATH  a file of mode 0600 (not a symbolic link) holding the keyset as JSON
//	env:NAME   an environment variable holding the keyset as JSON
//
// or the one in [Options.EncryptedFile], encrypted under a key of
//
//	aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID                               AWS KMS
//	gcp-kms://projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY  Google Cloud KMS
//	hcvault://HOST:PORT/MOUNT/keys/NAME                                       HashiCorp Vault, transit engine
//
// where the // may be left out. These services are called when the keyset is
// opened, made or changed, for at most 30 s each time; sealing and opening call
// nothing. Credentials and endpoints come from where the service's own client
// looks for them.
//
// The variable is removed from the environment once read, so that child
// processes don't inherit it; what the kernel shows in /proc/PID/environ stays.
//
// A file that is missing, without Create, is [fs.ErrNotExist]. A service that
// doesn't answer in time is [context.DeadlineExceeded].
func Open(ctx context.Context, uri string, o Options) (*Live, error) {
	scheme, rest, _ := strings.Cut(uri, ":")
	switch scheme {
	case "file":
		if rest == "" {
			return nil, errors.New("key URI file: names no file: use file:PATH")
		}
		if strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, "///") {
			return nil, errors.New("key URI file://… names a host: use file:PATH, for instance file:/var/lib/jiragate/keyset.json")
		}
		return openPlace(ctx, &place{path: rest}, o)
	case "aws-kms", "gcp-kms", "hcvault":
		k, err := parseKMS(scheme, rest, o)
		if err != nil {
			return nil, err
		}
		if o.EncryptedFile == "" {
			return nil, errors.New("opening the keyset: no file is named for the encrypted keyset")
		}
		return openPlace(ctx, &place{path: o.EncryptedFile, kms: k}, o)
	case "env":
		return openEnv(rest)
	}
	// Not quoted: it may be the keyset itself, given in place of its URI.
	return nil, errors.New("the key URI is of an unknown kind: use file:PATH or env:NAME, or name a key with aws-kms:, gcp-kms: or hcvault: before it")
}

func openPlace(ctx context.Context, p *place, o Options) (*Live, error) {
	k, sum, err := p.load(ctx, o)
	if err != nil {
		return nil, err
	}
	l := &Live{place: p, stored: sum, logger: o.Logger}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	l.keys.Store(k)
	return l, nil
}

func openEnv(name string) (*Live, error) {
	json, ok := os.LookupEnv(name)
	if !ok || json == "" {
		return nil, fmt.Errorf("opening the keyset: the environment variable %q is not set", name)
	}
	if err := os.Unsetenv(name); err != nil {
		return nil, fmt.Errorf("removing %q from the environment: %w", name, err)
	}
	k, err := parseVariable(json)
	if err != nil {
		return nil, fmt.Errorf("opening the keyset in the environment variable %q: %w", name, err)
	}
	l := new(Live)
	l.keys.Store(k)
	return l, nil
}

func parseVariable(json string) (*Keyset, error) {
	if len(json) > maxKeyset {
		return nil, fmt.Errorf("it is longer than %d bytes", maxKeyset)
	}
	return Parse(secret.New(json))
}
