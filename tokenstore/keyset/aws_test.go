package keyset_test

import (
	"encoding/json"
	"io"
	"log"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var quiet = log.New(io.Discard, "", 0)

const (
	awsARN     = "arn:aws:kms:eu-central-1:111122223333:key/"
	awsKeyID   = "AKIATESTTESTTESTTEST"
	awsSecret  = "the-secret-access-key-of-the-tests"
	awsRegion  = "eu-central-1"
	awsMaximum = 4096
)

// awsSignature is the form of Signature Version 4.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
var awsSignature = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=` + awsKeyID + `/[0-9]{8}/` + awsRegion + `/kms/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$`)

// startAWS is a fake of AWS KMS, JSON protocol 1.1, and the environment that
// leads the SDK there.
func startAWS(t *testing.T) *fake {
	one, two := awsARN+"11111111-1111-1111-1111-111111111111", awsARN+"22222222-2222-2222-2222-222222222222"
	f := &fake{
		name: "aws", uri: "aws-kms://" + one, other: "aws-kms:" + two, missing: "aws-kms:" + awsARN + "33333333-3333-3333-3333-333333333333",
		keys: newFakeKeys(t, one, two), key: one,
		seal: func(b []byte) []byte { return append([]byte(one+"\n"), b...) },
	}
	ca := f.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { awsAnswer(f, w, r) }))
	nothing := filepath.Join(t.TempDir(), "nothing")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID":           awsKeyID,
		"AWS_SECRET_ACCESS_KEY":       awsSecret,
		"AWS_SESSION_TOKEN":           "",
		"AWS_PROFILE":                 "",
		"AWS_CONFIG_FILE":             nothing,
		"AWS_SHARED_CREDENTIALS_FILE": nothing,
		"AWS_EC2_METADATA_DISABLED":   "true",
		"AWS_ENDPOINT_URL_KMS":        f.server.URL,
		"AWS_CA_BUNDLE":               ca,
		"AWS_MAX_ATTEMPTS":            "1",
	} {
		t.Setenv(name, value)
	}
	return f
}

// awsAnswer is Encrypt and Decrypt:
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
func awsAnswer(f *fake, w http.ResponseWriter, r *http.Request) {
	refuse := func(code string) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": reflected})
	}
	signature := awsSignature.FindStringSubmatch(r.Header.Get("Authorization"))
	if signature == nil || r.Header.Get("X-Amz-Date") == "" {
		refuse("IncompleteSignature")
		return
	}
	for _, header := range []string{"host", "x-amz-date", "x-amz-target"} {
		if !slices.Contains(strings.Split(signature[1], ";"), header) {
			refuse("InvalidSignatureException")
			return
		}
	}
	var in struct {
		KeyId                     string
		Plaintext, CiphertextBlob []byte
		EncryptionContext         map[string]string
	}
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || json.NewDecoder(r.Body).Decode(&in) != nil {
		refuse("SerializationException")
		return
	}
	switch {
	case f.denied.Load():
		refuse("AccessDeniedException")
		return
	case !f.keys.has(in.KeyId):
		refuse("NotFoundException")
		return
	}
	out := map[string]any{"KeyId": in.KeyId, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
	switch associated := awsContext(in.EncryptionContext); r.Header.Get("X-Amz-Target") {
	case "TrentService.Encrypt":
		if len(in.Plaintext) > awsMaximum {
			refuse("ValidationException")
			return
		}
		out["CiphertextBlob"] = append([]byte(in.KeyId+"\n"), f.keys.encrypt(in.KeyId, in.Plaintext, associated)...)
	case "TrentService.Decrypt":
		// As with AWS, a ciphertext says under which key it is.
		key, ciphertext, _ := strings.Cut(string(in.CiphertextBlob), "\n")
		if f.keys.has(key) && key != in.KeyId {
			refuse("IncorrectKeyException")
			return
		}
		plaintext, err := f.keys.decrypt(in.KeyId, []byte(ciphertext), associated)
		if err != nil {
			refuse("InvalidCiphertextException")
			return
		}
		out["Plaintext"] = plaintext
	default:
		refuse("UnknownOperationException")
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(out)
}

// awsContext is the form in which an encryption context is bound.
func awsContext(c map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c)) {
		b.WriteString(name + "=" + c[name] + ";")
	}
	return b.String()
}
