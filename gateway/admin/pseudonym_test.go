package admin_test

import (
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"jiragate/gateway/admin"
)

type plainPseudonyms struct{}

func (plainPseudonyms) Pseudonym(connection, value string) string {
	return "~" + connection + "+" + value
}
func (plainPseudonyms) AddressPseudonym(ip netip.Addr) string { return "~" + ip.String() }

func TestPseudonym(t *testing.T) {
	store, _ := openStore(t)
	o := options(t, store)
	for body, want := range map[string]string{
		`{"connection":"acme","value":"ACME-1"}`:          "~acme+ACME-1",
		`{"value":"ACME-1"}`:                              "~+ACME-1",
		`{"client_addr":"192.0.2.7"}`:                     "~192.0.2.7",
		`{}`:                                              admin.CodeInvalid,
		`{"connection":"acme"}`:                           admin.CodeInvalid,
		`{"value":"ACME-1","client_addr":"192.0.2.7"}`:    admin.CodeInvalid,
		`{"connection":"acme","client_addr":"192.0.2.7"}`: admin.CodeInvalid,
		`{"client_addr":"192.0.2.7:80"}`:                  admin.CodeInvalid,
		`{"value":"ACME-1","issue":"x"}`:                  admin.CodeInvalid,
	} {
		o.Pseudonyms.Open = func() (admin.Pseudonymiser, error) { return plainPseudonyms{}, nil }
		status, answer := call(t, local(t, o), "POST", "/v1/audit/pseudonym", body)
		if ok := strings.HasPrefix(want, "~"); ok && (status != 200 || !strings.Contains(answer, `"`+want+`"`)) {
			t.Errorf("%s: %d %s", body, status, answer)
		} else if !ok {
			wantCode(t, answer, want)
		}
	}
	o.Pseudonyms.Open = func() (admin.Pseudonymiser, error) { return nil, fs.ErrNotExist }
	status, answer := call(t, local(t, o), "POST", "/v1/audit/pseudonym", `{"value":"ACME-1"}`)
	if wantCode(t, answer, admin.CodeNotFound); status != 404 {
		t.Errorf("without a key: %d", status)
	}
	status, answer = call(t, local(t, options(t, store)), "POST", "/v1/audit/pseudonym", `{"value":"ACME-1"}`)
	if wantCode(t, answer, admin.CodeUnavailable); status != 503 {
		t.Errorf("where there can be none: %d", status)
	}
}
