package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/tokenstore"
)

// tokenFiles are token files, with what the error says, or "".
var tokenFiles = []struct{ name, file, want string }{
	{"all members", `{"access_token": "a", "refresh_token": "r", "expiry": "2030-01-02T03:04:05Z", "scope": "read:jira-work write:jira-work"}`, ""},
	{"refresh token alone", `{"refresh_token": "r"}`, ""},
	{"offset in the expiry", `{"access_token": "a", "expiry": "2030-01-02T03:04:05+02:00"}`, ""},
	{"space around", " \n{\"refresh_token\": \"r\"}\n", ""},
	{"empty", ``, "one JSON object"},
	{"not JSON", `S3cret`, "one JSON object"},
	{"cut off", `{"access_token": "S3cret`, "one JSON object"},
	{"array", `["S3cret"]`, "one JSON object"},
	{"two objects", `{"refresh_token": "S3cret"}{}`, "one JSON object"},
	{"comma at the end", `{"refresh_token": "S3cret",}`, "one JSON object"},
	{"null", `null`, "one JSON object"},
	{"no tokens", `{}`, "empty"},
	{"answer of Atlassian as it came", `{"refresh_token": "S3cret", "token_type": "bearer"}`, `"token_type" is unknown`},
	{"other case", `{"Refresh_Token": "S3cret"}`, `"Refresh_Token" is unknown`},
	{"twice", `{"refresh_token": "S3cret", "refresh_token": "S3cret2"}`, `"refresh_token" stands there twice`},
	{"number", `{"refresh_token": 53}`, `"refresh_token" must be a string`},
	{"object", `{"refresh_token": {"S3cret": "x"}}`, `"refresh_token" must be a string`},
	{"token as a name", `{"S3cretS3cretS3cretS3cretS3cretS3cret": "x"}`, "the member with another name is unknown"},
	{"expiry in seconds", `{"access_token": "S3cret", "expiry": "3600"}`, "RFC 3339"},
	{"expiry missing", `{"access_token": "S3cret"}`, "expiry"},
	{"line break in a token", `{"refresh_token": "S3cret\n"}`, "visible ASCII"},
	{"token that would be two headers", `{"access_token": "S3cret\r\nX: y", "expiry": "2030-01-02T03:04:05Z"}`, "visible ASCII"},
}

func TestOAuthTokenFile(t *testing.T) {
	for _, tt := range tokenFiles {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseOAuthToken([]byte(tt.file))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want one that says %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), "S3cret"):
				t.Errorf("the error tells a value: %v", err)
			}
		})
	}
	c, err := parseOAuthToken([]byte(tokenFiles[0].file))
	if err != nil || c.Kind != tokenstore.KindOAuth2 || c.AccessToken.Reveal() != "a" || c.RefreshToken.Reveal() != "r" ||
		!c.Expiry.Equal(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)) || len(c.Scopes) != 2 {
		t.Errorf("read as %+v (%v)", c, err)
	}
}

// FuzzOAuthToken: what is taken is a valid credential that, written again in
// the plain form, is read as the same; what is refused is not quoted.
func FuzzOAuthToken(f *testing.F) {
	for _, tt := range tokenFiles {
		f.Add([]byte(tt.file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := parseOAuthToken(file)
		if err != nil {
			if i := strings.Index(string(file), "S3cret"); i >= 0 && strings.Contains(err.Error(), "S3cretS3cret") {
				t.Fatalf("the error tells a value: %v", err)
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("taken, but not valid: %v", err)
		}
		plain := map[string]string{"access_token": c.AccessToken.Reveal(), "refresh_token": c.RefreshToken.Reveal(), "scope": strings.Join(c.Scopes, " ")}
		if !c.Expiry.IsZero() {
			plain["expiry"] = c.Expiry.Format(time.RFC3339Nano)
		}
		b, err := json.Marshal(plain)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseOAuthToken(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if !again.AccessToken.Equal(c.AccessToken) || !again.RefreshToken.Equal(c.RefreshToken) || !again.Expiry.Equal(c.Expiry) ||
			strings.Join(again.Scopes, " ") != strings.Join(c.Scopes, " ") {
			t.Fatalf("%s is read as another credential than %s", b, file)
		}
	})
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	files := 0
	file := func(mode os.FileMode, content string) string {
		files++
		path := filepath.Join(dir, fmt.Sprint(files))
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		name, path, stdin string
		want, wantErr     string
		warned            bool
	}{
		{"line break at the end", file(0o600, "S3cret\n"), "", "S3cret", "", false},
		{"one of two line breaks", file(0o600, "S3cret\n\n"), "", "S3cret\n", "", false},
		{"line break of Windows", file(0o600, "S3crets\r\n"), "", "S3crets", "", false},
		{"space belongs to it", file(0o600, " S3cret "), "", " S3cret ", "", false},
		{"readable by others", file(0o644, "S3cret"), "", "S3cret", "", true},
		{"standard input", "-", "S3cret\n", "S3cret", "", false},
		{"standard input, empty", "-", "", "", "standard input is empty", false},
		{"empty", file(0o600, "\n"), "", "", "is empty", false},
		{"missing", filepath.Join(dir, "missing"), "", "", "no such file", false},
		{"directory", dir, "", "", "is a directory", false},
		{"endless", "/dev/zero", "", "", "larger than", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr strings.Builder
			a := &app{in: strings.NewReader(tt.stdin), err: &stderr}
			got, err := a.readSecret(tt.path)
			switch {
			case tt.wantErr == "" && err != nil, tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)):
				t.Errorf("error %v, want %q", err, tt.wantErr)
			case got.Reveal() != tt.want:
				t.Errorf("read %q, want %q", got.Reveal(), tt.want)
			case (stderr.Len() > 0) != tt.warned:
				t.Errorf("warning: %q", stderr.String())
			}
		})
	}
}
