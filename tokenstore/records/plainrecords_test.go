package records_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
	"jiragate/tokenstore/storetest"
)

// What a start decodes without reflection is what encoding/json makes of it.
func FuzzDecodeConnection(f *testing.F) {
	for _, seed := range []string{
		`{"id":"acme","edition":"cloud","site_url":"https://acme.atlassian.net","cloud_id":"c","region":"us","credential_kind":"oauth2",` +
			`"scopes":["a","b"],"state":"active","state_since":"2026-01-02T03:04:05Z","created_at":"2026-01-02T03:04:05.6Z","updated_at":"2026-01-02T03:04:05Z","generation":4294967296}`,
		`{"id":"a","base_url":"https://b/c","state":"disabled","state_reason":"r","generation":0}`,
		`{"id":"a","id":"b"}`, `{"Id":"a"}`, `{"generation":01}`, `{"generation":-1}`, `{"generation":18446744073709551616}`,
		`{"scopes":[]}`, `{"scopes":["a"],"scopes":["a","b"]}`, `{"state_since":""}`, `{"id":null}`, `{"other":"a"}`, `{} `, `{"region":"mars"}`, `{"upstream_ca":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) { same(t, b, records.DecodeConnectionBoth) })
}

func FuzzDecodeClient(f *testing.F) {
	for _, seed := range []string{
		`{"name":"reports","token_sha256":"00ff","certificate_sans":["dns:a"],"connections":["a","b"],"created_at":"2026-01-02T03:04:05Z","token_rotated_at":"2026-01-02T03:04:05Z"}`,
		`{"name":"a","created_at":"0001-01-01T00:00:00Z"}`, `{"connections":["a",]}`, `{"connections":["a]"]}`, `{"name":"a"`, `{"name":"a",}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) { same(t, b, records.DecodeClientBoth) })
}

func same(t *testing.T, b []byte, decodeBoth func([]byte) (plain, whole any, ok bool)) {
	plain, whole, ok := decodeBoth(b)
	if !ok {
		return
	}
	if diff := cmp.Diff(whole, plain); diff != "" {
		t.Errorf("%q: %s", b, diff)
	}
}

// The usual records are not left to encoding/json.
func TestUsualRecordsAreReadWithoutReflection(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	client := tokenstore.Client{Name: "reports", TokenSHA256: storetest.Token("t"), Connections: []string{"acme", "b"}, CertificateSANs: []string{"dns:a"}, CreatedAt: at, TokenRotatedAt: at}
	for _, c := range []tokenstore.Connection{storetest.CloudConnection("acme"), storetest.DataCenterConnection("umbrella")} {
		c.State, c.StateReason, c.CreatedAt = tokenstore.StateDisabled, "by an operator", at
		if connection, client := records.PlainRecords(c, client); !connection || !client {
			t.Errorf("connection %v, client %v", connection, client)
		}
	}
}
