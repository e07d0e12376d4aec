package certs

import "strings"

// trustText speaks of CAFILE. What each runtime does with its setting is said
// in: curl's manual page (--cacert, CURL_CA_BUNDLE); package crypto/x509
// (SSL_CERT_FILE, SSL_CERT_DIR); "Node.js CLI options" (NODE_EXTRA_CA_CERTS);
// "Requests: SSL Cert Verification" and Python's ssl module; the Java Secure
// Socket Extension guide and keytool's manual page.
const trustText = `Trust this root in the one process that calls Jira through the gateway, and nowhere else:

curl
    curl --cacert CAFILE …
    or CURL_CA_BUNDLE=CAFILE in its environment

Go (Linux and other Unix, except macOS)
    SSL_CERT_FILE=CAFILE SSL_CERT_DIR=/nonexistent ./program
    The first takes the place of the system's bundle, the second of its folder, which Go reads as well.
    In code, on any system: x509.NewCertPool, AppendCertsFromPEM, tls.Config.RootCAs.

Node.js
    NODE_EXTRA_CA_CERTS=CAFILE node program.js
    Added to Node's own roots; read once, when the process starts.

Python
    REQUESTS_CA_BUNDLE=CAFILE python program.py      (requests; takes the place of its own bundle)
    SSL_CERT_FILE=CAFILE python program.py           (the ssl module: urllib, httpx, aiohttp)

Java
    keytool -importcert -noprompt -alias jiragate -file CAFILE \
        -keystore jiragate-truststore.p12 -storetype PKCS12 -storepass changeit
    java -Djavax.net.ssl.trustStore=jiragate-truststore.p12 -Djavax.net.ssl.trustStorePassword=changeit …
    The truststore takes the place of Java's own. It holds nothing secret; the password is a formality.

Never add it to the trust store of a system, a browser or a base image. Whoever held this root's key
could pose as any site to everything that trusts it. Trusted by one process, whose only way out is the
gateway, that is worth nothing beyond the gateway itself.
`

// nextText follows while a root is prepared.
const nextText = `
CAFILE holds two roots: the present one, and the next one that is prepared. Each setting above takes
both, except keytool, which takes the first of a file. Give it the next one by its own:
    keytool -importcert -noprompt -alias jiragate-next -file NEXTFILE \
        -keystore jiragate-truststore.p12 -storetype PKCS12 -storepass changeit
`

// TrustInstructions says how one process is made to trust the root in caFile,
// in curl, Go, Node.js, Python and Java, and why nothing more should trust it.
// nextFile is that of the next root alone, or empty where none is prepared.
func TrustInstructions(caFile, nextFile string) string {
	text := trustText
	if nextFile != "" {
		text += nextText
	}
	return strings.NewReplacer("CAFILE", shellQuote(caFile), "NEXTFILE", shellQuote(nextFile)).Replace(text)
}

// shellQuote makes s one word of a POSIX shell, unquoted where it can be.
func shellQuote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
