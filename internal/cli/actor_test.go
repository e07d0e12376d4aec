package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What root writes, another user could not open any more.
func TestStoreOfAnotherUser(t *testing.T) {
	own := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(own, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ownStore(own), ownStore(own+".missing")); err != nil {
		t.Error(err)
	}
	foreign := "/etc/passwd"
	if os.Geteuid() == 0 {
		if err := os.Chown(own, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		foreign = own
	}
	if err := ownStore(foreign); err == nil {
		t.Error("the store of another user was taken")
	}
}

// Who acts is the system's word: nothing of the environment has a say.
func TestActors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(file, []byte("root:x:0:0:root:/root:/bin/sh\n\nbroken\n:x:7:7::/:\nada:x:1000:1000:Ada,,,:/home/ada:/bin/sh\nadmin:x:1000:1000::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("USER", "somebody-else")
	for uid, want := range map[string]string{"0": "root", "1000": "ada", "7": "", "4711": ""} {
		if got, ok := loginName(file, uid); got != want || ok != (want != "") {
			t.Errorf("uid %s: %q, %v", uid, got, ok)
		}
	}
	if a := actorOf("4294967294", "1"); a.Name != "operator:uid=4294967294" || a.Addr != "unix:pid=1" {
		t.Errorf("%+v", a)
	}
}
