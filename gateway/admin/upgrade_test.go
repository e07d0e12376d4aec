package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/tokenstore/secret"
)

// TestUpgrade: whoever may open the admin socket may have a new program take over, and
// nobody else. Each attempt is on record.
func TestUpgrade(t *testing.T) {
	for name, tt := range map[string]struct {
		face   func(*admin.API) http.Handler
		err    error
		status int
		hint   string
		record string
	}{
		"by the socket":               {face: socketFace, status: 202, record: "allow "},
		"not prepared":                {face: socketFace, err: errors.New("exit status 2"), status: 409, hint: "nothing has changed", record: "deny conflict"},
		"at work":                     {face: socketFace, err: admin.ErrUpgrading, status: 409, hint: "jiragate status", record: "deny conflict"},
		"by the pages of the process": {face: (*admin.API).InProcess, status: 409, hint: "SIGUSR2", record: "deny conflict"},
		"by the network": {face: func(a *admin.API) http.Handler {
			h, err := a.Network(admin.Guard{Token: secret.New(adminToken)})
			if err != nil {
				t.Fatal(err)
			}
			return h
		}, status: 409, hint: "SIGUSR2", record: "deny conflict"},
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := openStore(t)
			o, tr := options(t, store), newTrail(t)
			o.Audit = tr.log
			asked := 0
			o.Upgrade = func(context.Context) (admin.Prepared, error) {
				asked++
				return admin.Prepared{PID: 4711, Version: "v2"}, tt.err
			}
			status, body := call(t, described(t, tt.face(newAPI(t, o))), "POST", "/v1/upgrade", "", whoIs(admin.RoleAdmin), bearer())
			if status != tt.status || !strings.Contains(body, tt.hint) {
				t.Fatalf("%d %s", status, body)
			}
			var next admin.Prepared
			if status == 202 && (json.Unmarshal([]byte(body), &next) != nil || next != (admin.Prepared{PID: 4711, Version: "v2"})) {
				t.Errorf("the answer is %s", body)
			}
			if bySocket := tt.hint != "SIGUSR2"; bySocket != (asked == 1) {
				t.Errorf("asked %d times", asked)
			}
			all := tr.records(t)
			if len(all) != 1 || all[0].Operation != "admin.upgrade" || all[0].Decision+" "+all[0].Code != tt.record {
				t.Errorf("records: %+v", all)
			}
		})
	}
}

func socketFace(a *admin.API) http.Handler { return a.Local(operator) }
