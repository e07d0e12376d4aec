package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"

	"jiragate/tokenstore"
)

// identity is who calls: the client, how it proved that, and the connection it
// chose by its proxy user name or at CONNECT, if it did.
type identity struct {
	client *tokenstore.Client
	chosen string
	// byToken tells that the client proved itself by its token, so that
	// rotating the token ends what rests on the old one.
	byToken bool
	// shown tells that it showed a token, right or wrong, and tried as whom; ""
	// where the token alone tells.
	shown bool
	tried string
	// made tells that the token was right and is one that nobody guesses.
	made bool
}

// connectionField is the request header field by which a client chooses among
// its connections.
const connectionField = "Jira-Connection"

// identify finds the client of a request to the proxy listener: by
// Proxy-Authorization (Basic client:token, Basic client+connection:token, or
// Bearer token), or else by the client certificate of its TLS connection. It
// is the one place where clients are identified, for all three front doors;
// credentials inside a tunnel mean nothing.
//
// Tokens are compared as SHA-256 digests in constant time, and an unknown
// client costs the same as a wrong token.
func identify(dir *tokenstore.Directory, r *http.Request, certificates []*x509.Certificate) (identity, *refusal) {
	unidentified := refuse(CodeClientUnidentified,
		"Identify the client to the proxy: user name CLIENT (or CLIENT+CONNECTION) and its token, as in http://CLIENT:TOKEN@proxy:8080.")
	id := identity{chosen: strings.Join(r.Header[connectionField], ", ")} // of two, no connection has the name
	fields := r.Header["Proxy-Authorization"]
	if len(fields) == 0 {
		id.client = clientByCertificate(dir, certificates)
		if id.client == nil {
			return identity{}, unidentified
		}
		return id, nil
	}
	id.shown = true
	var token string
	if len(fields) > 1 {
		return identity{shown: true}, unidentified
	}
	scheme, value, _ := strings.Cut(fields[0], " ")
	value = strings.Trim(value, " ")
	switch {
	case strings.EqualFold(scheme, "Basic"):
		raw, err := base64.StdEncoding.Strict().DecodeString(value)
		if err != nil {
			return identity{shown: true}, unidentified
		}
		var user string
		user, token, _ = strings.Cut(string(raw), ":")
		name, chosen, _ := strings.Cut(user, "+")
		id.tried = name
		id.client = clientByToken(dir, name, token)
		if chosen != "" {
			if id.chosen != "" && id.chosen != chosen {
				return identity{}, refuse(CodeConnectionAmbiguous, "The proxy user name and the "+connectionField+" field choose different connections.")
			}
			id.chosen = chosen
		}
	case strings.EqualFold(scheme, "Bearer"):
		token = value
		sum := sha256.Sum256([]byte(token))
		if c, ok := dir.ClientByTokenSHA256(sum); ok && subtle.ConstantTimeCompare(sum[:], c.TokenSHA256[:]) == 1 {
			id.client = c
		}
	}
	if id.client == nil {
		return identity{shown: true, tried: id.tried}, unidentified
	}
	id.byToken, id.made = true, tokenstore.Made(token)
	return id, nil
}

func clientByToken(dir *tokenstore.Directory, name, token string) *tokenstore.Client {
	sum := sha256.Sum256([]byte(token))
	c, ok := dir.Client(name)
	if !ok {
		// Compare all the same, against what no token hashes to.
		c = &tokenstore.Client{}
	}
	if subtle.ConstantTimeCompare(sum[:], c.TokenSHA256[:]) != 1 || !ok {
		return nil
	}
	return c
}

// clientByCertificate finds the one client whose subject alternative names the
// verified certificate carries. Names are compared whole; the common name is
// not looked at. A certificate of several clients identifies none.
func clientByCertificate(dir *tokenstore.Directory, certificates []*x509.Certificate) *tokenstore.Client {
	if len(certificates) == 0 {
		return nil
	}
	leaf := certificates[0]
	sans := make([]string, 0, len(leaf.DNSNames)+len(leaf.URIs))
	for _, name := range leaf.DNSNames {
		sans = append(sans, "dns:"+name)
	}
	for _, uri := range leaf.URIs {
		sans = append(sans, "uri:"+uri.String())
	}
	var found *tokenstore.Client
	for _, san := range sans {
		for _, c := range dir.ClientsByCertificateSAN(san) {
			if found != nil && found.Name != c.Name {
				return nil
			}
			found = c
		}
	}
	return found
}

// renew looks the client up again, so that a removal, a new token, other
// certificate names or a changed grant take effect on tunnels that are already
// open. certificates are those that the tunnel was opened with.
func (id identity) renew(dir *tokenstore.Directory, certificates []*x509.Certificate) (identity, *refusal) {
	c, ok := dir.Client(id.client.Name)
	switch {
	case !ok:
	case id.byToken:
		ok = subtle.ConstantTimeCompare(c.TokenSHA256[:], id.client.TokenSHA256[:]) == 1
	default:
		c = clientByCertificate(dir, certificates)
		ok = c != nil && c.Name == id.client.Name
	}
	if !ok {
		return id, refuse(CodeClientRevoked, "The client was removed or its token was changed. Connect to the proxy again with the present token.")
	}
	id.client = c
	return id, nil
}

// choose combines the connection chosen at the proxy with the one a request
// names itself.
func (id identity) choose(r *http.Request) (string, *refusal) {
	fields := r.Header[connectionField]
	switch {
	case len(fields) == 0:
		return id.chosen, nil
	case len(fields) > 1 || id.chosen != "" && fields[0] != id.chosen:
		return "", refuse(CodeConnectionAmbiguous, "The request chooses more than one connection. Name one, by "+connectionField+" or by the proxy user name CLIENT+CONNECTION.")
	}
	return fields[0], nil
}
