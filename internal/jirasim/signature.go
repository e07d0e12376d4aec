package jirasim

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Verification of OAuth 1.0a requests, written from RFC 5849 alone: it is what
// proves a client right, so it shares nothing with one.

// oauthProblem is why a request is refused, in the words that Atlassian's servers
// use (the OAuth Problem Reporting extension).
type oauthProblem struct {
	word string
	more url.Values // such as oauth_acceptable_timestamps
}

func problem(word string, more ...string) *oauthProblem {
	p := &oauthProblem{word: word, more: url.Values{}}
	for i := 0; i+1 < len(more); i += 2 {
		p.more.Set(more[i], more[i+1])
	}
	return p
}

// isOAuth1 says whether a request is signed (RFC 5849 section 3.5.1).
func isOAuth1(h http.Header) bool {
	scheme, _, _ := strings.Cut(h.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "OAuth")
}

// oauthParams reads the protocol parameters of the Authorization field. realm is
// left out: it is no part of the signature.
func oauthParams(h http.Header) (map[string]string, *oauthProblem) {
	out := make(map[string]string)
	if !isOAuth1(h) {
		return out, nil
	}
	_, list, _ := strings.Cut(h.Get("Authorization"), " ")
	for item := range strings.SplitSeq(list, ",") {
		name, quoted, ok := strings.Cut(strings.TrimSpace(item), "=")
		value, err := url.PathUnescape(strings.Trim(quoted, `"`))
		if !ok || err != nil || len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
			return nil, problem("parameter_rejected", "oauth_parameters_rejected", name)
		}
		if _, twice := out[name]; twice {
			return nil, problem("parameter_rejected", "oauth_parameters_rejected", name)
		}
		out[name] = value
	}
	delete(out, "realm")
	return out, nil
}

// needed says which of the parameters are missing.
func needed(params map[string]string, names ...string) *oauthProblem {
	names = append(names, "oauth_consumer_key", "oauth_signature_method", "oauth_signature", "oauth_timestamp", "oauth_nonce")
	var absent []string
	for _, name := range names {
		if params[name] == "" {
			absent = append(absent, name)
		}
	}
	if absent == nil {
		return nil
	}
	return problem("parameter_absent", "oauth_parameters_absent", strings.Join(absent, "&"))
}

// timestampLeeway is how far a client's clock may be off.
const timestampLeeway = 5 * time.Minute

// validate checks everything but the token: the consumer, the version, the clock,
// the nonce, and the signature last, in Atlassian's order. A nonce is used up even
// where the signature is wrong.
func (l *links) validate(r *http.Request, body []byte, params map[string]string) *oauthProblem {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := l.consumers[params["oauth_consumer_key"]]
	if key == nil {
		return problem("consumer_key_unknown")
	}
	if v, sent := params["oauth_version"]; sent && v != "1.0" {
		return problem("version_rejected", "oauth_acceptable_versions", "1.0-1.0")
	}
	if params["oauth_signature_method"] != "RSA-SHA1" {
		return problem("signature_method_rejected")
	}
	now := l.now()
	earliest, latest := now.Add(-timestampLeeway).Unix(), now.Add(timestampLeeway).Unix()
	stamp, err := strconv.ParseInt(params["oauth_timestamp"], 10, 64)
	if err != nil || stamp < earliest || stamp > latest {
		return problem("timestamp_refused", "oauth_acceptable_timestamps", fmt.Sprintf("%d-%d", earliest, latest))
	}
	for nonce, seen := range l.nonces {
		if now.Sub(seen) > 2*timestampLeeway {
			delete(l.nonces, nonce)
		}
	}
	nonce := params["oauth_consumer_key"] + "\x00" + params["oauth_nonce"]
	if _, used := l.nonces[nonce]; used {
		return problem("nonce_used")
	}
	l.nonces[nonce] = now
	signature, err := base64.StdEncoding.DecodeString(params["oauth_signature"])
	if err != nil {
		return problem("signature_invalid")
	}
	digest := sha1.Sum([]byte(signatureBase(r, body, params)))
	if rsa.VerifyPKCS1v15(key, crypto.SHA1, digest[:], signature) != nil {
		return problem("signature_invalid")
	}
	return nil
}

// signatureBase is the signature base string of RFC 5849 section 3.4.1.1, of the
// request as it arrived.
func signatureBase(r *http.Request, body []byte, params map[string]string) string {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") {
		path = r.URL.EscapedPath() // absolute form
	}
	base := "https://" + strings.TrimSuffix(strings.ToLower(r.Host), ":443") + path

	// Section 3.4.1.3.1: the query, the protocol parameters, a body that is a form.
	pairs := formPairs(query)
	for name, value := range params {
		if name != "oauth_signature" {
			pairs = append(pairs, escape(name)+"="+escape(value))
		}
	}
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType == "application/x-www-form-urlencoded" {
		pairs = append(pairs, formPairs(string(body))...)
	}
	// Section 3.4.1.3.2 sorts by name and then by value. "=" sorts after some of
	// what names are made of, hence the byte that sorts before all of it.
	slices.SortFunc(pairs, func(a, b string) int {
		return strings.Compare(strings.Replace(a, "=", "\x00", 1), strings.Replace(b, "=", "\x00", 1))
	})
	return strings.ToUpper(r.Method) + "&" + escape(base) + "&" + escape(strings.Join(pairs, "&"))
}

// formPairs takes a query or form apart, as servlet containers do, and returns
// its pairs encoded anew. What does not decode is left as it is.
func formPairs(s string) []string {
	var out []string
	for pair := range strings.SplitSeq(s, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		for _, part := range []*string{&name, &value} {
			if plain, err := url.QueryUnescape(*part); err == nil {
				*part = plain
			}
		}
		out = append(out, escape(name)+"="+escape(value))
	}
	return out
}

// escape is the percent-encoding of RFC 5849 section 3.6.
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
