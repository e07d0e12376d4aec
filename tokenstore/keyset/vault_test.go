package keyset_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const vaultToken = "hvs.the-token-of-the-tests"

// startVault is a fake of Vault's transit engine, mounted at team/transit, and
// the environment that leads the client there.
func startVault(t *testing.T) *fake {
	f := &fake{
		name: "vault",
		keys: newFakeKeys(t, "one", "two"), key: "one",
		seal: func(b []byte) []byte { return []byte("vault:v1:" + base64.StdEncoding.EncodeToString(b)) },
	}
	ca := f.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { vaultAnswer(f, w, r) }))
	host := strings.TrimPrefix(f.server.URL, "https://")
	f.uri, f.other, f.missing = "hcvault://"+host+"/team/transit/keys/one", "hcvault:"+host+"/team/transit/keys/two", "hcvault:"+host+"/team/transit/keys/three"
	for name, value := range map[string]string{
		"VAULT_TOKEN":       vaultToken,
		"VAULT_NAMESPACE":   "customers",
		"VAULT_CACERT":      ca,
		"VAULT_MAX_RETRIES": "0",
		// These don't count: the key URI says where to go.
		"VAULT_ADDR":       "http://127.0.0.1:1",
		"VAULT_AGENT_ADDR": "http://127.0.0.1:1",
		"VAULT_WRAP_TTL":   "60s",
	} {
		t.Setenv(name, value)
	}
	return f
}

// vaultAnswer is encrypt and decrypt:
// https://developer.hashicorp.com/vault/api-docs/secret/transit#encrypt-data
func vaultAnswer(f *fake, w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, what string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {"1 error occurred:\n\t* " + what + "\n\n", reflected}})
	}
	name, found := "", false
	operation := ""
	for _, operation = range []string{"encrypt", "decrypt"} {
		if name, found = strings.CutPrefix(r.URL.Path, "/v1/team/transit/"+operation+"/"); found {
			break
		}
	}
	var in struct {
		Plaintext, AssociatedData []byte
		Ciphertext                string
	}
	var raw map[string]string
	switch {
	case r.Header.Get("X-Vault-Token") == "":
		refuse(http.StatusBadRequest, "missing client token")
		return
	case r.Header.Get("X-Vault-Token") != vaultToken, f.denied.Load(), r.Header.Get("X-Vault-Namespace") != "customers":
		refuse(http.StatusForbidden, "permission denied")
		return
	case !found || r.Method != http.MethodPut && r.Method != http.MethodPost || r.Header.Get("X-Vault-Wrap-Ttl") != "":
		refuse(http.StatusNotFound, "no handler for route")
		return
	case json.NewDecoder(r.Body).Decode(&raw) != nil:
		refuse(http.StatusBadRequest, "error parsing JSON")
		return
	case !f.keys.has(name):
		refuse(http.StatusBadRequest, "encryption key not found")
		return
	}
	in.Ciphertext = raw["ciphertext"]
	for field, to := range map[string]*[]byte{"plaintext": &in.Plaintext, "associated_data": &in.AssociatedData} {
		var err error
		if *to, err = base64.StdEncoding.DecodeString(raw[field]); err != nil {
			refuse(http.StatusBadRequest, "failed to base64-decode "+field)
			return
		}
	}
	out := map[string]any{}
	if operation == "encrypt" {
		out["ciphertext"] = string(f.seal(f.keys.encrypt(name, in.Plaintext, string(in.AssociatedData))))
	} else {
		encoded, ok := strings.CutPrefix(in.Ciphertext, "vault:v1:")
		ciphertext, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil {
			refuse(http.StatusBadRequest, "invalid ciphertext: no prefix")
			return
		}
		plaintext, err := f.keys.decrypt(name, ciphertext, string(in.AssociatedData))
		if err != nil {
			refuse(http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		out["plaintext"] = base64.StdEncoding.EncodeToString(plaintext)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": out})
}
