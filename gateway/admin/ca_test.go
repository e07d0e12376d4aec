package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"jiragate/certs"
	"jiragate/gateway/admin"
)

// fakeCA has no root.
func fakeCA() admin.CA {
	none := func() (admin.CARoots, error) { return admin.CARoots{}, fs.ErrNotExist }
	return admin.CA{
		Roots:       none,
		Prepare:     none,
		Rotate:      func(bool) (admin.CARoots, error) { return none() },
		MayRotate:   func(bool) error { return fs.ErrNotExist },
		Reseal:      func() (bool, error) { return false, fs.ErrNotExist },
		SealedUnder: func() ([]uint32, error) { return nil, fs.ErrNotExist },
	}
}

func withCA(t *testing.T, ca admin.CA) admin.Options {
	t.Helper()
	store, _ := openStore(t)
	o := options(t, store)
	o.Keys, o.CA = &fakeKeys{}, ca
	o.AuditKey.SealedUnder = func() ([]uint32, error) { return nil, fs.ErrNotExist }
	o.AuditKey.Reseal = func() (bool, error) { return false, fs.ErrNotExist }
	o.Pseudonyms.SealedUnder = func() (uint32, error) { return 0, fs.ErrNotExist }
	o.Pseudonyms.Reseal = func() (bool, error) { return false, fs.ErrNotExist }
	return o
}

// What is refused beforehand is a refusal on record; what fails later, a failed act.
func TestCARefusals(t *testing.T) {
	ca := func(may, do error) admin.CA {
		c := fakeCA()
		c.MayRotate = func(bool) error { return may }
		c.Rotate = func(bool) (admin.CARoots, error) { return admin.CARoots{}, do }
		c.Prepare = func() (admin.CARoots, error) { return admin.CARoots{}, do }
		return c
	}
	for name, test := range map[string]struct {
		may, do error
		status  int
		code    string
		want    string
	}{
		"not prepared":         {may: fmt.Errorf("certs: %w in data", certs.ErrNotPrepared), status: 409, code: admin.CodeConflict, want: "jiragate ca rotate --prepare"},
		"brought":              {may: fmt.Errorf("certs: %w", certs.ErrBrought), status: 409, code: admin.CodeConflict, want: "jiragate ca init --replace"},
		"no root":              {may: fs.ErrNotExist, status: 409, code: admin.CodeConflict, want: "jiragate ca init makes"},
		"another root on disk": {do: fmt.Errorf("certs: %w: jiragate reload", certs.ErrFilesDisagree), status: 409, code: admin.CodeConflict, want: "jiragate reload"},
		"rotated, not cleared": {do: fmt.Errorf("certs: %w: disk full", certs.ErrUnfinished), status: 500, code: admin.CodeInternal, want: "disk full"},
		"disk full":            {do: errors.New("disk full"), status: 500, code: admin.CodeInternal, want: "disk full"},
	} {
		t.Run(name, func(t *testing.T) {
			h := local(t, withCA(t, ca(test.may, test.do)))
			for _, path := range []string{"/v1/ca/prepare", "/v1/ca/rotate"} {
				status, body := call(t, h, "POST", path, "")
				if wantCode(t, body, test.code); status != test.status || !strings.Contains(body, test.want) {
					t.Errorf("%s: %d %s", path, status, body)
				}
			}
		})
	}
}

// Where there are several gateways, another one may have what is missing here, and a second
// preparation would make another root.
func TestRootMayBePreparedElsewhere(t *testing.T) {
	ca := fakeCA()
	ca.MayRotate = func(bool) error { return certs.ErrNotPrepared }
	o := withCA(t, ca)
	o.SharedStore = true
	h := local(t, o)
	if status, body := call(t, h, "POST", "/v1/ca/rotate", ""); status != 409 || !strings.Contains(body, "copy its ca-next-key.pem here") {
		t.Errorf("%d %s", status, body)
	}
}

func TestCA(t *testing.T) {
	present := admin.CARoot{Subject: "CN=one", PEM: "1"}
	var next *admin.CARoot
	roots := func() (admin.CARoots, error) { return admin.CARoots{Present: present, Next: next}, nil }
	ca := fakeCA()
	ca.Roots = roots
	ca.MayRotate = func(atOnce bool) error {
		if next == nil && !atOnce {
			return certs.ErrNotPrepared
		}
		return nil
	}
	ca.Prepare = func() (admin.CARoots, error) {
		next = &admin.CARoot{Subject: "CN=two", PEM: "2"}
		return roots()
	}
	ca.Rotate = func(atOnce bool) (admin.CARoots, error) {
		if next == nil {
			next = &admin.CARoot{Subject: "CN=at once"}
		}
		present, next = *next, nil
		return roots()
	}
	h := local(t, withCA(t, ca))
	for _, step := range []struct {
		method, path, body string
		status             int
		present, next      string
	}{
		{"GET", "/v1/ca", "", 200, "CN=one", ""},
		{"POST", "/v1/ca/rotate", "", 409, "", ""},
		{"POST", "/v1/ca/rotate", `{"at_once": 1}`, 400, "", ""},
		{"POST", "/v1/ca/prepare", "", 200, "CN=one", "CN=two"},
		{"GET", "/v1/ca", "", 200, "CN=one", "CN=two"},
		{"POST", "/v1/ca/rotate", "{}", 200, "CN=two", ""},
		{"POST", "/v1/ca/rotate", `{"at_once": true}`, 200, "CN=at once", ""},
	} {
		status, body := call(t, h, step.method, step.path, step.body)
		var got admin.CARoots
		if status != step.status || json.Unmarshal([]byte(body), &got) != nil && status == 200 {
			t.Errorf("%s %s: %d %s", step.method, step.path, status, body)
		}
		if status != 200 {
			continue
		}
		if second := got.Next; got.Present.Subject != step.present || (second == nil) != (step.next == "") || second != nil && second.Subject != step.next {
			t.Errorf("%s %s: %s", step.method, step.path, body)
		}
	}
}
