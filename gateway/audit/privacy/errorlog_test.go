package privacy_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"jiragate/gateway/audit/privacy"
)

// What an HTTP server says of a connection quotes an address, and anybody can cause it.
func TestErrorLogMasksAddresses(t *testing.T) {
	m, err := privacy.Open(privacy.Options{ClientAddr: privacy.Drop})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	m.ErrorLog(slog.New(slog.NewTextHandler(&out, nil))).Print("http: TLS handshake error from 192.0.2.7:50312: EOF")
	if out.Len() > 0 {
		t.Errorf("strangers fill the log: %s", &out)
	}
	m.ErrorLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))).Print("http: TLS handshake error from 192.0.2.7:50312: EOF")
	if s := out.String(); !strings.Contains(s, "TLS handshake error") || strings.Contains(s, "192.0.2.7") {
		t.Errorf("logged: %s", s)
	}
}
